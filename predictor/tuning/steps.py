"""The search for settings: screening, folds, and what is cheapest within a limit of regret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import order_seeds
from predictor.tuning.design import Candidate
from predictor.tuning.replays import Replays, Unit

FEWEST_RUNS = 8  # finished: in all, and of each seed that is held out
REGRET_LIMIT = 0.02  # mean, a share of median - best
LIMITS = (0.005, 0.01, REGRET_LIMIT, 0.05, 0.1)
MOST_AT_ONCE = 20_000  # decisions: so few are replayed in full, without screening
SCREENED = ((1, 4), (3, 2))  # orders, and settings that stay for each limit


class NothingToHoldOut(ValueError):
    """One study of one seed in one order."""


FoldsOver = Literal["workloads", "studies", "seeds", "orders"]


@dataclass(frozen=True, slots=True)
class Folds:
    """The units of a search, in the folds that are held out in turn."""

    over: FoldsOver
    studies: tuple[RecordedStudy, ...]  # one study may have come apart by its seeds
    units: tuple[Unit, ...]  # of each study its orders, those that `sweep replay` has
    held_out: tuple[frozenset[Unit], ...]

    @property
    def num_orders(self) -> int:
        """In how many orders each study is replayed."""
        return len(self.units) // len(self.studies)


def make_folds(studies: Sequence[RecordedStudy], num_orders: int, seed: int = 0) -> Folds:
    """The folds over workloads where there are several, else studies, seeds of the one study, or
    orders.

    NothingToHoldOut where it is so.
    """
    parts = tuple(studies) if len(studies) > 1 else _by_seed(studies[0])
    units = tuple(
        Unit(i, order)
        for i, part in enumerate(parts)
        for order in order_seeds(seed, part.name, num_orders)
    )
    if len(studies) > 1:
        workloads = [study.workload for study in studies]
        over = "workloads" if len(set(workloads)) > 1 else "studies"
        names = workloads if over == "workloads" else [study.name for study in studies]
    elif len(parts) > 1:
        over, names = "seeds", [study.name for study in parts]
    else:
        if num_orders < 2:
            raise NothingToHoldOut(
                f"{studies[0].name}: one study of one seed needs 2 orders or more, one of them to "
                "be held out"
            )
        return Folds("orders", parts, units, tuple(frozenset({unit}) for unit in units))
    held = tuple(
        frozenset(unit for unit in units if names[unit.study] == name)
        for name in dict.fromkeys(names)
    )
    return Folds(over, parts, units, held)


def _by_seed(study: RecordedStudy) -> tuple[RecordedStudy, ...]:
    """A study for each seed, where each has enough runs to prune among; else the one study."""
    seeds = dict.fromkeys(run.seed for run in study.runs)
    parts = [
        replace(
            study,
            name=f"{study.name}, seed {seed}",
            runs=tuple(run for run in study.runs if run.seed == seed),
        )
        for seed in seeds
    ]
    enough = all(sum(run.is_finished for run in part.runs) >= FEWEST_RUNS for part in parts)
    return tuple(parts) if enough else (study,)


class Search:
    """Chooses on all units and without each fold, in step with one another, so that the folds
    share their replays."""

    def __init__(
        self,
        folds: Folds,
        replays: Replays,
        base: Candidate,
        on_start: Callable[[int], None] = lambda num_more: None,
    ) -> None:
        self.folds, self.replays, self.base = folds, replays, base
        self.on_start = on_start
        self.units = folds.units
        self.training = [
            self.units,
            *([unit for unit in self.units if unit not in held] for held in folds.held_out),
        ]

    def choose(self, candidates: Sequence[Candidate]) -> list[list[Candidate]]:
        """The chosen settings, one for each limit: [0] by everything; [1 + i] without fold i, on
        which they are then replayed."""
        alive = [list(candidates) for _ in self.training]
        for num_orders, num_kept in self._screenings(len(candidates)):
            seen = [self._first(units, num_orders) for units in self.training]
            self._run_all(alive, seen)
            for split, units in enumerate(seen):
                alive[split] = self._survivors(alive[split], units, num_kept)
        self._run_all(alive, self.training)
        chosen = [
            [self._cheapest(own, units, limit, 1)[0] for limit in LIMITS]
            for own, units in zip(alive, self.training, strict=True)
        ]
        self.run(
            [
                (candidate, unit)
                for own, held in zip(chosen[1:], self.folds.held_out, strict=True)
                for candidate in own
                for unit in sorted(held)
            ]
        )
        return chosen

    def run(self, tasks: Sequence[tuple[Candidate, Unit]]) -> None:
        """The outcomes of these settings on these units are known; `on_start` has heard how many
        are new."""
        self.on_start(len({task for task in tasks if task not in self.replays.known}))
        self.replays.run(tasks)

    def _screenings(self, num_candidates: int) -> list[tuple[int, int]]:
        num_runs = sum(len(study.runs) for study in self.folds.studies)
        if num_candidates * num_runs * self.folds.num_orders <= MOST_AT_ONCE:
            return []
        return [(orders, kept) for orders, kept in SCREENED if orders < self.folds.num_orders]

    def _first(self, units: Sequence[Unit], num_orders: int) -> list[Unit]:
        """Of each study the first orders."""
        first: dict[int, list[Unit]] = {}
        for unit in units:
            first.setdefault(unit.study, []).append(unit)
        return [unit for own in first.values() for unit in own[:num_orders]]

    def _run_all(
        self, alive: Sequence[Sequence[Candidate]], units: Sequence[Sequence[Unit]]
    ) -> None:
        self.run(
            [(c, u) for own, seen in zip(alive, units, strict=True) for c in own for u in seen]
        )

    def _survivors(
        self, candidates: Sequence[Candidate], units: Sequence[Unit], num_kept: int
    ) -> list[Candidate]:
        """The best for each limit, and the base, which is measured against."""
        best = [c for limit in LIMITS for c in self._cheapest(candidates, units, limit, num_kept)]
        return list(dict.fromkeys((self.base, *best)))

    def _cheapest(
        self, candidates: Sequence[Candidate], units: Sequence[Unit], limit: float, num: int
    ) -> list[Candidate]:
        """Least mean compute at a mean regret within the limit; those beyond it come after, by
        their regret. The earlier of equals, so that the base wins ties."""

        def key(candidate: Candidate) -> tuple[bool, float]:
            outcomes = [self.replays.of(candidate, unit) for unit in units]
            regret = float(np.mean([o.regret for o in outcomes]))
            compute = float(np.mean([o.compute for o in outcomes]))
            return (True, regret) if regret > limit else (False, compute)

        return sorted(candidates, key=key)[:num]
