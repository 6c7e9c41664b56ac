"""The driver: asks for trials, launches, observes, judges, tells and records. It alone decides."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any

from predictor.guards import is_not_finite
from predictor.judge import PREDICTOR_VERSION, guard, judge
from predictor.signals import window_signals
from predictor.types import Settings, Verdict
from sweep.asking import Asked, Asker
from sweep.bests import best_trial, settle_model
from sweep.config import LoadedStudy
from sweep.executors import Executor, Job, Slot
from sweep.faults import is_disk_full
from sweep.ledger import Cost, Decision, Ledger, TrialRow
from sweep.paths import StudyPaths
from sweep.progress import View
from sweep.space import searched, trial_spec
from sweep.status import study_status
from sweep.trial import SETTLED, State, Trial, planned_flops
from trainer.spec import (
    TRIAL_ENTRY,
    Alive,
    Checkpointed,
    Event,
    Failed,
    Finished,
    Measurement,
    Prepared,
    Started,
    Stepped,
    Stop,
    Stopped,
    TrialSpec,
    VerdictWanted,
)

TICK_S = 0.25
FLUSH_EVERY_S = 1.0


class Outcome(StrEnum):
    DONE = "done"
    EXHAUSTED = "every point of the grid has been tried"
    INTERRUPTED = "interrupted"
    OUT_OF_TIME = "run.max_hours is over"
    DISK_FULL = "the disk is full"


@dataclass(slots=True)
class Driver:
    loaded: LoadedStudy
    facts: dict[str, Any]
    paths: StudyPaths
    ledger: Ledger
    asker: Asker
    executor: Executor
    slots: Sequence[Slot]
    view: View
    entry: str = TRIAL_ENTRY
    threads_per_slot: int = 0
    trials: dict[int, Trial] = field(default_factory=dict[int, Trial])
    interrupts: int = 0  # Ctrl-C so far; set from outside
    _in_slot: dict[int, int] = field(default_factory=dict[int, int])  # trial -> slot
    _costs: dict[tuple[int, int, str], Cost] = field(
        default_factory=dict[tuple[int, int, str], Cost]
    )
    _ending: Outcome | None = None
    _began_s: float = field(default_factory=time.monotonic)
    _flushed_s: float = 0.0

    def run(self) -> Outcome:
        """Until the study has its trials, or something ends it earlier; never loses a trial."""
        try:
            self.recover()
            while self._launch():
                for number, event in self.executor.wait(TICK_S):
                    self._handle(number, event)
                self._watch()
            self.ledger.flush()
        except Exception as error:
            self.executor.close()
            if not is_disk_full(error):
                raise
            self._ending = Outcome.DISK_FULL
        return self._ending or Outcome.DONE

    # --- ask, launch

    def _launch(self) -> bool:
        """Fill the free slots; false when nothing runs and nothing is to be started."""
        while self._ending is None and len(self._in_slot) < len(self.slots):
            trial = self._next_trial()
            if trial is None:
                break
            slot = next(s for s in self.slots if s.index not in self._in_slot.values())
            trial.start()
            self.ledger.save_trial(trial.row)
            self._in_slot[trial.number] = slot.index
            log = self.paths.trial_log(trial.number)
            self.executor.start(Job(trial.number, self.entry, trial.spec, log), slot)
        return bool(self._in_slot)

    def _next_trial(self) -> Trial | None:
        wanted = self.loaded.study.run.trials
        if self._count(*SETTLED) + len(self._in_slot) >= wanted:
            return None
        waiting = [trial for trial in self.trials.values() if trial.state is State.WAITING]
        if waiting:
            return min(waiting, key=lambda trial: trial.number)
        asked = self.asker.ask(parallel=len(self.slots) > 1)
        if asked is None:
            self._ending = None if self._in_slot else Outcome.EXHAUSTED
            return None
        return self._record(asked)

    def _record(self, asked: Asked) -> Trial:
        spec = self._spec(asked)
        row = TrialRow(
            asked.number,
            State.WAITING.value,
            asked.params,
            spec.num_steps,
            planned_flops(spec, self.facts),
            asked.recipe,
        )
        trial = self.trials[asked.number] = Trial(row, spec)
        self.ledger.save_trial(row)
        return trial

    def _spec(self, asked: Asked) -> TrialSpec:
        return trial_spec(
            self.loaded,
            asked.number,
            asked.params,
            self.facts,
            str(self.paths.data),
            str(self.paths.trial(asked.number)),
            self.threads_per_slot,
        )

    # --- observe

    def _handle(self, number: Hashable, event: Event) -> None:
        assert isinstance(number, int)
        trial = self.trials[number]
        trial.heard()
        match event:
            case Alive(doing):
                trial.doing = doing
            case Started(step):
                trial.go_on_from(step)
                self.ledger.forget_observations_after(number, step)
                self._say_started(trial, step)
            case Stepped(observation):
                trial.doing = "training"
                trial.observe(observation)
                self.ledger.add_observation(number, observation)
                self._book(trial.train_cost(self.num_params))
                self._guard(trial)
            case VerdictWanted():
                self._answer(trial, event)
            case Checkpointed(step):
                trial.doing = f"checkpoint at step {step}"
            case Finished(measurements):
                self._finished(trial, dict(measurements))
            case Stopped(step):
                self._stopped(trial, step)
            case Failed():
                self._failed(trial, event)
            case Prepared():
                raise AssertionError(event)

    # --- judge

    def _guard(self, trial: Trial) -> None:
        """After every step. The trial need not wait: it reads the verdict at a later step."""
        last = trial.observations[-1]
        if is_not_finite(last) or trial.is_audited or trial.pruned_by:
            return  # of what is not finite the trial asks itself
        verdict = self._guard_verdict(trial)
        if verdict is not None:
            self._decide(trial, "training", last.step, verdict)
            if verdict.action == "prune":
                self.executor.send(trial.number, verdict)

    def _guard_verdict(self, trial: Trial) -> Verdict | None:
        return guard(trial.observations, trial.spec.warmup_steps, trial.number, self.settings)

    def _answer(self, trial: Trial, wanted: VerdictWanted) -> None:
        """The trial waits for this."""
        trial.doing = "waiting for the verdict"
        if wanted.why == "not finite":
            verdict = self._guard_verdict(trial)
            assert verdict is not None
            self._decide(trial, "training", wanted.step, verdict)
        elif trial.pruned_by is not None:
            verdict = trial.pruned_by  # a guard's, on its way
        else:
            self._look(trial, wanted.early)
            stored = trial.verdicts.get("window")  # one look, also after a restart
            verdict = stored or self._judge(trial)
            if stored is None:
                self._decide(trial, "window", wanted.step, verdict)
        self.executor.send(trial.number, verdict)

    def _look(self, trial: Trial, early: Measurement | None) -> None:
        """Write down what the window shows."""
        samples = trial.spec.window_samples
        value, num = (None, None) if early is None else (early.value, early.num)
        signals = window_signals(trial.observations, samples, value)
        trial.row.window = {**asdict(signals), "early_eval_num": num}
        if early is not None:
            self._book(trial.eval_cost("early_eval", [early], self.num_params))
            if isfinite(early.value):
                self.asker.report(trial.number, samples, early.value)

    def _judge(self, trial: Trial) -> Verdict:
        if trial.is_audited:
            return Verdict("continue", "none", "audited: goes on to the end whatever its window says")
        cohort = [other.in_cohort(self.metric) for other in self.trials.values()]
        return judge(trial.in_cohort(self.metric), cohort, self.settings)

    def _decide(self, trial: Trial, moment: str, step: int, verdict: Verdict) -> None:
        trial.verdicts[moment] = verdict
        decision = Decision(
            trial.number, moment, step, verdict, PREDICTOR_VERSION, self.settings
        )
        self.ledger.save_trial(trial.row, decision=decision)
        if verdict.action != "continue":
            self.view.say(f"trial {trial.number}: {verdict.action} at step {step}: {verdict.reason}")

    # --- tell, record

    def _finished(self, trial: Trial, measurements: dict[str, Measurement]) -> None:
        self._book(trial.eval_cost("eval", list(measurements.values()), self.num_params))
        trial.row.measurements = {name: asdict(one) for name, one in measurements.items()}
        objective = measurements[self.metric].value
        if not isfinite(objective):
            reason = f"{self.metric} is {objective} at the end of the training"
            self._decide(trial, "end", trial.row.num_steps, Verdict("prune", "guard", reason))
        if trial.pruned_by is None:
            trial.row.objective = objective
        self._settle(trial, State.COMPLETED if trial.pruned_by is None else State.PRUNED)

    def _stopped(self, trial: Trial, step: int) -> None:
        if trial.pruned_by is not None:
            self._settle(trial, State.PRUNED)
        else:
            self._put_back(trial)
            self.view.say(f"trial {trial.number}: stopped at step {step}, to be continued")

    def _failed(self, trial: Trial, failed: Failed) -> None:
        if trial.pruned_by is not None:
            self._settle(trial, State.PRUNED)
            return
        if failed.kind == "disk full":
            self._put_back(trial)
            self._end(Outcome.DISK_FULL)
            return
        if self._ending is not None and failed.kind == "killed":  # by us
            self._put_back(trial)
            return
        trial.row.failures += 1
        trial.row.error = {
            "kind": failed.kind,
            "message": failed.message,
            "traceback": failed.traceback,
        }
        retries = 0 if failed.kind == "bad input" else self.loaded.study.run.retries
        again = trial.row.failures <= retries
        then = "to be tried again" if again else "given up"
        self.view.say(f"trial {trial.number}: {failed.kind}: {failed.message}; {then}")
        if again:
            self._put_back(trial)
        else:
            self._settle(trial, State.FAILED)

    def _put_back(self, trial: Trial) -> None:
        self._in_slot.pop(trial.number, None)
        trial.move(State.WAITING)
        self.ledger.save_trial(trial.row)

    def _settle(self, trial: Trial, state: State) -> None:
        """The ledger first: what it says is brought to Optuna and the models after a crash."""
        self._in_slot.pop(trial.number, None)
        trial.move(state)
        self.ledger.save_trial(trial.row)
        self._after_settling(trial)
        if state is State.COMPLETED:
            best = "; the best so far" if self.best is trial.row else ""
            self.view.say(
                f"trial {trial.number}: completed, {self.metric} {trial.row.objective:.4g}{best}"
            )
        trial.observations.clear()

    def _after_settling(self, trial: Trial) -> None:
        if trial.state is State.COMPLETED:
            settle_model(self.paths, trial.row, self.best, self.loaded.study.run.keep)
        if not self.asker.is_told(trial.number):
            verdict = trial.pruned_by
            self.asker.annotate(trial.number, reason=verdict.reason if verdict else None)
            self.asker.tell(trial.number, trial.state.value, trial.row.objective)

    # --- watch over it

    def _watch(self) -> None:
        """What no event brings: silence, time, interruptions, the flush, the status."""
        now, run = time.monotonic(), self.loaded.study.run
        for number in list(self._in_slot):
            silent_s = now - self.trials[number].last_heard_s
            if silent_s > run.silence_minutes * 60:
                why = f"nothing was heard of it for {silent_s / 60:.3g} minutes"
                self.executor.kill(number, Failed("silent", f"{why} (run.silence_minutes)"))
                self.trials[number].heard()
        if run.max_hours is not None and now - self._began_s > run.max_hours * 3600:
            self._end(Outcome.OUT_OF_TIME)
        if self.interrupts:
            self._end(Outcome.INTERRUPTED)
        if self.interrupts > 1:
            for number in self._in_slot:
                self.executor.kill(number, Failed("killed", "interrupted twice"))
        if now - self._flushed_s > FLUSH_EVERY_S:
            self.ledger.flush()
            self._flushed_s = now
        self._show()

    def _end(self, why: Outcome) -> None:
        """Nothing new is started; what runs writes a checkpoint and stops."""
        if self._ending is None:
            self._ending = why
            self.view.say(f"stopping: {why}; running trials write a checkpoint first")
            for number in self._in_slot:
                self.executor.send(number, Stop(checkpoint=True))

    def recover(self) -> None:
        """Take up the study where the storage says it stands, whatever its last driver was doing."""
        verdicts: dict[int, dict[str, Verdict]] = {}
        for decision in self.ledger.read_decisions():
            verdicts.setdefault(decision.trial, {})[decision.moment] = decision.verdict
        self._costs = {(c.trial, c.attempt, c.what): c for c in self.ledger.read_costs()}
        for row in self.ledger.read_trials():
            spec = self._spec(Asked(row.number, row.params, row.recipe))
            trial = Trial(row, spec, verdicts=verdicts.get(row.number, {}))
            if trial.state is State.RUNNING:
                trial.move(State.WAITING)
            self.trials[row.number] = trial
        for asked in self.asker.unrecorded(set(self.trials)):
            self._record(asked)
        for trial in self.trials.values():
            if trial.state in SETTLED:
                self._after_settling(trial)
            elif trial.pruned_by is not None:
                self._settle(trial, State.PRUNED)
            else:
                trial.observations = self.ledger.read_observations(trial.number)

    # --- what is known

    def _say_started(self, trial: Trial, step: int) -> None:
        params = ", ".join(
            f"{name} {_short(trial.row.params[name])}" for name in searched(self.loaded.study)
        )
        goes_on = f", goes on after step {step}" if step else ""
        recipe = f" (recipe {trial.row.recipe})" if trial.row.recipe else ""
        self.view.say(f"trial {trial.number}{recipe}: {params}{goes_on}")

    def _book(self, cost: Cost) -> None:
        self._costs[(cost.trial, cost.attempt, cost.what)] = cost
        self.ledger.book(cost)

    def _count(self, *states: State) -> int:
        return sum(trial.state in states for trial in self.trials.values())

    def _show(self) -> None:
        study = self.loaded.study
        self.view.show(
            study_status(
                study.name,
                list(self.trials.values()),
                list(self._costs.values()),
                total=study.run.trials,
                num_slots=len(self.slots),
                elapsed_s=time.monotonic() - self._began_s,
                best=self.best,
                metric=self.metric,
                searched=searched(study),
            )
        )

    @property
    def metric(self) -> str:
        return self.loaded.study.objective.metric

    @property
    def num_params(self) -> int:
        return self.facts["num_params"]

    @property
    def settings(self) -> Settings:
        pruning = self.loaded.study.pruning
        return Settings(
            pruning.enabled,
            pruning.guards,
            pruning.startup,
            pruning.audit,
            self.loaded.study.run.seed,
        )

    @property
    def best(self) -> TrialRow | None:
        return best_trial((trial.row for trial in self.trials.values()), self.metric)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
