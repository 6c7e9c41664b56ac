"""The driver: ask, launch, observe, judge, tell, record. It alone decides."""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from predictor.guards import is_not_finite
from predictor.judge import guard
from predictor.types import Verdict
from sweep.account.outcome import Outcome
from sweep.account.outlook import BEGINNING, last_said
from sweep.account.replicates import original_of
from sweep.driver.ending import refresh_card
from sweep.driver.leaving import Trouble, leave, trouble_behind, trouble_of
from sweep.driver.sampling import searched
from sweep.driver.status import study_status
from sweep.driver.study_state import Book
from sweep.driver.trial import SETTLED, State, Trial
from sweep.executors import Executor, Job, Slot
from sweep.formats import parameters
from sweep.report.view import View
from trainer.contract.signals import TOGETHER_S
from trainer.contract.spec import (
    TRIAL_ENTRY,
    Alive,
    Checkpointed,
    Event,
    Failed,
    Finished,
    Held,
    Prepared,
    Started,
    Stepped,
    Stop,
    Stopped,
    VerdictWanted,
)

TICK_S = 0.25
FLUSH_EVERY_S = 1.0
MOST_INTERRUPTIONS = 5  # of a trial that gets no step further
GAP_S = 30.0  # between two ticks: this process was stopped itself, so nobody could be heard


