"""A tracker is brought in line with the ledger, again and again: what it has already is left, so
that neither a trial that is resumed nor a driver that is killed doubles a point."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from predictor.types import Observation
from sweep.report.study_report import study_report
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import TrialSummary
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from sweep.storage.states import State
from sweep.trackers.contents import (
    digest,
    study_end,
    study_run,
    trial_end,
    trial_points,
    trial_run,
)
from sweep.trackers.runs import Run, Tracker
from trainer.contract.files import write_text

ACTIVE = (State.RUNNING, State.WAITING)
MOST_FAILURES = 3  # one after the other: the tracker is not to be had


@dataclass(slots=True)
class _Open:
    """A run that the tracker has open."""

    run: Run
    held: int  # the last step that the tracker has


@dataclass(slots=True)
class Mirror:
    """What a tracker has of one study. `memory`: a file for what was closed, and how; it may be
    deleted, then everything is mirrored anew."""

    ledger: Ledger
    paths: StudyPaths
    tracker: Tracker
    memory: Path
    on_progress: Callable[[], None] = lambda: None
    _open: dict[int, _Open] = field(default_factory=dict[int, _Open])
    _closed: dict[str, str] = field(init=False)  # run's key -> digest of its end
    _states: dict[int, str] = field(default_factory=dict[int, str])

    def __post_init__(self) -> None:
        self._closed = _read(self.memory)

    def sync(self, *, is_last: bool = False) -> None:
        """The tracker has what the ledger has. `is_last`: the driver has ended, and all runs are
        closed. Raises what the tracker or the storage raises, the first of it, after the other
        trials have had their turn."""
        states = self.ledger.read_states()
        if states == self._states and not is_last and State.RUNNING not in states.values():
            return
        # Observations before the report: what a step's look showed is then never missed.
        active = [number for number, state in states.items() if state in ACTIVE]
        ahead = {} if is_last else {number: self._new(number) for number in active}
        report = study_report(self.ledger, self.paths)
        failures: list[Exception] = []
        try:
            for trial in report.trials:
                try:
                    if trial.state in ACTIVE and not is_last:
                        self._follow(report, trial, ahead.get(trial.number, ()))
                    elif trial.attempts:
                        self._complete(report, trial)
                except Exception as error:  # of whatever library it is
                    self._open.pop(trial.number, None)
                    failures.append(error)
                    if len(failures) == MOST_FAILURES:
                        break
            if is_last and not failures:
                self._close_study(report)
        finally:
            write_text(self.memory, json.dumps(self._closed, indent=0))
        if failures:
            raise failures[0]
        self._states = states

    def _new(self, number: int) -> list[Observation]:
        held = self._open[number].held if number in self._open else 0
        return self.ledger.read_observations(number, after=held)

    def _follow(
        self, report: StudyReport, trial: TrialSummary, seen: Sequence[Observation]
    ) -> None:
        """A trial under way, but for its last step: a look at that may come yet, and each step is
        told once."""
        if len(seen) > 1:
            self._log(self._opened(trial_run(report, trial), trial), trial, seen[:-1])

    def _complete(self, report: StudyReport, trial: TrialSummary) -> None:
        """A trial that does not go on for now."""
        run, end = trial_run(report, trial), trial_end(trial)
        if trial.number not in self._open and self._closed.get(run.key) == digest(end):
            return
        here = self._opened(run, trial)
        self._log(here, trial, self._new(trial.number))
        self.tracker.close(run, here.held, end)
        self._closed[run.key] = digest(end)
        del self._open[trial.number]
        self.on_progress()

    def _close_study(self, report: StudyReport) -> None:
        run, end = study_run(report), study_end(report)
        if self._closed.get(run.key) != digest(end):
            self.tracker.open(run)
            self.tracker.close(run, int(end.values["trials/settled"]), end)
            self._closed[run.key] = digest(end)
            self.on_progress()

    def _opened(self, run: Run, trial: TrialSummary) -> _Open:
        if trial.number not in self._open:
            self._open[trial.number] = _Open(run, self.tracker.open(run))
        return self._open[trial.number]

    def _log(self, here: _Open, trial: TrialSummary, seen: Sequence[Observation]) -> None:
        if points := trial_points(trial, seen, here.held):
            self.tracker.log(here.run, points)
            here.held = points[-1].step
            self.on_progress()


def _read(memory: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return found
