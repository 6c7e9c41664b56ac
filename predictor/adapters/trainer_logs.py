"""A transformers Trainer's log as observations and window signals: what stands in it, no more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from predictor.signals import window_signals
from predictor.types import Observation, WindowSignals

History = Sequence[Mapping[str, Any]]  # `trainer.state.log_history`

LEAST_LOGS = 2  # within a window that says anything


class Pace(NamedTuple):
    """How many samples a run has seen after how many optimizer steps."""

    batch: int  # samples per optimizer step over all processes
    rows: int | None  # of the training set; an epoch's last step is short. None: not known

    def samples_after(self, step: int) -> int:
        """Samples seen after so many optimizer steps, the short last step of an epoch counted as it
        is."""
        if self.rows is None:
            return step * self.batch
        epochs, rest = divmod(step, math.ceil(self.rows / self.batch))
        return epochs * self.rows + min(rest * self.batch, self.rows)

    def step_at(self, samples: int) -> int:
        """The first step after which that many samples, 1 or more, have been seen."""
        if self.rows is None:
            return math.ceil(samples / self.batch)
        epochs, rest = divmod(samples - 1, self.rows)
        return epochs * math.ceil(self.rows / self.batch) + rest // self.batch + 1


@dataclass(frozen=True, slots=True)
class LoggedWindow:
    """A window as the log has it. `signals` is None where too little was logged; `remarks` say in a
    sentence each what is lost.

    `evaluated` is the early evaluation as it was logged, and the samples seen at that moment.
    """

    signals: WindowSignals | None
    evaluated: tuple[float, int] | None
    remarks: tuple[str, ...]


def read_observations(
    history: History, pace: Pace, *, is_nan_filtered: bool, skips_steps: bool
) -> list[Observation]:
    """An observation for each log of a training loss, oldest first; one log may stand for several
    steps.

    The loss is then the mean over the steps since the last log, the gradient norm that of the last.
    Loss-bearing tokens are not in the log: a sample counts as one, so that windows weigh samples.
    `is_nan_filtered` (args.logging_nan_inf_filter): the Trainer logs the mean of the other steps, 0
    for a single one, in place of a loss that is not finite; only the norm tells. `skips_steps`
    (fp16): the loss scaler skips steps whose norm is not finite, which says nothing of the trial:
    they are left out. A norm that is not logged at all stands as 0.
    """
    found: list[Observation] = []
    for log in history:
        if "loss" not in log:
            continue
        loss, norm = float(log["loss"]), float(log.get("grad_norm", 0.0))
        if not math.isfinite(norm):
            if skips_steps:
                continue
            loss = math.nan if is_nan_filtered else loss
        samples = pace.samples_after(log["step"])
        found.append(
            Observation(
                step=log["step"],
                samples_seen=samples,
                input_tokens_seen=0,
                loss_tokens_seen=samples,
                loss=loss,
                grad_norm=norm,
                lr=float(log.get("learning_rate", math.nan)),
                seconds=math.nan,
            )
        )
    return found


def read_window(
    history: History,
    observations: Sequence[Observation],
    pace: Pace,
    samples: int,
    *,
    metric: str | None = None,
    lower_is_better: bool = True,
) -> LoggedWindow:
    """The window of `samples` as the log has it; nothing after the step that closes it is read.

    The early evaluation is the last one of `metric` from the first step to that one.
    """
    close = pace.step_at(samples)
    within = [o for o in observations if o.step <= close]
    if len(within) < LEAST_LOGS:
        one = "1 log" if len(within) == 1 else "no log"
        return LoggedWindow(
            None,
            None,
            (
                f"the early window ends after {close} steps and has {one} of the training loss in "
                f"it where {LEAST_LOGS} are needed, so the trial is not judged: set logging_steps "
                "to 1, or a larger window",
            ),
        )
    logs = [log for log in history if 0 < log["step"] <= close]
    remarks: list[str] = []
    steps = [0, *(log["step"] for log in logs if "loss" in log)]
    gap = max(after - before for before, after in pairwise(steps))
    if gap > 1:
        remarks.append(
            f"the loss is logged every {gap} steps: in the early window each is a mean over them "
            "and each gradient norm that of the last one; with logging_steps 1 every step counts"
        )
    has_norm = all("grad_norm" in log for log in logs if "loss" in log)
    if not has_norm:
        remarks.append(
            "the Trainer logs no gradient norm here: the trial is judged by the other signals"
        )
    evaluations = [log for log in logs if metric is not None and metric in log]
    evaluated = None
    if evaluations:
        last = evaluations[-1]
        evaluated = (float(last[metric or ""]), pace.samples_after(last["step"]))
    elif metric is not None and any(_is_evaluation(log) for log in logs):
        keys = sorted({key for log in logs if _is_evaluation(log) for key in log})
        remarks.append(
            f"the early evaluations have no {metric!r} and are not used; they have: "
            + ", ".join(keys)
        )
    early = None
    if evaluated is not None:
        early = evaluated[0] if lower_is_better else -evaluated[0]
    signals = window_signals(within, min(samples, within[-1].samples_seen), early)
    norm = signals.grad_norm if has_norm else None
    return LoggedWindow(
        replace(signals, samples=samples, grad_norm=norm), evaluated, tuple(remarks)
    )


def _is_evaluation(log: Mapping[str, Any]) -> bool:
    return any(key.startswith("eval_") for key in log)
