"""Model M of the feasibility study, to replay beside our own rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictor.features import tabulate
from predictor.model import SIGNALS, regress
from predictor.regression import Family
from predictor.replay.policies import NO_DIRECTION
from predictor.replay.replay import GO_ON, Answer
from predictor.target import scale_of
from predictor.types import CohortTrial

Floats = NDArray[np.float64]

# All signals, the configuration averaged over how far to trust it, no inflation.
MODEL_M = Family(
    signal_sets=(frozenset(SIGNALS),),
    set_weights=(1.0,),
    config_scales=(4.0, 1.0, 0.25, 0.001),
    point_scales=(10.0, 1.0),
    noise_b0=(0.3,),
    inflate=False,
)


@dataclass(frozen=True, slots=True)
class ModelM:
    """It prunes where P < risk, and asks for nothing else.

    Its target is u = (log y - best) / (median - best), and 1 + log u above 1.
    """

    risk: float = 0.1
    min_gain: float = 0.05
    startup: int = 3

    def __call__(self, trial: CohortTrial, seen: Sequence[CohortTrial], seed: int) -> Answer:
        cohort = [trial, *seen]
        finished = [i for i, t in enumerate(cohort) if i and t.is_finished]
        objectives = np.array([cohort[i].objective for i in finished], dtype=np.float64)
        targets = self._targets(objectives) if len(finished) >= self.startup else None
        if targets is None:
            return GO_ON
        table = tabulate(cohort, self.startup)
        found = regress(table, finished, targets, NO_DIRECTION, MODEL_M)[1]
        p = found.below(-self.min_gain)
        return Answer("stop" if p < self.risk else "go on", p)

    def _targets(self, objectives: Floats) -> Floats | None:
        """Of the finished runs; None for ties."""
        values = np.log(objectives) if (objectives > 0).all() else objectives
        scale = scale_of([float(y) for y in values])
        if scale is None:
            return None
        u = (values - scale.best) / scale.spread
        return np.where(u < 1, u, 1 + np.log(np.maximum(u, 1.0)))
