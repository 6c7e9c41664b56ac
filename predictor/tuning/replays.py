"""Replays of many settings, side by side in processes, each made once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from predictor.recorded.runs import RecordedStudy
from predictor.replay.regret import LOST, Ends
from predictor.replay.replay import Replay, replay
from predictor.replay.workers import Workers
from predictor.tuning.design import Candidate


class Unit(NamedTuple):
    """A study in one order."""

    study: int  # an index
    order: int  # the seed of it


class LostRun(NamedTuple):
    """A run that was stopped, and would have been better than any kept by more than LOST."""

    run: str
    objective: float  # as minimized, like the next
    best_kept: float
    regret: float  # the difference, as a share of median - best
    probability: float | None  # stated when it was stopped, as the two below
    before: float | None  # P0
    reason: str | None


class Outcome(NamedTuple):
    """What one replay under one setting came to."""

    compute: float
    regret: float
    num_prunes: int
    num_misses: int
    stated_misses: float
    lost: tuple[LostRun, ...]


Task = tuple[Candidate, Unit]


class Replays:
    """The outcomes of settings on units. What was replayed before is not replayed again."""

    def __init__(
        self,
        studies: Sequence[RecordedStudy],
        *,
        num_workers: int = 1,
        num_processes: int = 1,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        """`studies` as `replayable` gives them; `on_done` is called after each replay."""
        self.studies, self.on_done = studies, on_done
        self.known: dict[Task, Outcome] = {}
        self.workers = Workers((studies, num_workers), num_processes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.workers.__exit__(kind, error, traceback)

    def run(self, tasks: Iterable[Task]) -> None:
        """The outcome of every task is known; those that were not are replayed now."""
        new = [task for task in dict.fromkeys(tasks) if task not in self.known]
        outcomes = self.workers.map(_outcome, new)
        for task, outcome in zip(new, outcomes, strict=True):
            self.known[task] = outcome
            self.on_done()

    def of(self, candidate: Candidate, unit: Unit) -> Outcome:
        """What the setting did on the unit. KeyError where it was not run."""
        return self.known[candidate, unit]


def _outcome(shared: tuple[Sequence[RecordedStudy], int], task: Task) -> Outcome:
    studies, num_workers = shared
    candidate, unit = task
    study = studies[unit.study]
    min_gain = candidate.settings.min_gain
    found = replay(
        study, candidate.policy, seed=unit.order, num_workers=num_workers, min_gain=min_gain
    )
    return Outcome(
        found.compute,
        found.regret,
        len(found.prunes),
        found.num_misses,
        math.fsum(prune.probability or 0.0 for prune in found.prunes),
        _lost(study, found),
    )


def _lost(study: RecordedStudy, found: Replay) -> tuple[LostRun, ...]:
    if not found.lost_best:
        return ()
    ends = Ends.of(study)
    objectives = {
        run.name: float(objective)
        for run, objective in zip(study.runs, ends.objectives, strict=True)
        if math.isfinite(objective)
    }
    best_kept = min((objectives[name] for name in found.kept), default=max(objectives.values()))
    lost: list[LostRun] = []
    for prune in found.prunes:
        objective = objectives.get(prune.run, math.inf)
        regret = (best_kept - objective) / ends.spread
        if regret > LOST:
            reason = _with_names(prune.reason, study)
            stated = prune.probability, prune.p0, reason
            lost.append(LostRun(prune.run, objective, best_kept, regret, *stated))
    return tuple(lost)


def _with_names(reason: str | None, study: RecordedStudy) -> str | None:
    """A replay numbers the trials by their place in the study, which tells a person nothing."""

    def named(match: re.Match[str]) -> str:
        return f"beats run {study.runs[int(match[1])].name})"

    return reason and re.sub(r"beats trial (\d+)\)", named, reason)
