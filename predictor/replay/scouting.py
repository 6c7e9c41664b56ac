"""Scouting as a policy to replay: all runs to their first look, then those that promise most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from predictor.audit import is_audited
from predictor.gap.plan import GapForecast, plan
from predictor.gap.prior import GapPrior, prior_for
from predictor.recorded.runs import RecordedStudy
from predictor.replay.policies import WindowSetting
from predictor.replay.replay import GO_ON, WAIT, Answer, Session
from predictor.replay.sessions import Same, rows_of
from predictor.types import CohortTrial, Settings

APART = 1.25  # a look before so many windows would be a second one at the window


@dataclass(frozen=True, slots=True)
class Scouting:
    """The gap model: scout all, park, advance the most promising one look at a time."""

    pruning: Settings
    window: WindowSetting = field(default_factory=WindowSetting)
    prior: GapPrior | None = None  # None: the shipped one, without the study's own family
    name: str = "scouting"

    @property
    def settings(self) -> Mapping[str, Any]:
        """What it was run with, as JSON values."""
        names = ("risk", "min_gain", "max_expected_misses", "audit")
        own = {name: getattr(self.pruning, name) for name in names}
        return {**self.window.to_json(), "looks": list(self.pruning.looks), **own}

    def closes(self, study: RecordedStudy) -> tuple[float, ...]:
        """The positions of the looks, ascending: the window's, and those well after it."""
        first, horizon = self.window.close(study), min(run.horizon for run in study.runs)
        later = [share * horizon for share in self.pruning.looks]
        return (first, *(close for close in later if close > APART * first))

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session on the study; `seed` is that of the audits."""
        return _Scouting(study, self, seed)


class _Scouting:
    """Knows of a run the looks that it has reached, and its end when it is there."""

    def __init__(self, study: RecordedStudy, policy: Scouting, seed: int) -> None:
        self.policy = policy
        self.prior = policy.prior or prior_for(study.name)
        self.coins = replace(policy.pruning, seed=seed)
        closes, horizon = policy.closes(study), min(run.horizon for run in study.runs)
        self.shares = [close / horizon for close in closes]
        self.rows = rows_of(Same(study), closes)
        own = [study.closing_positions(close) for close in closes]
        self.closes = list(zip(*own, strict=True))
        self.seen: dict[int, CohortTrial] = {}
        self.forecasts: Mapping[int, GapForecast] = {}
        self.audited: set[int] = set()

    def start(self, run: int) -> Sequence[float]:
        """The positions of the run's looks."""
        return self.closes[run]

    def look(self, run: int, position: float) -> Answer:
        """It waits, to be chosen, unless it is audited already."""
        trial, windows = self.rows[run]
        reached = windows[: self.closes[run].index(position) + 1]
        own = [window for window in reached if window is not None]
        if own:
            self.seen[run] = replace(trial, objective=None, window=own[0], looks=tuple(own[1:]))
        return GO_ON if run in self.audited or not own else WAIT

    def end(self, run: int) -> None:
        """Its objective is known; of a run that a guard ended there is nothing to compare."""
        trial, _ = self.rows[run]
        if trial.is_finished and run in self.seen:
            self.seen[run] = replace(self.seen[run], objective=trial.objective)
        else:
            self.seen.pop(run, None)

    def wants_more(self) -> bool:
        """Every run is scouted."""
        return True

    def resume(self, waiting: Sequence[int]) -> int | None:
        """The run that promises most; when none is worth it, those that are audited."""
        busy = self.seen.keys() - set(waiting)
        found = plan(list(self.seen.values()), self.shares, self.coins, self.prior, busy)
        self.forecasts = found.forecasts
        if found.next is not None or busy - self._finished():
            return found.next
        settings = self.coins
        drawn = [run for run in waiting if is_audited(settings.seed, run, settings.audit)]
        self.audited.update(drawn)
        return drawn[0] if drawn else None

    def give_up(self, run: int) -> Answer:
        """The probability that it would have overtaken the leader, as it is stated at the end."""
        own = self.forecasts.get(run)
        return Answer("stop", None if own is None else own.probability)

    def _finished(self) -> set[int]:
        return {run for run, trial in self.seen.items() if trial.is_finished}
