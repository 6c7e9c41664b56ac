"""A trial's early window in a few numbers: one function for each signal.

They read the steps of the window only, oldest first and starting at the trial's first step.
A signal that was measured but is not finite stays so (NaN or infinity); None is "not measured".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from predictor.noise import squared_norm_estimate
from predictor.types import Observation, WindowSignals


def window_signals(
    observations: Sequence[Observation], samples: int, early_eval: float | None
) -> WindowSignals:
    """The signals of the window that closes at `samples`; later observations are ignored.

    Its phase is that of the step that closes it. `early_eval` is passed through: the objective on
    the early samples, lower is better.
    Raises ValueError if no observation has reached `samples`: half a window compares with nothing.
    """
    window = window_steps(observations, samples)
    return WindowSignals(
        samples=samples,
        loss=training_loss(window, samples),
        grad_norm=raw_gradient_norm(window, samples),
        grad_norm_noise_free=noise_free_gradient_norm(window),
        early_eval=early_eval,
        phase=window[-1].phase,
    )


def window_steps(observations: Sequence[Observation], samples: int) -> Sequence[Observation]:
    """The steps up to and with the first that has seen `samples`. ValueError if there is none."""
    for index, observation in enumerate(observations):
        if observation.samples_seen >= samples:
            return observations[: index + 1]
    seen = observations[-1].samples_seen if observations else 0
    raise ValueError(f"the window of {samples} samples is still open: {seen} have been seen")


def training_loss(window: Sequence[Observation], samples: int) -> float:
    """sum(tokens_t loss_t) / sum(tokens_t) over the late steps: nats per loss-bearing token.

    Late are those of the last third that lie in the phase in which the window closes.
    Source: Pareja et al., arXiv 2412.13337, compare early training losses; the token weights make
    the mean the same however the samples are cut into steps.
    Range: [0, inf). A NaN loss in a late step makes it NaN, an infinite one NaN or infinity; no
    loss-bearing token at all makes it NaN.
    Known weakness: it is the loss before each update, on samples that differ between batch orders.
    """
    tokens = _tokens_per_step(window)
    steps = zip(tokens, window, strict=True)
    late = [(t, o.loss) for t, o in steps if _is_late(o, window, samples)]
    total = sum(t for t, _ in late)
    return sum(t * loss for t, loss in late) / total if total > 0 else math.nan


def raw_gradient_norm(window: Sequence[Observation], samples: int) -> float:
    """Median over the late steps (as for the loss) of the global L2 norm before clipping.

    Source: Pareja et al., arXiv 2412.13337; the median because one odd batch can give a spike.
    Range: [0, inf). NaN if any of its steps is NaN; infinite if half of them are.
    Known weakness: |g_B|^2 = |G|^2 + noise / batch, so across batch sizes it mostly reads out the
    batch size.
    """
    return float(np.median([o.grad_norm for o in window if _is_late(o, window, samples)]))


def noise_free_gradient_norm(window: Sequence[Observation]) -> float | None:
    """sqrt(mean_t |G|^2_t) over every step of the window that measured it.

    Source: McCandlish et al., arXiv 1812.06162, appendix A. The estimates are unbiased and may be
    negative one by one, so they are averaged before the root is taken.
    Range: (0, inf), or None (missing, never clipped) with fewer than two measured steps or a mean
    that is not positive and at least two standard errors (sd / sqrt(n)). NaN if any is not finite.
    Known weakness: the whole window is averaged, as the estimate is noisy, so a norm that falls
    fast weighs on it more than on the raw one, as do phases before the one it closes in; and it
    goes missing where noise dominates (small batches), so it is not missing at random.
    """
    squared = squared_norm_estimate(window)
    if squared is None:
        return None
    if not math.isfinite(squared.value):
        return math.nan
    is_there = squared.value > 0 and squared.value >= 2 * squared.standard_error
    return math.sqrt(squared.value) if is_there else None


def _is_late(observation: Observation, window: Sequence[Observation], samples: int) -> bool:
    """Whether a step ends in the last third of the window and in the phase in which that closes;
    the step that closes it always does."""
    in_last_third = 3 * observation.samples_seen > 2 * samples
    return in_last_third and observation.phase == window[-1].phase


def _tokens_per_step(window: Sequence[Observation]) -> list[int]:
    totals = [0, *(o.loss_tokens_seen for o in window)]
    return [after - before for before, after in pairwise(totals)]