@dataclass(slots=True)
class Driver:
    book: Book
    executor: Executor
    slots: Sequence[Slot]
    view: View
    interrupts: int = 0  # signals so far: one stops cleanly, two at once
    interrupted_by: int = signal.SIGINT  # the first of them
    began_s: float = field(default_factory=time.monotonic)  # run.max_hours counts from here
    has_got_on: bool = False  # a step has been recorded
    _in_slot: dict[int, int] = field(default_factory=dict[int, int])  # trial -> slot
    trouble: Trouble | None = None  # of the outside, where it has ended for that
    _heard: deque[tuple[int, Event]] = field(default_factory=deque[tuple[int, Event]])
    _ending: Outcome | None = None
    _heard_s: float = -math.inf  # the last signal that counted
    _flushed_s: float = 0.0
    _watched_s: float = field(default_factory=time.monotonic)
    _kill_s: float = math.inf  # time.monotonic; when what still runs is waited for no longer

    def hear(self, number: signal.Signals) -> bool:
        """Of a signal, from its handler; it is obeyed at the next tick."""
        now = time.monotonic()
        if not self.interrupts:
            self.interrupted_by = number
        if now - self._heard_s > TOGETHER_S:
            self.interrupts += 1
            self._heard_s = now
        return True

    def run(self) -> Outcome:
        """Until the study has its trials, or something ends it earlier. Never loses a trial."""
        try:
            for line in self.book.recover():
                self.view.say(line)
            while self._launch():
                for number, event in self.executor.wait(TICK_S):
                    assert isinstance(number, int)
                    self._heard.append((number, event))
                while self._heard:
                    number, event = self._heard.popleft()
                    self._handle(self.book.trials[number], event)
                self._watch()
            self.book.ledger.flush()
        except Exception as error:
            self.trouble = trouble_of(error, self.book)
            if self.trouble is None:
                raise
            self._ending = Outcome.OUTSIDE
            self.view.say(f"stopping: {self.trouble.text}")
            is_urgent = lambda: self.interrupts > 1  # noqa: E731
            leave(self.book, self.executor, self._in_slot, list(self._heard), is_urgent)
        finally:
            self.executor.close()
        if self._ending is Outcome.OUTSIDE and self.interrupts:
            return Outcome.INTERRUPTED
        return self._ending or Outcome.DONE

    # --- ask, launch

    def _launch(self) -> bool:
        """Fill the free slots. False when nothing runs and nothing is to be started."""
        while self._ending is None and len(self._in_slot) < len(self.slots):
            trial = self._next_trial()
            if trial is None:
                break
            slot = next(slot for slot in self.slots if slot.index not in self._in_slot.values())
            self.book.start(trial)
            self._in_slot[trial.number] = slot.index
            log = self.book.paths.trial_log(trial.number)
            self.executor.start(Job(trial.number, TRIAL_ENTRY, trial.spec, log), slot)
        return bool(self._in_slot)

    def _next_trial(self) -> Trial | None:
        """One that waits, or a new one, or a repeat of the best when those have ended."""
        trial, why = self._next_original()
        if trial is not None or self.book.roster.count(State.RUNNING):
            return trial
        trial = self.book.next_repeat()
        if trial is None and not self._in_slot:
            self._ending = why
        return trial

    def _next_original(self) -> tuple[Trial | None, Outcome | None]:
        """Without one: why the study ends before it has its trials, if it does."""
        roster = self.book.roster
        if roster.count(*SETTLED, State.RUNNING) >= self.book.loaded.study.run.trials:
            return None, None
        waiting = roster.of(State.WAITING)
        if waiting:
            return min(waiting, key=lambda trial: trial.number), None
        if self.book.is_stopped:
            return None, Outcome.STOPPED
        return self.book.new_trial(parallel=len(self.slots) > 1), Outcome.EXHAUSTED

    # --- observe

    def _handle(self, trial: Trial, event: Event) -> None:
        trial.heard()
        match event:
            case Alive(doing):
                trial.doing = doing
            case Started(step):
                self.book.resumed(trial, step)
                self._say_started(trial, step)
            case Stepped():
                trial.doing = "training"
                self.book.stepped(trial, event)
                self._guard(trial)
            case VerdictWanted():
                trial.doing = "waiting for the verdict"
                self.executor.send(trial.number, self._judge(trial, event))
            case Checkpointed(step):
                self.book.ledger.flush()  # what it goes on from must be in the storage as well
                trial.doing = f"checkpoint at step {step}"
            case Held(_, message, waits):
                if waits:
                    trial.doing, trial.held_since_s = message, time.monotonic()
                self.view.say(f"trial {trial.number}: {message}")
                if self._ending is Outcome.OUTSIDE:
                    self.executor.send(trial.number, Stop(checkpoint=False))
            case Finished(measurements):
                self.book.measured(trial, measurements)
                self._settle(trial, State.PRUNED if trial.pruned_by else State.COMPLETED)
            case Stopped(step) if trial.pruned_by is None:
                self.view.say(f"trial {trial.number}: stopped at step {step}, to be continued")
                self._put_back(trial)
            case Stopped():
                self._settle(trial, State.PRUNED)
            case Failed():
                self._failed(trial, event)
            case Prepared():
                raise AssertionError(event)

    # --- judge

    def _judge(self, trial: Trial, wanted: VerdictWanted) -> Verdict:
        """The trial waits for this."""
        if wanted.why == "not finite":
            verdict = self._guard_verdict(trial)
            assert verdict is not None
            self._decide(trial, "not finite", wanted.step, verdict)
            return verdict
        if trial.pruned_by is not None:
            return trial.pruned_by  # a guard's, on its way
        stored = trial.verdicts.get("window")
        if stored is not None:
            return stored  # one look, also after a restart
        if not self.book.window_closed(trial, wanted.early):
            reason = "part of its window was lost with a driver that was killed"
            verdict = Verdict("continue", "none", reason)
        elif trial.is_repeat:
            reason = f"confirms trial {original_of(trial.number)}: goes on to the end"
            verdict = Verdict("continue", "none", reason)
        elif trial.is_audited:
            reason = "audited: goes on to the end whatever its window says"
            verdict = Verdict("continue", "none", reason)
        else:
            verdict = self.book.judge(trial)
        self._decide(trial, "window", wanted.step, verdict)
        return verdict

    def _guard(self, trial: Trial) -> None:
        """After every step. The trial does not wait: it reads the verdict at a later step."""
        last = trial.observations[-1]
        if is_not_finite(last) or trial.is_repeat or trial.is_audited or trial.pruned_by:
            return  # of what is not finite the trial asks itself
        verdict = self._guard_verdict(trial)
        if verdict is not None:
            evidence = {**verdict.evidence, **self.book.incumbent()}  # its audit is held to it
            self._decide(trial, "divergence", last.step, replace(verdict, evidence=evidence))
            if verdict.action == "prune":
                self.executor.send(trial.number, verdict)

    def _guard_verdict(self, trial: Trial) -> Verdict | None:
        warmup_steps, settings = trial.spec.warmup_steps, self.book.settings
        return guard(trial.observations, warmup_steps, trial.number, settings)

    def _decide(self, trial: Trial, moment: str, step: int, verdict: Verdict) -> None:
        self.book.decided(trial, moment, step, verdict)
        self.view.say(f"trial {trial.number}: {verdict.action} at step {step}: {verdict.reason}")

    # --- tell, record

    def _failed(self, trial: Trial, failed: Failed) -> None:
        if trial.pruned_by is not None:
            self._settle(trial, State.PRUNED)
        elif trouble := trouble_behind(failed, trial, self.book):
            self._put_back(trial)
            self.trouble = self.trouble or trouble
            self._end(Outcome.OUTSIDE)
        elif self._is_no_failure(trial, failed):
            self.view.say(f"trial {trial.number}: {failed.message}; to be continued")
            self._put_back(trial)
        else:
            again = self.book.failed(trial, failed)
            then = "to be tried again" if again else "given up"
            self.view.say(f"trial {trial.number}: {failed.kind}: {failed.message}; {then}")
            if again:
                self._put_back(trial)
            else:
                self._settle(trial, State.FAILED)

    def _is_no_failure(self, trial: Trial, failed: Failed) -> bool:
        """Of what ends while the driver is stopping, and of a few interruptions in a row: where
        a trial gets no step further it may be what its server dies of."""
        if self._ending is not None:
            return failed.kind != "bad input"
        trial.interruptions += 1
        return failed.kind == "interrupted" and trial.interruptions <= MOST_INTERRUPTIONS

    def _put_back(self, trial: Trial) -> None:
        del self._in_slot[trial.number]
        self.book.put_back(trial)

    def _settle(self, trial: Trial, state: State) -> None:
        del self._in_slot[trial.number]
        self.book.settle(trial, state)
        if state is State.COMPLETED:
            best = "; the best so far" if self.book.best is trial.row else ""
            result = f"{self.book.metric} {trial.row.objective:.4g}"
            self.view.say(f"trial {trial.number}: completed, {result}{best}")
            if best:
                refresh_card(self.book)
            if not trial.is_repeat:
                self._say_outlook()

    # --- what no event brings

    def _watch(self) -> None:
        now, run = time.monotonic(), self.book.loaded.study.run
        was_stopped, self._watched_s = now - self._watched_s > GAP_S, now
        for number in self._in_slot:
            trial = self.book.trials[number]
            if was_stopped:
                trial.heard()
            silent_s = now - trial.last_heard_s
            if silent_s > run.silence_s:
                why = f"nothing was heard of it for {silent_s / 60:.3g} minutes"
                self.executor.kill(number, Failed("silent", f"{why} (run.silence_minutes)"))
        if run.max_hours is not None and now - self.began_s > run.max_hours * 3600:
            self._end(Outcome.OUT_OF_TIME)
        if self.interrupts:
            self._end(Outcome.INTERRUPTED)
        if self.interrupts > 1:
            self._kill_all("interrupted twice")
        elif now > self._kill_s:
            self._kill_all(f"did not stop within run.grace_s = {run.grace_s:g} s")
        if now - self._flushed_s > FLUSH_EVERY_S:
            self.book.premises.check()
            has_steps = bool(self.book.ledger.unwritten.observations)
            self.book.ledger.flush()
            self.has_got_on |= has_steps
            self._flushed_s = now
        self._show()

    def _end(self, why: Outcome) -> None:
        """Nothing new is started; what runs writes a checkpoint and stops."""
        if self._ending is not None:
            return
        self._ending = why
        self._kill_s = time.monotonic() + self.book.loaded.study.run.grace_s
        then = "; running trials write a checkpoint first" if self._in_slot else ""
        self.view.say(f"stopping: {self.trouble.text if self.trouble else why}{then}")
        for number in self._in_slot:
            if self.book.trials[number].has_begun:
                self.executor.send(number, Stop(checkpoint=True))
            else:  # it would hear of it when it has loaded its model
                self.executor.kill(number, Failed("interrupted", "stopped before its first step"))

    def _kill_all(self, why: str) -> None:
        for number in self._in_slot:
            self.executor.kill(number, Failed("interrupted", why))

    def _say_started(self, trial: Trial, step: int) -> None:
        params = parameters(trial.row.params, searched(self.book.loaded.study))
        goes_on = f", goes on after step {step}" if step else ""
        recipe = f" (recipe {trial.row.recipe})" if trial.row.recipe else ""
        again = ""
        if trial.is_repeat:
            again = f" (trial {original_of(trial.number)} again, seed {trial.spec.seed})"
        self.view.say(f"trial {trial.number}{again or recipe}: {params}{goes_on}")

    def _say_outlook(self) -> None:
        """When further trials have become unlikely to help, or likely again."""
        found = self.book.outlook
        if found is None or not self.book.num_not_started:
            return
        said = last_said(self.book.ledger.read_notes())
        if found.is_unlikely and said != BEGINNING:
            stop = self.book.loaded.study.pruning.stop
            then = "ends the study here" if stop else "would end the study here"
            text = f"{found.sentence()} `pruning.stop: true` {then}."
        elif not found.is_unlikely and said == BEGINNING:
            text = found.sentence()
        else:
            return
        self.view.say(text)
        self.book.ledger.note(text)

    def _show(self) -> None:
        if not self.view.is_due():
            return
        study = self.book.loaded.study
        self.view.show(
            study_status(
                study.name,
                self.book.roster,
                base_flops=self.book.base_flops,
                total=study.run.trials,
                num_repeats=study.run.confirm.top * study.run.confirm.seeds,
                num_slots=len(self.slots),
                elapsed_s=time.monotonic() - self.began_s,
                best=self.book.best,
                searched=searched(study),
            )
        )
