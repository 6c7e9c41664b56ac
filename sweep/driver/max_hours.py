"""`run.max_hours` as a session sees it: when they are over, and with `run.trials: auto` how many
trials there is room for."""

from __future__ import annotations

import time
from dataclasses import replace

from sweep.account.hours import FEWEST_SCOUTS, Hours, kept_s, room
from sweep.account.standing import EXHAUSTED
from sweep.driver.study_state import StudyState
from sweep.driver.trial import State, Trial
from sweep.formats import counted, duration

NOTE_EVERY_S = 60.0  # so much of a night is not counted where a driver is killed
FIRST_MEASURED = 3  # scouts, before anything is said
CHANGED = 0.25  # what was said is said again when it is wrong by so much
now = time.monotonic


class MaxHours:
    """The time of a study: of one command, or with `run.trials: auto` of all that there were."""

    def __init__(
        self, study: StudyState, num_workers: int, began_s: float, used_s: float | None = None
    ) -> None:
        """`began_s`: when the command began, by `now`; `used_s`: what commands before it used, as
        it was on record then; None: as it is now."""
        self.study, self._workers, self._began_s = study, num_workers, began_s
        self.is_planned = study.loaded.study.run.trials == "auto"
        self._used_s = study.hours.used_s if used_s is None else used_s
        self._launched_s: dict[int, float] = {}
        self._said = 0  # trials
        self._noted_s = began_s
        if self.is_planned:
            self._begin()

    @property
    def left_s(self) -> float | None:
        """Seconds to run.max_hours; None without them."""
        hours = self.study.loaded.study.run.max_hours
        return None if hours is None else hours * 3600 - self._total_s

    @property
    def are_over(self) -> bool:
        """Whether the command ends for that."""
        return self.left_s is not None and self.left_s < 0

    @property
    def _total_s(self) -> float:
        own = now() - self._began_s
        return own + self._used_s if self.is_planned else own

    def launched(self, trial: Trial) -> None:
        """A worker has begun with the trial."""
        self._launched_s[trial.number] = now()

    def tick(self) -> None:
        """The time used is on record every NOTE_EVERY_S."""
        if self.is_planned and now() - self._noted_s >= NOTE_EVERY_S:
            self.note()

    def note(self) -> None:
        """The time used is on record."""
        if self.is_planned:
            self._decide(self.study.hours)

    def parked(self, trial: Trial) -> str | None:
        """A trial has left its worker. If as a scout, how many there will be is decided anew; a
        sentence, where that is news."""
        began_s = self._launched_s.pop(trial.number, None)
        is_scout = trial.row.attempts == 1 and trial.last_look == 0 and not trial.is_replicate
        if not self.is_planned or began_s is None or not is_scout or self.study.hours.ended:
            return None
        study, took_s = self.study, now() - began_s
        pace = study.hours.pace.measured(took_s, self._rest_s(trial, took_s))
        scouting = sum(t.row.window is None for t in study.roster.of(State.RUNNING, State.WAITING))
        scouted = study.roster.originals - scouting
        more = self._room(replace(study.hours, pace=pace))
        trials = max(study.roster.originals, scouted + more)
        self._decide(replace(study.hours, pace=pace, trials=trials))
        is_early = pace.num < FIRST_MEASURED and more > 0
        if is_early or abs(trials - self._said) <= CHANGED * self._said:
            return None
        self._said = trials
        text = (
            f"room for about {counted(trials, 'scout')} in {self._hours()}; "
            f"{duration(self._kept_s(study.hours))} are kept for finishing"
        )
        study.ledger.note(text)
        return text

    def another_round(self) -> str | None:
        """A sentence, where nothing parked is worth going on with, and further scouts begin or will
        not; None where that has been said."""
        study = self.study
        if not self.is_planned or study.hours.ended:
            return None
        more, outlook = self._room(study.hours), study.outlook
        if EXHAUSTED in study.ledger.read_notes():
            text = ended = "no further scout: every configuration of the space has been tried"
        elif outlook is not None and outlook.is_unlikely:
            text = ended = f"no further scout: {outlook.sentence()}"
        elif not study.hours.pace.num:
            text = ended = (
                "no further scout: none was parked at its window, so how long one takes is not "
                "known; run.trials as a number goes on"
            )
        elif more < 1:
            left, takes = self.left_s or 0.0, study.hours.pace.scout_s + self._kept_s(study.hours)
            text = ended = (
                f"no further scout: {duration(max(0.0, left))} are left, and to scout and finish "
                f"one takes about {duration(takes)}"
            )
        else:
            text, ended = f"nothing parked is worth it: room for {counted(more, 'scout')} more", ""
        trials = study.roster.originals + (0 if ended else more)
        self._decide(replace(study.hours, trials=trials, ended=ended))
        study.ledger.note(text)
        return text

    def _begin(self) -> None:
        """The first scouts, beside the trials that there were before hours were planned; a study
        that goes on with more hours may have more."""
        study, hours, begun = self.study, self.study.hours, self.study.roster.originals
        most = study.loaded.study.run.max_hours or 0.0
        first = max(FEWEST_SCOUTS, 2 * self._workers)
        trials = max(hours.trials, begun) if hours.max_hours else begun + first
        ended = "" if most > hours.max_hours else hours.ended
        self._decide(replace(hours, trials=trials, max_hours=most, ended=ended))

    def _decide(self, hours: Hours) -> None:
        self._noted_s = now()
        self.study.plan_hours(replace(hours, used_s=self._total_s))

    def _room(self, hours: Hours) -> int:
        return room(hours.pace, self._workers, (self.left_s or 0.0) - self._kept_s(hours))

    def _kept_s(self, hours: Hours) -> float:
        roster, replicates = self.study.roster, self.study.replicates
        ended = roster.count(State.COMPLETED)
        return kept_s(hours.pace, self._workers, ended, replicates.top * replicates.seeds)

    def _rest_s(self, trial: Trial, took_s: float) -> float:
        """From its first look to its end: the steps to come, what a start and an evaluation take
        beside the steps at each of them, and the measurement at the end, as the base model's."""
        spec = trial.spec
        cost = trial.costs.get((trial.row.attempts, "train"))
        steps_s = 0.0 if cost is None else min(took_s, cost.seconds / spec.processes)
        to_come = (spec.num_steps - spec.window_steps) / spec.window_steps
        stays = len(spec.look_steps)
        base: dict[str, dict[str, float]] = self.study.facts.get("base_measurements") or {}
        end_s = sum(one["seconds"] for one in base.values())
        return steps_s * to_come + (took_s - steps_s) * stays + end_s

    def _hours(self) -> str:
        hours = self.study.loaded.study.run.max_hours
        return f"{hours:g} h"
