"""How policies follow a replay: which runs they start, where they look, and what they have seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from predictor.recorded.gap_pool import looks_of
from predictor.recorded.runs import RecordedStudy
from predictor.replay.replay import GO_ON, STOP, WAIT, Answer
from predictor.types import CohortTrial, WindowSignals

Rows = list[tuple[CohortTrial, list[WindowSignals | None]]]  # a run, and its windows at the looks


class Rule(Protocol):
    """Decides at the window: `trial` has no objective yet; `seen` are all others with a window."""

    def __call__(self, trial: CohortTrial, seen: Sequence[CohortTrial], seed: int) -> Answer:
        """The answer; `seed` is that of the order."""
        ...


class FirstRuns:
    """A session without a look."""

    def __init__(self, num_runs: int) -> None:
        self.num_left = num_runs

    def start(self, run: int) -> Sequence[float]:
        """No position: a run that has started goes to its end."""
        self.num_left -= 1
        return ()

    def look(self, run: int, position: float) -> Answer:
        """Always to go on."""
        return GO_ON

    def end(self, run: int) -> None:
        """Nothing changes."""
        pass

    def wants_more(self) -> bool:
        """Whether fewer than `num_runs` were started."""
        return self.num_left > 0

    def resume(self, waiting: Sequence[int]) -> int | None:
        """None: no run waits."""
        return None

    def give_up(self, run: int) -> Answer:
        """Not asked: no run waits."""
        return STOP


class Looks:
    """A session with one look, which sees what has happened by then and no more."""

    def __init__(self, study: RecordedStudy, close: float, rule: Rule, seed: int) -> None:
        self.rule, self.seed = rule, seed
        self.trials = _trials_of(Same(study), close)
        self.closes = study.closing_positions(close)
        self.seen: dict[int, CohortTrial] = {}

    def start(self, run: int) -> Sequence[float]:
        """The position at which the run's window closes; none where it ended before."""
        return () if self.trials[run].window is None else (self.closes[run],)

    def look(self, run: int, position: float) -> Answer:
        """The rule's answer; from now on the run is among those seen."""
        trial = replace(self.trials[run], objective=None)
        answer = self.rule(trial, list(self.seen.values()), self.seed)
        missed = answer.probability or 0.0 if answer.action == "stop" else 0.0
        self.seen[run] = replace(trial, expected_miss=missed)
        return answer

    def end(self, run: int) -> None:
        """The run's objective is known to the rule, if it was seen."""
        if run in self.seen:
            self.seen[run] = replace(self.seen[run], objective=self.trials[run].objective)

    def wants_more(self) -> bool:
        """Always True: every run is started."""
        return True

    def resume(self, waiting: Sequence[int]) -> int | None:
        """None: no run waits."""
        return None

    def give_up(self, run: int) -> Answer:
        """Not asked: no run waits."""
        return STOP


class Scouts:
    """A session in which every run waits at its window, until all are there."""

    def __init__(self, study: RecordedStudy, close: float, num_kept: int) -> None:
        windows = [trial.window for trial in _trials_of(Same(study), close)]
        evals = [math.inf if w is None or w.early_eval is None else w.early_eval for w in windows]
        self.early_evals = [math.inf if math.isnan(value) else value for value in evals]
        self.closes = study.closing_positions(close)
        self.on_their_way = set(range(len(study.runs)))
        self.num_left = num_kept

    def start(self, run: int) -> Sequence[float]:
        """The position at which the run's window closes."""
        return (self.closes[run],)

    def look(self, run: int, position: float) -> Answer:
        """Always to wait."""
        self.on_their_way.discard(run)
        return WAIT

    def end(self, run: int) -> None:
        """The run is no longer on its way to its window."""
        self.on_their_way.discard(run)

    def wants_more(self) -> bool:
        """Always True: every run is started."""
        return True

    def resume(self, waiting: Sequence[int]) -> int | None:
        """The waiting run with the lowest early evaluation, once no run is on its way to its
        window; None before, and when `num_kept` were resumed."""
        if self.on_their_way or self.num_left == 0:
            return None
        self.num_left -= 1
        return min(waiting, key=lambda run: self.early_evals[run])

    def give_up(self, run: int) -> Answer:
        """Nothing is stated of it."""
        return STOP


class Same:
    """A study as a key: it is equal to itself alone."""

    __slots__ = ("study",)

    def __init__(self, study: RecordedStudy) -> None:
        self.study = study

    def __hash__(self) -> int:
        return id(self.study)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.study is self.study


@lru_cache(maxsize=16)
def _trials_of(same: Same, close: float) -> tuple[CohortTrial, ...]:
    """As the study's `trials`, found once for all policies that look at this window."""
    return tuple(same.study.trials(close))


@lru_cache(maxsize=16)
def rows_of(same: Same, closes: tuple[float, ...]) -> Rows:
    """The runs at the looks that close there, found once for all policies that look there."""
    return looks_of(same.study, closes)
