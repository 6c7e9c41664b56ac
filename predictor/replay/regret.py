"""What it costs to have kept these runs and not all."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.recorded.runs import RecordedStudy
from predictor.target import best_and_spread

Floats = NDArray[np.float64]

LOST = 0.05  # of median - best: a best run that was lost by more counts as lost


class Ends(NamedTuple):
    """How a study's runs ended. Regrets are shares of (median - best) of the finished runs."""

    objectives: Floats  # (num_runs,), lower is better; infinite where a guard ended it
    config_means: Floats  # (num_runs,), over the finished seeds of the run's configuration
    has_replicates: bool  # a configuration with two finished runs or more
    best: float
    spread: float  # median - best

    @staticmethod
    def of(study: RecordedStudy) -> Ends:
        """The ends of a study's runs, one of which at least is finished."""
        objectives = np.array(
            [math.inf if not r.is_finished else float(r.objective or 0.0) for r in study.runs]
        )
        configs = [json.dumps(dict(r.config), sort_keys=True, default=str) for r in study.runs]
        codes = np.unique(configs, return_inverse=True)[1]
        finished = np.isfinite(objectives)
        sizes = np.bincount(codes[finished], minlength=int(codes.max()) + 1)
        sums = np.bincount(codes[finished], objectives[finished], minlength=len(sizes))
        means = np.where(sizes > 0, sums / np.maximum(sizes, 1), math.inf)[codes]
        has_replicates = bool((sizes > 1).any())
        return Ends(objectives, means, has_replicates, *best_and_spread(objectives[finished]))

    def regret(self, kept: Sequence[int]) -> float:
        """The best kept - the best of all, as a share of (median - best). With none kept, as if the
        worst had been."""
        return self._share(self._kept_best(kept) - self.best)

    def config_regret(self, kept: Sequence[int]) -> float | None:
        """The regret of the best kept run's configuration, by means over seeds: those of a name
        with luck lose here. None where no configuration has two finished runs."""
        if not self.has_replicates:
            return None
        finished = np.isfinite(self.objectives)
        if not kept:
            mean = float(self.config_means[finished].max())
        else:
            mean = float(self.config_means[min(kept, key=lambda run: self.objectives[run])])
        return self._share(mean - float(self.config_means[finished].min()))

    def random_regret(self, compute: float) -> float:
        """The expected regret of training that share of the finished runs, drawn at random, to
        their end; a straight line between whole numbers, and at least one run.

        Exact: the i-th best of n is the best of m drawn with probability C(n - i, m - 1) / C(n, m).
        """
        finished = np.sort(self.objectives[np.isfinite(self.objectives)])
        drawn = min(max(1.0, compute * len(finished)), float(len(finished)))
        low = math.floor(drawn)
        at_low = self._share(_expected_best(finished, low) - self.best)
        if drawn == low:
            return at_low
        at_high = self._share(_expected_best(finished, low + 1) - self.best)
        return at_low + (drawn - low) * (at_high - at_low)

    def _kept_best(self, kept: Sequence[int]) -> float:
        if not kept:
            return float(self.objectives[np.isfinite(self.objectives)].max())
        return float(self.objectives[list(kept)].min())

    def _share(self, difference: float) -> float:
        return difference / self.spread if self.spread > 0 else 0.0


def _expected_best(ordered: Floats, num_drawn: int) -> float:
    """`ordered` (n,), ascending; the best of `num_drawn` of them, without replacement."""
    remaining, mean = 1.0, 0.0
    for place, value in enumerate(ordered):
        p = min(1.0, num_drawn / (len(ordered) - place))  # drawn, given that no better one was
        mean += remaining * p * float(value)
        remaining *= 1 - p
    return mean
