"""How noisy a trial's gradient is: the squared norm without its noise, and the noise scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from predictor.types import Observation


class Estimate(NamedTuple):
    """An estimate with its standard error."""

    value: float
    standard_error: float


def squared_norm_estimate(steps: Sequence[Observation]) -> Estimate | None:
    """|G|^2, the squared norm of the expected gradient: mean over the steps that measured it.

    Range: any number; below 0 where noise dominates. None with fewer than two measured steps, NaN
    if any is not finite.
    Source: McCandlish et al., arXiv 1812.06162, appendix A.
    Known weakness: takes the steps for independent draws at one point, but weights move on.
    """
    values = [o.grad_sq_noise_free for o in steps if o.grad_sq_noise_free is not None]
    if len(values) < 2:
        return None
    if not np.isfinite(values).all():
        return Estimate(math.nan, math.nan)
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values)))


def gradient_noise_scale(steps: Sequence[Observation], batch_size: int) -> Estimate | None:
    """tr(Sigma) / |G|^2 in samples: the batch at which noise and signal are equal.

    The noise part of |g_B|^2 is tr(Sigma) / B, so it is B x mean(noise) / mean(|G|^2), the "simple"
    noise scale of McCandlish et al., arXiv 1812.06162, with its standard error by the jackknife
    over steps. Range: (0, inf), or None with fewer than three measured steps or a mean of |G|^2
    that is not two standard errors above 0: a ratio to something that may be nothing.
    Known weakness: a ratio of means, so a little too high with few steps.
    """
    signal = squared_norm_estimate(steps)
    pairs = np.array(
        [
            (o.grad_sq_noise, o.grad_sq_noise_free)
            for o in steps
            if o.grad_sq_noise is not None and o.grad_sq_noise_free is not None
        ],
        dtype=np.float64,
    )  # (num_measured_steps, 2)
    if signal is None or len(pairs) < 3 or not signal.value > 2 * signal.standard_error:
        return None
    total = pairs.sum(0)
    without_each = total - pairs
    left_out = batch_size * without_each[:, 0] / without_each[:, 1]
    count = len(pairs)
    spread = float(np.sum((left_out - left_out.mean()) ** 2))
    return Estimate(
        batch_size * float(total[0] / total[1]), math.sqrt((count - 1) / count * spread)
    )
