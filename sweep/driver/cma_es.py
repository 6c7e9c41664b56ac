"""CMA-ES that keeps no state: for each draw it is told of all finished trials anew.

Optuna's CmaEsSampler keeps its state pickled in the storage, as the ends of the moment made it.
Here ends may be expected ones, which change as more is known, and a storage is read as tables,
never as code.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

Floats = NDArray[np.float64]

SIGMA = 1 / 6  # of a range, as Optuna's: the first draws come from the middle two thirds


class ReplayedCmaEs(BaseSampler):
    """Numbers by CMA-ES (Hansen, arXiv 1604.00772; the package `cmaes`), choices of numbers among
    them by their places; words at random, as everything for the first trials.

    Completed trials make the generations in their order, whoever drew them.
    Known weakness: a generation is four trials and more, so a study of few learns little from it.
    """

    def __init__(
        self, searched: Mapping[str, BaseDistribution], seed: int, n_startup_trials: int
    ) -> None:
        self._axes = {
            name: axis for name, kind in searched.items() if (axis := _axis(kind)) is not None
        }
        self._searched, self._seed, self._startup = searched, seed, n_startup_trials
        self._random = RandomSampler(seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What CMA-ES draws: the numbers that can take more than one value, by name."""
        return {name: self._searched[name] for name in self._axes}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A value of each of these numbers; {} while too few trials are completed."""
        completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not self._axes or len(completed) < self._startup:
            return {}
        cmaes: Any = importlib.import_module("cmaes")
        num = len(self._axes)
        optimizer = cmaes.CMA(
            mean=np.full(num, 0.5),
            sigma=SIGMA,
            bounds=np.tile([0.0, 1.0], (num, 1)),
            n_max_resampling=10 * num,
            seed=self._seed,
        )
        sign = 1 if study.direction is StudyDirection.MINIMIZE else -1
        told = [(self._at(one.params), sign * (one.value or 0.0)) for one in completed]
        size = optimizer.population_size
        for first in range(0, len(told) - size + 1, size):
            optimizer.tell(told[first : first + size])
        drawn = optimizer.ask()
        return {
            name: axis.value(place)
            for (name, axis), place in zip(self._axes.items(), drawn.tolist(), strict=True)
        }

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Any value."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _at(self, params: Mapping[str, Any]) -> Floats:
        return np.array([axis.place(params[name]) for name, axis in self._axes.items()])


@dataclass(frozen=True, slots=True)
class _Axis:
    """A number's values as places between 0 and 1."""

    low: float
    high: float
    log: bool = False
    is_whole: bool = False
    choices: tuple[float, ...] = ()  # ascending; then low and high are of their indices

    def place(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        own = self.choices.index(value) if self.choices else value
        return (own - self.low) / (self.high - self.low)

    def value(self, place: float) -> float:
        if self.log:
            own = self.low * math.exp(place * math.log(self.high / self.low))
        else:
            own = self.low + place * (self.high - self.low)
        own = min(self.high, max(self.low, round(own) if self.is_whole else own))
        return self.choices[int(own)] if self.choices else own


def _axis(kind: BaseDistribution) -> _Axis | None:
    """None where there is one value alone, or they are words."""
    match kind:
        case _ if kind.single():
            return None
        case FloatDistribution():
            return _Axis(kind.low, kind.high, kind.log)
        case IntDistribution():
            return _Axis(kind.low, kind.high, kind.log, is_whole=True)
        case CategoricalDistribution():
            numbers = [one for one in kind.choices if isinstance(one, (int, float))]
            if len(numbers) < len(kind.choices):
                return None
            return _Axis(0, len(numbers) - 1, is_whole=True, choices=tuple(sorted(numbers)))
        case _:
            return None
