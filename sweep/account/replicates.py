"""`run.confirm`: the best configurations again with other seeds, before a best is named.

A replicate is a trial of its own in the ledger. Its number says of which: 20004 is trial 4
again with its second further seed. Optuna is told nothing of it, it is in no cohort, and only a
loss that is not finite ends it early.

The original was picked for its value, so that value is too good on average. What is
shown of a configuration is the mean of its new seeds alone; which configuration wins is decided by
the mean of all its seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from sweep.account.constraints import Goal
from sweep.config.limits import STRIDE
from sweep.storage.ledger import TrialRow
from sweep.storage.states import SETTLED, State
from trainer.contract.metrics import higher_is_better


@dataclass(frozen=True, slots=True)
class Plan:
    """What run.confirm in the study file asks for."""

    top: int = 0  # configurations; 0: none are replicated
    seeds: int = 2  # further ones each


@dataclass(frozen=True, slots=True)
class Replicated:
    """A configuration over its seeds."""

    original: int
    first: float  # the original run's value, by which it was picked
    values: tuple[float, ...]  # of its completed replicates, by seed
    is_sound: bool  # no run of it was ended as not finite
    best_run: TrialRow

    @property
    def mean(self) -> float:
        """The estimate: of the new seeds alone. Without any, the value that it was picked by."""
        return fmean(self.values) if self.values else self.first

    @property
    def mean_of_all(self) -> float:
        """What is ranked by. Optimistic by the original, and so no estimate."""
        return fmean((self.first, *self.values))

    @property
    def sd(self) -> float | None:
        """Standard deviation of the new seeds (n - 1); None of fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None

    def place(self, sign: int) -> tuple[bool, bool, float, int]:
        """What is sorted by; `sign` -1 where higher is better. One seed alone confirms nothing."""
        return not self.is_sound, not self.values, sign * self.mean_of_all, self.original


@dataclass(frozen=True, slots=True)
class Configuration:
    """One of the best configurations, trained again with new seeds."""

    number: int
    """the original trial"""
    first: float
    """the original's objective, which it was picked by: too good on average"""
    values: tuple[float, ...]
    """objectives of its completed replicates, by seed"""
    mean: float
    """mean of `values`, the estimate; without any, `first`"""
    sd: float | None
    """standard deviation of `values` (n - 1); null of fewer than two"""
    is_sound: bool
    """no run of it was ended as not finite"""
    best_run: int
    """the trial with the best objective among the original and its replicates"""


@dataclass(frozen=True, slots=True)
class ConfirmReport:
    """How the best configurations do with new seeds (run.confirm)."""

    top: int
    """configurations to be trained again; 0: none"""
    seeds: int
    """new seeds for each"""
    num_settled: int
    """replicates that have ended"""
    num_wanted: int
    """replicates that there will be"""
    is_confirmed: bool
    """all replicates have ended, and the best is named by the mean of all seeds"""
    configurations: tuple[Configuration, ...]
    """best mean of all seeds first"""


def original_of(number: int) -> int:
    """The number of the original that a trial replicates; its own if it is one."""
    return number % STRIDE


def seed_index(number: int) -> int:
    """Which further seed a trial has, from 1; 0 of an original."""
    return number // STRIDE


def is_replicate(number: int) -> bool:
    """Whether a trial of that number trains another one again with a new seed."""
    return number >= STRIDE


def best_first(rows: Iterable[TrialRow], goal: Goal) -> list[TrialRow]:
    """The rows completed with a finite objective, as `Goal.place` ranks them: the best first, and
    after all that are feasible those that break a constraint."""
    completed = [
        row
        for row in rows
        if row.state == State.COMPLETED
        and row.objective is not None
        and math.isfinite(row.objective)
    ]
    return sorted(completed, key=goal.place)


def top_rows(rows: Iterable[TrialRow], goal: Goal, plan: Plan) -> list[TrialRow]:
    """The originals to be replicated, which hold every constraint."""
    if not plan.top:
        return []
    best = best_first((row for row in rows if not is_replicate(row.number)), goal)
    return [row for row in best[: plan.top] if goal.is_feasible(row)]


def wanted_numbers(rows: Sequence[TrialRow], goal: Goal, plan: Plan) -> list[int]:
    """The replicates to be made, the first seed of all before the second of any."""
    numbers = [row.number for row in top_rows(rows, goal, plan)]
    return [STRIDE * i + number for i in range(1, plan.seeds + 1) for number in numbers]


def replicated(rows: Sequence[TrialRow], goal: Goal, plan: Plan) -> list[Replicated]:
    """The configurations to be confirmed over the seeds that there are, the best mean of all seeds
    first; last those that were ended as not finite with some seed, before them those of a single
    seed. The best run of each is one that holds every constraint."""
    found: list[Replicated] = []
    for original in top_rows(rows, goal, plan):
        runs = [
            row
            for row in rows
            if original_of(row.number) == original.number and seed_index(row.number) <= plan.seeds
        ]
        completed = best_first(runs, goal)
        by_seed = sorted(completed, key=lambda row: row.number)
        first, *values = (row.objective for row in by_seed if row.objective is not None)
        is_sound = all(row.state != State.PRUNED for row in runs)
        found.append(Replicated(original.number, first, tuple(values), is_sound, completed[0]))
    sign = -1 if higher_is_better(goal.metric) else 1
    return sorted(found, key=lambda one: one.place(sign))


def confirmed(rows: Sequence[TrialRow], goal: Goal, plan: Plan) -> list[Replicated] | None:
    """The configurations over their seeds, as `replicated` has them. None before every replicate is
    settled, or where none are asked for."""
    states = {row.number: row.state for row in rows}
    wanted = wanted_numbers(rows, goal, plan)
    if not wanted or any(states.get(number) not in SETTLED for number in wanted):
        return None
    return replicated(rows, goal, plan)


def best_trial(rows: Sequence[TrialRow], goal: Goal, plan: Plan) -> TrialRow | None:
    """The best original that holds every constraint; once confirmed, the best single run of the
    best mean of all seeds."""
    found = confirmed(rows, goal, plan)
    if found:
        return found[0].best_run
    first = _first_original(rows, goal)
    return first if first is not None and goal.is_feasible(first) else None


def nearest_trial(rows: Sequence[TrialRow], goal: Goal) -> TrialRow | None:
    """The completed original that is nearest to holding every constraint, while none does; None
    where one does, or none is completed."""
    first = _first_original(rows, goal)
    return None if first is None or goal.is_feasible(first) else first


def _first_original(rows: Iterable[TrialRow], goal: Goal) -> TrialRow | None:
    return next(iter(best_first((r for r in rows if not is_replicate(r.number)), goal)), None)


def confirm_report(rows: Sequence[TrialRow], goal: Goal, plan: Plan) -> ConfirmReport:
    """The report on a study's replicates, made from all of its trials."""
    wanted = wanted_numbers(rows, goal, plan)
    states = {row.number: row.state for row in rows}
    return ConfirmReport(
        top=plan.top,
        seeds=plan.seeds,
        num_settled=sum(states.get(number) in SETTLED for number in wanted),
        num_wanted=len(wanted),
        is_confirmed=confirmed(rows, goal, plan) is not None,
        configurations=tuple(
            Configuration(
                number=one.original,
                first=one.first,
                values=one.values,
                mean=one.mean,
                sd=one.sd,
                is_sound=one.is_sound,
                best_run=one.best_run.number,
            )
            for one in replicated(rows, goal, plan)
        ),
    )
