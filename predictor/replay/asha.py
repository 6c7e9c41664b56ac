"""Asynchronous successive halving with promotion, at the same looks as scouting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from predictor.recorded.runs import RecordedStudy
from predictor.replay.looking import closes_of
from predictor.replay.policies import WindowSetting
from predictor.replay.replay import GO_ON, STOP, WAIT, Answer, Session
from predictor.replay.sessions import Same, rows_of
from predictor.types import LOOKS


@dataclass(frozen=True, slots=True)
class Asha:
    """Every run waits at each rung until it is among the best 1 in `eta` of those that reached it.

    A free worker takes the promotable run of the highest rung, else starts a new one. Rungs are the
    looks, whatever their distances; the rung after the last is the end. Where none is promotable
    and none has come to its end, the best of the highest rung goes on: a study ends with a model.
    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning (arXiv 1810.05934),
    algorithm 2. Unlike Optuna's SuccessiveHalvingPruner it parks and promotes.
    """

    eta: int
    window: WindowSetting = field(default_factory=WindowSetting)
    looks: tuple[float, ...] = LOOKS

    @property
    def name(self) -> str:
        """`ASHA 2`."""
        return f"ASHA {self.eta}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """What it was run with, as JSON values."""
        return {**self.window.to_json(), "looks": list(self.looks), "eta": self.eta}

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session on the study; nothing is drawn."""
        return _Asha(study, self)


class _Asha:
    """Knows of each rung the runs that reached it, and which of these were promoted."""

    def __init__(self, study: RecordedStudy, policy: Asha) -> None:
        closes = closes_of(study, policy.window, policy.looks)
        self.eta, self.rows = policy.eta, rows_of(Same(study), closes)
        own = [study.closing_positions(close) for close in closes]
        self.closes = list(zip(*own, strict=True))
        self.reached: list[dict[int, float]] = [{} for _ in closes]  # by rung: run and value
        self.promoted: list[set[int]] = [set() for _ in closes]
        self.waiting: set[int] = set()
        self.on_their_way: set[int] = set()
        self.has_ended = False

    def start(self, run: int) -> Sequence[float]:
        """The positions of the rungs."""
        self.on_their_way.add(run)
        return self.closes[run]

    def look(self, run: int, position: float) -> Answer:
        """It waits, unless it has no window there to be compared by."""
        rung = self.closes[run].index(position)
        window = self.rows[run][1][rung]
        if window is None:
            return GO_ON
        value = window.early_eval
        self.reached[rung][run] = value if value is not None and math.isfinite(value) else math.inf
        self.on_their_way.discard(run)
        self.waiting.add(run)
        return WAIT

    def end(self, run: int) -> None:
        """It needs no worker any more."""
        self.on_their_way.discard(run)
        self.has_ended |= self.rows[run][0].is_finished

    def wants_more(self) -> bool:
        """Whether none is promotable."""
        return self._promotable() is None

    def resume(self, waiting: Sequence[int]) -> int | None:
        """The promotable run; the best of the highest rung where nothing else would end."""
        found = self._promotable()
        if found is None and not self.has_ended and not self.on_their_way:
            found = self._best_waiting()
        if found is None:
            return None
        rung, run = found
        self.promoted[rung].add(run)
        self.waiting.discard(run)
        self.on_their_way.add(run)
        return run

    def give_up(self, run: int) -> Answer:
        """Nothing is stated of it."""
        return STOP

    def _promotable(self) -> tuple[int, int] | None:
        """The highest rung with one, and the best there."""
        for rung in reversed(range(len(self.reached))):
            reached = self.reached[rung]
            best = sorted(reached, key=lambda run: (reached[run], run))
            for run in best[: len(reached) // self.eta]:
                if run not in self.promoted[rung]:
                    return rung, run
        return None

    def _best_waiting(self) -> tuple[int, int] | None:
        for rung in reversed(range(len(self.reached))):
            here = {
                run: self.reached[rung][run] for run in self.waiting & self.reached[rung].keys()
            }
            here = {run: y for run, y in here.items() if run not in self.promoted[rung]}
            if here:
                return rung, min(here, key=lambda run: (here[run], run))
        return None
