"""What a sampler gains that is shown where scouts are expected to end.

`python -m studies.experiments.sampler_sees_scouts [--seeds N] [--samplers NAME ...]`, in the
checkout: whole scouting studies of 24 trials on fitted surfaces of the recorded sets, the gap
model's prior always of other families. All in median - best of the surface, by expected ends: the
24th scout's configuration, the mean of the last 8, the best of the 24, and the one that the study
delivers; and its compute as a share of all trials trained to their end. Intervals are over seeds;
differences to the first sampler are of equal seeds.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from predictor.gap.ends import expected_ends
from predictor.gap.plan import plan
from predictor.gap.prior import GapPrior
from predictor.types import LOOKS, CohortTrial, Settings
from studies.experiments.gap_prior import SETS, prior_of, recorded
from studies.experiments.surfaces import Seen, Surface
from sweep.config.study import Study
from sweep.driver.cma_es import ReplayedCmaEs
from sweep.driver.optuna_private import QuickTPE
from sweep.driver.sampling import distributions, draw_seed
from sweep.driver.shadow import End, shadow_study

NUM, SETTINGS = 24, Settings(audit=0.0)
BATCHES: dict[str, Any] = {"batch_size": {"choices": [8, 16, 32, 64]}}
SPACES: dict[str, dict[str, Any]] = {
    "smollm2-gpu": BATCHES
    | {
        "learning_rate": {"low": 5e-6, "high": 2.5e-3, "log": True},
        "schedule": {"choices": ["constant", "linear", "cosine"]},
        "warmup_ratio": {"choices": [0.0, 0.1]},
        "weight_decay": {"choices": [0.0, 0.1]},
    },
    "quickstart": BATCHES | {"learning_rate": {"low": 2e-5, "high": 2e-2, "log": True}},
}


def _tpe(startup: int, random_every: int = 0) -> Callable[[Study, int], BaseSampler]:
    def make(study: Study, number: int) -> BaseSampler:
        is_random = random_every and number % random_every == random_every - 1
        return QuickTPE(
            distributions(study),
            seed=draw_seed(study, number, 0),
            n_startup_trials=NUM if is_random else startup,
            constant_liar=False,
        )

    return make


SAMPLERS: dict[str, Callable[[Study, int], BaseSampler]] = {
    "random": lambda study, number: RandomSampler(draw_seed(study, number, 0)),
    "tpe, 5 at random": _tpe(5),
    "tpe, 8 at random": _tpe(8),
    "tpe, 12 at random": _tpe(12),
    "tpe, 8 at random, shown the true ends": _tpe(8),
    "tpe, 5, every 2nd at random": _tpe(5, 2),
    "tpe, 5, every 3rd at random": _tpe(5, 3),
    "cmaes, 5 at random": lambda study, number: ReplayedCmaEs(
        distributions(study), draw_seed(study, number, 0), 5
    ),
    "gp, 5 at random": lambda study, number: GPSampler(
        seed=draw_seed(study, number, 0), n_startup_trials=5, warn_independent_sampling=False
    ),
}

KNOWING = {"tpe, 8 at random, shown the true ends"}  # what perfect forecasts would be worth


def main() -> None:
    """Print a table for each surface, and one over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--samplers", nargs="*", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--looks", type=int, default=1, help="how many; the quickstart has one")
    parser.add_argument("--rounds", type=int, default=0, help="scouts until one is finished")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    names = arguments.samplers
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for family, space in SPACES.items():
        prior = prior_of([name for name in SETS if name != family])
        for recorded_study in recorded(family):
            if "mmlu" in recorded_study.name:
                continue
            surface = Surface(recorded_study, LOOKS[: arguments.looks])
            for name in names:
                of_seeds = [
                    _Scouts(surface, space, seed, prior, knows_ends=name in KNOWING).run(
                        SAMPLERS[name], arguments.rounds
                    )
                    for seed in range(arguments.seeds)
                ]
                found[name].append(np.array(of_seeds))
                _show(f"{surface.name}: {name}", found[name][-1])
    for name in names:
        _show(f"all: {name}", np.mean(found[name], axis=0))
    for name in names[1:]:
        _show(
            f"{name} - {names[0]}", np.mean(found[name], axis=0) - np.mean(found[names[0]], axis=0)
        )


