"""The driver: ask, launch, observe, judge, record, tell. It alone decides."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence

from predictor.types import Verdict
from sweep.account.outcome import Outcome
from sweep.driver import max_hours, messages
from sweep.driver.ask_predictor import judge_step, judge_wanted, known_verdict, moment
from sweep.driver.ending import refresh_card
from sweep.driver.interrupts import Interrupts
from sweep.driver.leaving import Trouble, is_no_failure, leave, trouble_behind, trouble_of
from sweep.driver.next_trial import next_trial, note_outlook
from sweep.driver.parking import make_room, reply_to, set_limit
from sweep.driver.recovery import recover
from sweep.driver.running import Running
from sweep.driver.sampling import searched
from sweep.driver.scouting import decide_parked
from sweep.driver.status import study_status
from sweep.driver.study_state import StudyState
from sweep.driver.trial import State, Trial
from sweep.executors import Executor, Slot
from sweep.report.view import View
from sweep.storage.states import PARKED
from trainer.contract.spec import (
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


class Driver:
    """One session of a study: until it is done, or something ends it. It never loses a trial."""

    def __init__(
        self,
        study: StudyState,
        executor: Executor,
        slots: Sequence[Slot],
        view: View,
        began_s: float | None = None,
        used_s: float | None = None,
    ) -> None:
        """`began_s`: time.monotonic, from where run.max_hours counts; `used_s`: as MaxHours."""
        self.study, self.executor, self.view = study, executor, view
        self.interrupts = Interrupts()
        self.has_got_on = False  # a step has been recorded
        self.trouble: Trouble | None = None  # of the outside, where it has ended for that
        self._num_slots, self._running = len(slots), Running(executor, slots)
        self._heard: deque[tuple[int, Event]] = deque()
        self._ending: Outcome | None = None
        self._began_s = max_hours.now() if began_s is None else began_s
        self._used_s = used_s
        self._flushed_s = 0.0
        self._kill_s = math.inf  # time.monotonic; when what still runs is waited for no longer

    def run(self) -> Outcome:
        """How the session has ended."""
        try:
            for line in recover(self.study, parallel=self._num_slots > 1):
                self.view.say(line)
            set_limit(self.study)
            self._make_room()
            num, since_s = self._num_slots, self._began_s
            self._hours = max_hours.MaxHours(self.study, num, since_s, self._used_s)
            if self._hours.are_over:
                self._end(Outcome.OUT_OF_TIME)
            while self._ask_and_launch():
                self._observe()
                self._watch()
            self._hours.note()
            self.study.ledger.flush()
        except Exception as error:
            self.trouble = trouble_of(error, self.study)
            if self.trouble is None:
                raise
            self._ending = Outcome.OUTSIDE
            self.view.say(messages.ending(self.trouble.text, some_run=False))
            leave(self.study, self.executor, self._running, self._heard, self.interrupts)
        finally:
            self.executor.close()
        if self._ending is Outcome.OUTSIDE and self.interrupts.count:
            return Outcome.INTERRUPTED
        return self._ending or Outcome.DONE

    def _ask_and_launch(self) -> bool:
        """Fill the free slots. False when nothing runs and nothing is to be started."""
        while self._ending is None and (slot := self._running.free_slot) is not None:
            trial, why = next_trial(self.study, parallel=self._num_slots > 1)
            if trial is None and self._decide_parked():
                continue
            if trial is None:
                if not self._running:
                    self._ending = why
                break
            self.study.start(trial)
            self._running.launch(trial, slot, self.study.paths.trial_log(trial.number))
            self._hours.launched(trial)
        return bool(self._running)

    def _decide_parked(self) -> bool:
        """Whether anything was decided on parked trials, all of it at once."""
        decided = decide_parked(self.study)
        is_last = all(moment == PARKED for _, moment, _ in decided)
        if is_last and not self._running and (said := self._hours.another_round()):
            self.view.say(said)
            return True
        if not decided:
            return False
        with self.study.ledger.at_once():
            for trial, moment, verdict in decided:
                self._record_verdict(trial, moment, trial.look_step, verdict)
        for trial, _, verdict in decided:
            if verdict.action == "prune":
                self._settle(trial, State.PRUNED)
        return True

    def _observe(self) -> None:
        for number, event in self.executor.wait(TICK_S):
            assert isinstance(number, int)
            self._heard.append((number, event))
        while self._heard:
            number, event = self._heard.popleft()
            self._handle(self.study.trials[number], event)

    def _handle(self, trial: Trial, event: Event) -> None:
        trial.heard()
        match event:
            case Alive(doing):
                trial.doing = doing
            case Started(step):
                self.study.resumed(trial, step)
                self.view.say(messages.started(trial, step, searched(self.study.loaded.study)))
            case Stepped():
                trial.doing = "training"
                self.study.observe(trial, event)
                self._guard(trial, event.observation.step)
            case VerdictWanted():
                trial.doing = "waiting for the verdict"
                reply = reply_to(self.study, trial, self._judge(trial, event))
                self.executor.send(trial.number, reply)
            case Checkpointed(step):
                self.study.ledger.flush()  # what it goes on from must be in the storage as well
                trial.doing = f"checkpoint at step {step}"
            case Held():
                self._held(trial, event)
            case Finished():
                self.study.measured(trial, event)
                self._settle(trial, State.PRUNED if trial.pruned_by else State.COMPLETED)
            case Stopped(step) if trial.pruned_by is None:
                if not trial.is_parked:
                    self.view.say(messages.stopped(trial, step))
                self._put_back(trial)
            case Stopped():
                self._settle(trial, State.PRUNED)
            case Failed():
                self._failed(trial, event)
            case Prepared():
                raise AssertionError(event)

    def _judge(self, trial: Trial, wanted: VerdictWanted) -> Verdict:
        """The trial waits for this."""
        verdict = known_verdict(trial, wanted)
        if verdict is None:
            verdict = judge_wanted(self.study, trial, wanted)
            self._record_verdict(trial, moment(wanted), wanted.step, verdict)
        elif wanted.early:
            self.study.evaluated(trial, wanted.early)
        return verdict

    def _guard(self, trial: Trial, step: int) -> None:
        """After every step. The trial reads a verdict at a later step."""
        verdict = judge_step(self.study, trial)
        if verdict is not None:
            self._record_verdict(trial, "divergence", step, verdict)
            if verdict.action == "prune":
                self.executor.send(trial.number, verdict)

    def _record_verdict(self, trial: Trial, moment: str, step: int, verdict: Verdict) -> None:
        self.study.decided(trial, moment, step, verdict)
        self.view.say(messages.decided(trial, step, verdict))

    def _settle(self, trial: Trial, state: State) -> None:
        self._running.release(trial)
        self.study.record(trial, state)
        self.study.tell(trial)
        if state is State.COMPLETED:
            is_best = self.study.best is trial.row
            self.view.say(messages.completed(trial.row, self.study.terms.goal, is_best=is_best))
            if is_best:
                refresh_card(self.study)
            if not trial.is_replicate and (outlook := note_outlook(self.study)):
                self.view.say(outlook)

    def _put_back(self, trial: Trial) -> None:
        self._running.release(trial)
        self.study.put_back(trial)
        self._make_room()
        if trial.is_parked and (said := self._hours.parked(trial)):
            self.view.say(said)

    def _make_room(self) -> None:
        for line in make_room(self.study):
            self.view.say(line)

    def _failed(self, trial: Trial, failed: Failed) -> None:
        if trial.pruned_by is not None:
            self._settle(trial, State.PRUNED)
        elif trouble := trouble_behind(failed, trial, self.study):
            self._put_back(trial)
            self.trouble = self.trouble or trouble
            self._end(Outcome.OUTSIDE)
        elif is_no_failure(failed, trial, is_ending=self._ending is not None):
            self.view.say(messages.interrupted(trial, failed))
            self._put_back(trial)
        else:
            again = self.study.failed(trial, failed)
            self.view.say(messages.failed(trial, failed, is_tried_again=again))
            if again:
                self._put_back(trial)
            else:
                self._settle(trial, State.FAILED)

    def _held(self, trial: Trial, held: Held) -> None:
        """A write of the trial waits for the outside."""
        if held.waits:
            trial.doing, trial.held_since_s = held.message, time.monotonic()
        self.view.say(f"trial {trial.number}: {held.message}")
        if self._ending is Outcome.OUTSIDE:
            self.executor.send(trial.number, Stop(checkpoint=False))

    def _watch(self) -> None:
        """What no event brings: silence, signals, deadlines, the storage, the display."""
        now, run = time.monotonic(), self.study.loaded.study.run
        self._running.end_silent(run.silence_s)
        self._hours.tick()
        if self._hours.are_over:
            self._end(Outcome.OUT_OF_TIME)
        if self.interrupts.count:
            self._end(Outcome.INTERRUPTED)
        if self.interrupts.count > 1:
            self._running.end("interrupted twice")
        elif now > self._kill_s:
            self._running.end(f"did not stop within run.grace_s = {run.grace_s:g} s")
        if now - self._flushed_s > FLUSH_EVERY_S:
            self.has_got_on |= self.study.flush()
            self._flushed_s = now
        if self.view.is_due():
            elapsed_s = max_hours.now() - self._began_s
            self.view.show(study_status(self.study, self._num_slots, elapsed_s))

    def _end(self, why: Outcome) -> None:
        """Nothing new is started; what runs writes a checkpoint and stops."""
        if self._ending is not None:
            return
        self._ending = why
        self._kill_s = time.monotonic() + self.study.loaded.study.run.grace_s
        text = self.trouble.text if self.trouble else why
        self.view.say(messages.ending(text, some_run=bool(self._running)))
        self._running.stop()
