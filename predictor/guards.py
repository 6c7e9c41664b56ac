"""Guards: what ends a trial without comparing it with any other."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from predictor.types import Observation, Settings

DIVERGED_RATIO = 1.5  # of the loss at the first step, of its phase where the data has phases
DIVERGED_STEPS = 10  # in a row
MEDIAN_STEPS = 5


class GuardHit(NamedTuple):
    """Which guard ended a trial, and why."""

    name: str  # "not finite" or "divergence"
    reason: str
    evidence: dict[str, Any]  # JSON values only


def check_guards(
    observations: Sequence[Observation], warmup_steps: int, settings: Settings
) -> GuardHit | None:
    """The guard that the latest observation trips, or None. Called after every observation.

    `observations` are all of the trial's steps so far, oldest first; only the first and the last 14
    are read (and a few to find where a later phase begins), so a call costs the same at any length.
    It keeps no state: a trial that goes on after a divergence (an audit) trips the guard again at
    its next step.
    A loss or norm that is not finite ends the trial under any settings, as nothing can be learned
    from it any more; divergence counts only with both `enabled` and `guards`.
    """
    if not observations:
        return None
    if is_not_finite(observations[-1]):
        return _not_finite(observations[-1])
    if settings.enabled and settings.guards:
        return _divergence(observations, warmup_steps)
    return None


def is_not_finite(observation: Observation) -> bool:
    """Whether the step's loss or its gradient norm is NaN or infinite."""
    return not (math.isfinite(observation.loss) and math.isfinite(observation.grad_norm))


def trailing_medians(observations: Sequence[Observation]) -> list[float]:
    """The trailing 5-step median losses of the last 10 steps, or [] before there are 14 steps."""
    num_needed = DIVERGED_STEPS + MEDIAN_STEPS - 1
    if len(observations) < num_needed:
        return []
    losses = [o.loss for o in observations[-num_needed:]]
    return [median(losses[i : i + MEDIAN_STEPS]) for i in range(DIVERGED_STEPS)]


def _not_finite(last: Observation) -> GuardHit:
    values = {"loss": last.loss, "grad_norm": last.grad_norm}
    bad = " and ".join(
        f"{name} is {value}"
        for name, value in (("the loss", last.loss), ("the gradient norm", last.grad_norm))
        if not math.isfinite(value)
    )
    return GuardHit(
        name="not finite",
        reason=f"not finite: {bad} at step {last.step}",
        evidence={"rule": "not finite", "step": last.step}
        | {name: value if math.isfinite(value) else None for name, value in values.items()},
    )


def _divergence(observations: Sequence[Observation], warmup_steps: int) -> GuardHit | None:
    """5-step median loss above 1.5 x the first step's at each of the last 10 steps after warmup.

    Losses of different phases are on different data: the first step is that of the present phase,
    and all 14 steps that the medians read lie in it.
    The losses are finite: the other guard has seen every step before.
    Known weakness: the line hangs on one batch, the first; the smaller it is, the noisier the line.
    """
    if len(observations) < DIVERGED_STEPS or observations[-DIVERGED_STEPS].step <= warmup_steps:
        return None
    begins = _phase_begins(observations)
    if len(observations) - begins < DIVERGED_STEPS + MEDIAN_STEPS - 1:
        return None
    first_loss = observations[begins].loss
    medians = trailing_medians(observations)
    if not medians or min(medians) <= DIVERGED_RATIO * first_loss:
        return None
    last = observations[-1]
    of_phase = f" of phase {last.phase}" if last.phase else ""
    return GuardHit(
        name="divergence",
        reason=(
            f"diverged: for {DIVERGED_STEPS} steps the {MEDIAN_STEPS}-step median loss was above "
            f"{DIVERGED_RATIO} x the first step's{of_phase} ({medians[-1]:.4g} against "
            f"{first_loss:.4g} at step {last.step})"
        ),
        evidence={
            "rule": "divergence",
            "step": last.step,
            "phase": last.phase,
            "first_loss": first_loss,
            "median_loss": medians[-1],
            "lowest_median_loss": min(medians),
            "ratio": DIVERGED_RATIO,
            "steps": DIVERGED_STEPS,
            "warmup_steps": warmup_steps,
        },
    )


def _phase_begins(observations: Sequence[Observation]) -> int:
    """The index of the first step of the phase that the latest is in; phases only ascend."""
    phase = observations[-1].phase
    if observations[0].phase == phase:
        return 0
    return bisect_left(observations, phase, key=lambda observation: observation.phase)