def _show(title: str, rows: np.ndarray) -> None:
    """`rows`: (num_seeds, 5)."""
    half = 1.96 * rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
    columns = ("24th", "last 8", "best of 24", "delivered", "compute")
    each = zip(columns, rows.mean(axis=0), half, strict=True)
    print(f"{title:50}", *(f"{name} {mean:.3f} ± {h:.3f} " for name, mean, h in each), flush=True)


class _Scouts:
    """A scouting study with one worker."""

    def __init__(
        self,
        surface: Surface,
        space: dict[str, Any],
        seed: int,
        prior: GapPrior,
        *,
        knows_ends: bool,
    ) -> None:
        self.surface, self.prior, self.knows_ends = surface, prior, knows_ends
        self.study = Study.model_validate(
            {
                "name": "try",
                "model": {"base": "org/model"},
                "data": {"train": "org/rows", "eval": "org/rows:test"},
                "budget": {"samples": 2048},
                "search": {"space": space},
                "run": {"seed": seed},
            }
        )
        self.space = distributions(self.study)
        self.noise = np.random.default_rng(seed)
        self.truth = optuna.create_study()  # as Optuna has it: all run
        self.hidden: list[Seen] = []
        self.cohort: list[CohortTrial] = []

    def run(self, sampler: Callable[[Study, int], BaseSampler], rounds: int) -> list[float]:
        for number in range(NUM):
            self.scout(number, sampler(self.study, number))
            if rounds and number % rounds == rounds - 1:
                self.advance(only_one=True)
        self.advance()
        finished = [t for t in self.cohort if t.objective is not None]
        leader = min(finished, key=lambda t: (t.objective, t.number))
        best, spread = _scale(self.surface, tuple(self.space.items()))
        ends = (np.array([one.expected for one in self.hidden]) - best) / spread
        compute = [
            1.0 if t.objective is not None else self.surface.shares[len(t.looks)]
            for t in self.cohort
        ]
        return [
            float(value)
            for value in (
                ends[-1],
                ends[-8:].mean(),
                ends.min(),
                ends[leader.number],
                np.mean(compute),
            )
        ]

    def scout(self, number: int, sampler: BaseSampler) -> None:
        """Draw a configuration on the shadow study, and look at it."""
        if self.knows_ends:
            ends = {number: seen.expected for number, seen in enumerate(self.hidden)}
        else:
            ends = expected_ends(self.cohort, self.surface.shares, self.prior)
        shadow = shadow_study(self.truth, {n: End(end) for n, end in ends.items()})
        trial = shadow.ask()
        config = _drawn(sampler, shadow, shadow.get_trials(deepcopy=False)[number], self.space)
        self.truth.add_trial(
            create_trial(state=TrialState.RUNNING, params=config, distributions=self.space)
        )
        assert trial.number == number
        seen = self.surface.train(config, self.noise)
        self.hidden.append(seen)
        self.cohort.append(CohortTrial(number, config, seen.looks[0]))

    def advance(self, only_one: bool = False) -> None:
        """The most promising go on, look by look, until none is worth it, or one has finished."""
        while True:
            found = plan(self.cohort, self.surface.shares, SETTINGS, self.prior)
            if found.next is None:
                return
            own, seen = self.cohort[found.next], self.hidden[found.next]
            num_looks = 1 + len(own.looks)
            if num_looks < len(seen.looks):
                self.cohort[own.number] = replace(own, looks=seen.looks[1 : num_looks + 1])
                continue
            self.cohort[own.number] = replace(own, objective=seen.end)
            if only_one:
                return


def _drawn(
    sampler: BaseSampler, study: optuna.Study, trial: FrozenTrial, space: dict[str, Any]
) -> dict[str, Any]:
    relative = sampler.infer_relative_search_space(study, trial)
    drawn = sampler.sample_relative(study, trial, relative)
    return {
        name: drawn[name] if name in drawn else sampler.sample_independent(study, trial, name, kind)
        for name, kind in space.items()
    }


@cache
def _scale(surface: Surface, space: tuple[tuple[str, Any], ...]) -> tuple[float, float]:
    """The best and median - best of the surface's expected ends, over 1,000 random draws."""
    nowhere, sampler = optuna.create_study(), RandomSampler(0)
    trial = create_trial(state=TrialState.RUNNING)
    drawn = [
        {name: sampler.sample_independent(nowhere, trial, name, kind) for name, kind in space}
        for _ in range(1000)
    ]
    ends = surface.expected(drawn)
    return float(ends.min()), float(np.median(ends) - ends.min())


if __name__ == "__main__":
    main()
