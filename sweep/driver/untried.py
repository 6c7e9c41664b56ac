"""Draws of what has not been tried yet.

Samplers draw the same point again, and in a study of one seed a trial of the same point is the same
to the last digit: it would cost a whole training and tell nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from sweep.config.checks import num_points
from sweep.config.limits import STRIDE
from sweep.config.study import Study
from sweep.driver.sampling import distributions, grid_points
from sweep.driver.shadow import Ends, shadow_study

Point = Mapping[str, Any]  # the value of everything that is searched
IsTried = Callable[[Point], bool]

SAMPLER_DRAWS = 8  # TPE may prefer points that are tried for ever: then any untried one will do
RANDOM_DRAWS = 1000  # of countless points, which may all round to one training


class Points:
    """The untried points of a study's space; once there is none there never will be."""

    def __init__(self, study: Study) -> None:
        count = num_points(study.search.space)
        self._listed: deque[dict[str, Any]] | None = None
        if study.search.sampler == "grid" or (count is not None and count <= STRIDE):
            self._listed = deque(grid_points(study))
        self._distributions = distributions(study)
        self._is_empty = False

    def untried(self, fixed: Point, is_tried: IsTried, seed: int) -> dict[str, Any] | None:
        """The first of a grid, else any, with the values of `fixed` in place of its own. None: all
        that were looked at are tried."""
        if not fixed and self._listed is not None:
            while self._listed and is_tried(self._listed[0]):
                self._listed.popleft()
            return dict(self._listed[0]) if self._listed else None
        if self._is_empty:
            return None
        points = self._random(seed) if self._listed is None else iter(self._listed)
        found = next((p for p in ({**p, **fixed} for p in points) if not is_tried(p)), None)
        self._is_empty = found is None and not fixed
        return found

    def _random(self, seed: int) -> Iterator[dict[str, Any]]:
        sampler, nowhere = RandomSampler(seed), optuna.create_study()
        trial = optuna.trial.create_trial(state=TrialState.RUNNING)
        for _ in range(RANDOM_DRAWS):
            yield {
                name: sampler.sample_independent(nowhere, trial, name, kind)
                for name, kind in self._distributions.items()
            }


class UntriedSampler(BaseSampler):
    """Draws whole points, but for what is `fixed`, each with a sampler of its own, until one is
    untried; after `num_draws` it takes `fallback`. With `ends` it draws on the study's shadow, in
    which trials have these."""

    def __init__(
        self,
        make_sampler: Callable[[int], BaseSampler],
        num_draws: int,
        space: Mapping[str, BaseDistribution],
        fixed: Point,
        fallback: Point,
        is_tried: IsTried,
        ends: Ends | None = None,
    ) -> None:
        self._make_sampler, self._num_draws, self._ends = make_sampler, num_draws, ends
        self._free = {name: kind for name, kind in space.items() if name not in fixed}
        self._fixed, self._fallback, self._is_tried = fixed, fallback, is_tried

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All that is searched and not fixed."""
        return self._free

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values of an untried point, or of `fallback` after `num_draws`; those that are fixed
        left out."""
        if self._ends is not None and self._num_draws:
            study = shadow_study(study, self._ends)
            trial = study.get_trials(deepcopy=False)[trial.number]
        for draw in range(self._num_draws):
            sampler = self._make_sampler(draw)
            space = sampler.infer_relative_search_space(study, trial)
            drawn = sampler.sample_relative(study, trial, space)
            point = {
                name: drawn[name]
                if name in drawn
                else sampler.sample_independent(study, trial, name, kind)
                for name, kind in self._free.items()
            }
            if not self._is_tried({**point, **self._fixed}):
                return point
        return {name: self._fallback[name] for name in self._free}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Raise AssertionError: every parameter is part of the whole point."""
        raise AssertionError(f"{param_name} is part of the whole point")
