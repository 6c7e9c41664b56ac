"""A study is driven in sessions: a cause outside ends one, and when it is gone the next goes on.

It goes on as a command that is started again does: it opens the study and recovers it. Beyond that
it has what the session before could not write.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sweep.account.outcome import EXIT_OUTSIDE, FINISHED, Outcome, Standing, exit_code
from sweep.config.load import LoadedStudy
from sweep.driver import max_hours
from sweep.driver.ending import refresh_card, report, report_final, say_outside
from sweep.driver.final import measure_final
from sweep.driver.leaving import Trouble, detail
from sweep.driver.open_study import opened
from sweep.driver.study_state import StudyState
from sweep.executors import Executor, Slot
from sweep.formats import duration
from sweep.orchestrator import Driver
from sweep.report.view import View
from sweep.storage.engine import sqlite_file
from sweep.storage.find import Location
from sweep.storage.paths import StudyPaths
from sweep.storage.unwritten import Unwritten
from sweep.trackers.host import Trackers
from trainer.contract.outside import Cause, OutsideError, cause_of, described, is_there, trouble_in
from trainer.contract.signals import Signals

PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)  # between two sessions, while none gets anything done


@dataclass(slots=True)
class Sessions:
    """A command of `sweep run`, from one session of its study to the next."""

    loaded: LoadedStudy
    paths: StudyPaths
    url: str
    executor: Executor
    slots: Sequence[Slot]
    threads_per_trial: int
    view: View
    _unwritten: Unwritten | None = None  # of the session before; None: there has been none
    _trouble: Trouble | None = None
    _since_s: float | None = None  # since when nothing gets done; time.monotonic
    _num_idle: int = 0  # sessions since then
    _interrupted_by: int | None = None  # a signal that a session has heard
    _used_s: float | None = None  # of run.max_hours, by the commands before
    _began_s: float = field(default_factory=lambda: max_hours.now())

    def run(self) -> int:
        """The command's exit code."""
        with Trackers(self.loaded.study.run.report_to, self.view) as trackers:
            return self._run(trackers)

    def _run(self, trackers: Trackers) -> int:
        while True:
            try:
                code = self._drive(trackers)
            except Exception as error:
                self._trouble, code = self._trouble_at_the_door(error), None
                if self._interrupted_by is not None:  # there is nothing more to be waited for
                    say_outside(self._trouble, self.paths, has_study=True)
                    code = exit_code(Outcome.INTERRUPTED, Standing.UNFINISHED, self._interrupted_by)
            if code is not None:
                return code
            if self._unwritten is None or not self._is_mended():
                assert self._trouble is not None
                say_outside(self._trouble, self.paths, has_study=self._unwritten is not None)
                return EXIT_OUTSIDE

    def _drive(self, trackers: Trackers) -> int | None:
        """One session; its exit code, None where it ended for a cause outside."""
        opening = opened(
            *(self.loaded, self.paths, self.url, self.executor, self.slots[0], self.view),
            *(self.threads_per_trial, self._unwritten),
        )
        with opening as study:
            self._unwritten = study.ledger.unwritten
            trackers.start(Location(self.url, self.loaded.study.name, self.paths))
            if self._used_s is None:
                self._used_s = study.hours.used_s
            driver = Driver(
                *(study, self.executor, self.slots, self.view, self._began_s, self._used_s)
            )
            interrupts = driver.interrupts
            study.optuna.patience.is_interrupted = lambda: interrupts.count > 0
            with Signals(interrupts.hear), self.view:
                outcome = driver.run()
            if interrupts.count:
                self._interrupted_by = interrupts.first
            if driver.has_got_on:
                self._since_s, self._num_idle = None, 0
            self._trouble = driver.trouble
            if outcome is Outcome.OUTSIDE:
                return None
            if driver.trouble is None:
                self._finish(study, outcome)
            else:
                say_outside(driver.trouble, self.paths, has_study=True)
            standing = Standing.UNFINISHED  # so much is known without the storage
            if outcome is not Outcome.INTERRUPTED:
                standing = study.standing_after(outcome)
            return exit_code(outcome, standing, interrupts.first)

    def _finish(self, study: StudyState, outcome: Outcome) -> None:
        """What is measured at the end is, and the study is reported, whatever became of that."""
        has_final = False
        try:
            if outcome in FINISHED:
                place = self.slots, self.threads_per_trial
                has_final = measure_final(study, self.executor, *place, self.view)
        finally:
            if said := refresh_card(study, is_last=outcome in FINISHED):
                self.view.say(said)
            report(study, outcome)
        if has_final:
            report_final(study)

    def _trouble_at_the_door(self, error: Exception) -> Trouble:
        """Of a study that could not be opened, closed or reported. Raises what is not outside."""
        is_made = self._unwritten is not None or is_there(self.paths.out)
        folders = [self.paths.out] if is_made else []
        cause = cause_of(error, *folders)
        if cause is None:
            raise error
        text = described(cause, self.paths.out)
        if isinstance(error, OutsideError):
            text = str(error)
        elif cause is not Cause.STORAGE_LOCKED:
            text += f": {detail(error)}"
        return Trouble(cause, text, time.monotonic())

    def _is_mended(self) -> bool:
        """Waits for it. False: it lasts longer than the study waits."""
        trouble, wait_s = self._trouble, self.loaded.study.run.wait_s
        assert trouble is not None
        if self._since_s is None:
            self._since_s = trouble.since_s
        pause_s = PAUSES_S[min(self._num_idle, len(PAUSES_S) - 1)]
        has_said = self._num_idle > 0
        self._num_idle += 1
        while (left_s := self._since_s + wait_s - time.monotonic()) > 0:
            if not has_said:
                waits = f"waiting for up to {duration(left_s)} (run.wait_minutes)"
                self.view.say(f"{trouble.text}; {waits}")
                has_said = True
            time.sleep(min(pause_s, left_s))
            if self._looks_mended():
                self.view.say(f"going on after {duration(time.monotonic() - self._since_s)}")
                return True
        return False

    def _looks_mended(self) -> bool:
        """As far as the disk shows; of a server the next session finds out."""
        database = sqlite_file(self.url)
        is_there_again = database is None or is_there(database)
        return is_there_again and trouble_in(self.paths.out) is None
