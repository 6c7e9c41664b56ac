"""What is predicted: finished objectives on a scale of the study's own, and what is a miss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BEND = 0.5  # of the squash: smaller looks closer at the trials near the best


class Scale(NamedTuple):
    """The best and the median of finished objectives; lower is better."""

    best: float
    spread: float  # median - best, above 0

    def squash(self, objectives: Floats) -> Floats:
        """0 at the best, 1 at the median, logarithmic above, a straight line below.

        With u = (y - best) / spread: log(1 + u / BEND) / log(1 + 1 / BEND). It keeps order, so P
        of an event is the same on both scales; runs that diverged weigh no more than bad ones, and
        the short side, where the incumbent is beaten, gets the resolution. Free of y's unit.
        """
        u = (objectives - self.best) / self.spread
        bent = np.where(u > 0, np.log1p(np.maximum(u, 0.0) / BEND), u / BEND)
        return bent / math.log1p(1 / BEND)

    def log_slope(self, objective: float) -> float:
        """log of d squash / d objective: the Jacobian that takes densities to its own scale."""
        u = max(0.0, (objective - self.best) / self.spread)
        return -math.log((BEND + u) * math.log1p(1 / BEND) * self.spread)

    def beaten_by(self, gain: float) -> float:
        """The squashed value of an objective better than the best by `gain` x spread."""
        return float(self.squash(np.array(self.best - gain * self.spread)))


def best_and_spread(finished: Sequence[float] | Floats) -> tuple[float, float]:
    """The best of finished objectives, of which there is one at least, and median - best."""
    best = float(np.min(finished))
    return best, float(np.median(finished)) - best


def scale_of(objectives: Sequence[float]) -> Scale | None:
    """The scale of the finite objectives. None for a tie: none is finite, or the median equals the
    best."""
    finite = [y for y in objectives if math.isfinite(y)]
    if not finite:
        return None
    best, spread = best_and_spread(finite)
    return Scale(best, spread) if spread > 0 and math.isfinite(spread) else None


def is_miss(objective: float | None, best: float, spread: float, min_gain: float) -> bool:
    """Whether a trial that was to be pruned ended better than the incumbent of that moment.

    By `min_gain` x spread (median - best of the trials finished then) or more; never by a tie.
    `objective` is None, or not finite, of a trial without an end: no miss.
    """
    if objective is None:
        return False
    return bool(objective < best and objective <= best - min_gain * spread)


def beats(objective: float | None, finished: Sequence[float], min_gain: float) -> bool:
    """`is_miss` against the objectives that were finished; without any nothing is missed."""
    if not finished:
        return False
    return is_miss(objective, *best_and_spread(finished), min_gain)
