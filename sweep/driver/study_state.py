"""The driver's trials in memory, kept in line with the ledger, Optuna and the models on disk.

Of every move the ledger hears first, in one transaction; Optuna and the models follow. `recover`
brings all three together again after a driver was killed anywhere in between.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from statistics import median
from typing import Any

from predictor.judge import PREDICTOR_VERSION, judge
from predictor.recorded.history import History
from predictor.signals import window_signals
from predictor.types import Settings, Verdict
from sweep.account.compute import usage_of
from sweep.account.odd_rows import odd_rows
from sweep.account.outcome import FINISHED, Outcome, StudyState, study_state
from sweep.account.outlook import Outlook, num_planned, outlook_of
from sweep.account.replicates import (
    Plan,
    best_trial,
    confirmed,
    original_of,
    repeated,
    seed_index,
    wanted_numbers,
)
from sweep.account.standing import EXHAUSTED, standing
from sweep.config.load import LoadedStudy
from sweep.driver.best_model import has_folders, settle_files, write_beside
from sweep.driver.optuna_study import Asked, Asker
from sweep.driver.premises import Premises
from sweep.driver.roster import Roster
from sweep.driver.sameness import identity
from sweep.driver.sampling import model_spec, params_at, trial_spec
from sweep.driver.trial import SETTLED, State, Trial, has_tries_left, planned_flops
from sweep.storage.ledger import BASE, Cost, Decision, Ledger, TrialRow
from sweep.storage.paths import StudyPaths, best_kept
from trainer.contract.spec import Failed, Measurement, ModelSpec, Stepped, TrialSpec


@dataclass(slots=True)
class Book:
    loaded: LoadedStudy
    facts: Mapping[str, Any]  # trainer/prepare.py
    paths: StudyPaths
    ledger: Ledger
    asker: Asker
    premises: Premises
    history: History | None = None
    threads_per_trial: int = 0
    base_flops: float = 0.0  # of measuring the base model
    roster: Roster = field(init=False)
    _model: ModelSpec = field(init=False)
    _models: set[int] = field(default_factory=set[int])  # trials whose model may lie with them
    _tried: set[Hashable] = field(default_factory=set[Hashable])

    def __post_init__(self) -> None:
        self.roster = Roster(self.metric, max(1, self.confirm.top))
        self._model = model_spec(self.loaded)

    @property
    def trials(self) -> Mapping[int, Trial]:
        return self.roster.trials

    # --- a trial comes and goes

    def new_trial(self, parallel: bool) -> Trial | None:
        """The next configuration; None when the space has no more."""
        has_tried = False

        def ask() -> Asked | None:
            nonlocal has_tried
            is_again, has_tried = has_tried, True
            left = self._unrecorded(parallel) if is_again else None  # by a call that broke off
            return left or self.asker.ask(parallel, self._is_tried)

        asked = self.asker.patience(ask)
        said = list(self.asker.dropped) if asked else [*self.asker.dropped, EXHAUSTED]
        if said:
            known = self.ledger.read_notes()
            for text in (text for text in said if text not in known):
                self.ledger.note(text)
        self.asker.dropped.clear()
        return None if asked is None else self._record(asked)

    def _unrecorded(self, parallel: bool = False) -> Asked | None:
        """The first that Optuna gave out and nobody wrote down."""
        return next(self.asker.unrecorded(set(self.trials), self._is_tried, parallel), None)

    def _is_tried(self, point: Mapping[str, Any]) -> bool:
        params = params_at(self.loaded.study, point)
        return identity(self._spec(Asked(0, params, None))) in self._tried

    def next_repeat(self) -> Trial | None:
        """The next to confirm the best with; None: there is none to be started."""
        for number in wanted_numbers(self.roster.contenders, self.metric, self.confirm):
            if number not in self.trials:
                row = self.trials[original_of(number)].row
                return self._record(Asked(number, row.params, row.recipe))
            if self.trials[number].state is State.WAITING:
                return self.trials[number]
        return None

    def _record(self, asked: Asked) -> Trial:
        spec = self._spec(asked)
        plan = planned_flops(spec, self.facts)
        row = TrialRow(
            asked.number, State.WAITING.value, asked.params, spec.num_steps, plan, asked.recipe
        )
        trial = Trial(row, spec)
        self.roster.add(trial)
        self._tried.add(identity(spec))
        self.ledger.save_trial(row)
        return trial

    def start(self, trial: Trial) -> None:
        self.premises.check()  # nothing is made anew of what was deleted
        self.paths.trial(trial.number).mkdir(parents=True, exist_ok=True)
        spec = json.dumps(trial.spec.to_json(), indent=2)
        write_beside(self.paths.trial_spec(trial.number), spec + "\n")
        trial.start()
        self.ledger.save_trial(trial.row)

    def put_back(self, trial: Trial) -> None:
        """It goes on later: interrupted, or to be tried again."""
        trial.move(State.WAITING)
        self.ledger.save_trial(trial.row)

    def settle(self, trial: Trial, state: State) -> None:
        trial.move(state)
        self.ledger.save_trial(trial.row)
        self._keep_models([trial.row])
        self.asker.patience(lambda: self._tell(trial))
        trial.observations.clear()

    def _tell(self, trial: Trial) -> None:
        """Optuna hears of a settled trial. Doing it again is harmless."""
        if trial.is_repeat:
            return
        if not self.asker.is_told(trial.number):
            verdict = trial.pruned_by
            self.asker.annotate(trial.number, reason=verdict.reason if verdict else None)
            self.asker.tell(trial.number, trial.state.value, trial.row.objective)

    def _keep_models(self, settled: Iterable[TrialRow]) -> None:
        """Of those that settled: the best trial's; before it is confirmed, also that of the best
        run of each candidate. Doing it again is harmless."""
        keep, best = self.loaded.study.run.keep, self.best
        contenders, candidates = self.roster.contenders, set[int]()
        if keep == "best" and confirmed(contenders, self.metric, self.confirm) is None:
            found = repeated(contenders, self.metric, self.confirm)
            candidates = {one.best_run.number for one in found}

        def settle(row: TrialRow) -> None:
            settle_files(self.paths, row, best, "all" if row.number in candidates else keep)
            if self.paths.trial_model(row.number).is_dir():
                self._models.add(row.number)
            else:
                self._models.discard(row.number)

        for row in settled:
            settle(row)
        if best is not None and best_kept(self.paths) != best.number:
            settle(best)
        if self.confirm.top and keep == "best":
            for number in sorted(self._models):  # who is a candidate no more
                row = self.trials[number].row
                if not (row is best and number in candidates):
                    settle(row)

    # --- what is seen and decided

    def resumed(self, trial: Trial, step: int) -> None:
        trial.go_on_from(step)
        self.ledger.forget_observations_after(trial.number, step)

    def stepped(self, trial: Trial, event: Stepped) -> None:
        trial.observe(event.observation)
        self.ledger.add_observation(trial.number, event.observation)
        self._book(trial.train_cost(self.num_params))

    def window_closed(self, trial: Trial, early: Measurement | None) -> bool:
        """What the window shows, noted on the trial; it is saved with the verdict.

        False where observations are missing: a driver was killed before they were in the storage.
        """
        samples = trial.spec.window_samples
        if len(trial.observations) < trial.spec.window_steps:
            return False
        value, num = (None, None) if early is None else (early.value, early.num)
        signals = window_signals(trial.observations, samples, value)
        trial.row.window = {**asdict(signals), "early_eval_num": num}
        if early is not None:
            self._book(trial.eval_cost("early_eval", [early], self.num_params))
            if isfinite(early.value) and not trial.is_repeat:
                self.asker.patience(lambda: self.asker.report(trial.number, samples, early.value))
        return True

    def decided(self, trial: Trial, moment: str, step: int, verdict: Verdict) -> None:
        trial.verdicts[moment] = verdict
        decision = Decision(trial.number, moment, step, verdict, PREDICTOR_VERSION, self.settings)
        self.ledger.save_trial(trial.row, decision=decision)

    def measured(self, trial: Trial, measurements: Mapping[str, Measurement]) -> None:
        """The final evaluation; what is not finite is no result."""
        self._book(trial.eval_cost("eval", list(measurements.values()), self.num_params))
        trial.row.measurements = {name: asdict(one) for name, one in measurements.items()}
        objective = measurements[self.metric].value
        if not isfinite(objective):
            reason = f"{self.metric} is {objective} at the end of the training"
            self.decided(trial, "end", trial.row.num_steps, Verdict("prune", "guard", reason))
        if trial.pruned_by is None:
            trial.row.objective = objective

    def failed(self, trial: Trial, cause: Failed) -> bool:
        """Whether it is to be tried again."""
        trial.fail(cause)
        return has_tries_left(trial.row, self.loaded.study.run.retries)

    # --- after a restart

    def recover(self) -> list[str]:
        """Take up the study where the storage says it stands. Sentences: what is odd in it,
        and who is tried again."""
        verdicts = self.ledger.read_verdicts()
        costs: dict[int, dict[tuple[int, str], Cost]] = {}
        for cost in self.ledger.read_costs():
            costs.setdefault(cost.trial, {})[(cost.attempt, cost.what)] = cost
        self.base_flops = usage_of(costs.get(BASE, {}).values()).flops
        rows = self.ledger.read_trials()
        for row in rows:
            spec = self._spec(Asked(row.number, row.params, row.recipe))
            own = verdicts.get(row.number, {}), costs.get(row.number, {})
            trial = Trial(row, spec, verdicts=own[0], costs=own[1])
            self.roster.add(trial)
            self._tried.add(identity(spec))
            if trial.state is State.RUNNING:
                self.put_back(trial)
        again = self._bring_back()
        while (asked := self.asker.patience(self._unrecorded)) is not None:
            self._record(asked)
        for trial in self.trials.values():
            if trial.state in SETTLED:
                self.asker.patience(lambda trial=trial: self._tell(trial))
            elif trial.pruned_by is not None:
                self.settle(trial, State.PRUNED)
            else:
                trial.observations = self.ledger.read_observations(trial.number)
        settled = (trial.row for trial in self.trials.values() if trial.state in SETTLED)
        self._keep_models([row for row in settled if has_folders(self.paths.trial(row.number))])
        return [*odd_rows(rows, self.metric, [*verdicts, *costs]), *again]

    def _bring_back(self) -> list[str]:
        """Failed trials that may be tried more often now; Optuna hears of them and of those that
        `sweep retry` asked for."""
        retries, said = self.loaded.study.run.retries, list[str]()
        for trial in self.trials.values():
            if trial.state is State.FAILED and has_tries_left(trial.row, retries):
                self.put_back(trial)
                failed = f"trial {trial.number} is tried again: run.retries is {retries} now"
                said.append(f"{failed}, and it failed {trial.row.failures} times")
        under_way = self.roster.of(State.WAITING, State.RUNNING)
        self.asker.untell([trial.number for trial in under_way])
        return said

    # --- what is known

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
            enabled=pruning.enabled,
            guards=pruning.guards,
            startup=pruning.startup,
            audit=pruning.audit,
            seed=self.loaded.study.run.seed,
            risk=pruning.risk,
            min_gain=pruning.min_gain,
            max_expected_misses=pruning.max_expected_misses,
            prior_strength=pruning.prior_strength,
        )

    def judge(self, trial: Trial) -> Verdict:
        """At the window; a prior from past studies stands in the evidence, numbers and digest."""
        own, history = trial.in_cohort(self.metric), self.history
        cohort = self.roster.cohort_of(trial)
        if history is None:
            return judge(own, cohort, self.settings)
        verdict = judge(own, cohort, self.settings, history.prior)
        learned = {"digest": history.digest, **history.to_json()}
        return replace(verdict, evidence={**verdict.evidence, "history": learned})

    @property
    def best(self) -> TrialRow | None:
        return best_trial(self.roster.contenders, self.metric, self.confirm)

    @property
    def confirm(self) -> Plan:
        confirm = self.loaded.study.run.confirm
        return Plan(confirm.top, confirm.seeds)

    @property
    def rows(self) -> list[TrialRow]:
        return [trial.row for trial in self.trials.values()]

    @property
    def outlook(self) -> Outlook | None:
        """What a further trial can hope for."""
        return outlook_of(self.roster.phases, self.loaded.study.pruning.model_dump())

    @property
    def is_stopped(self) -> bool:
        """Whether no new trial is to be started as things stand; those that were go on."""
        if not self.loaded.study.pruning.stop or not self.num_not_started:
            return False
        found = self.outlook
        return found is not None and found.is_unlikely

    @property
    def num_not_started(self) -> int:
        """Of the trials that the study would have."""
        planned = num_planned(self.loaded.study.to_document(), self.roster.originals)
        return max(0, planned - self.roster.originals)

    def state_after(self, outcome: Outcome) -> StudyState:
        rows = [trial.row for trial in self.trials.values()]
        if outcome in FINISHED:
            return study_state([row.state for row in rows], is_finished=True)
        document = self.loaded.study.to_document()
        no_new = self.is_stopped or EXHAUSTED in self.ledger.read_notes()
        return standing(document, rows, self.metric, no_new=no_new)

    def incumbent(self) -> dict[str, float]:
        """The best finished objective, lower is better, and median - best; {} before there is one.

        Under the names that evidence has for them."""
        objectives = self.roster.objectives
        if not objectives:
            return {}
        return {"best": min(objectives), "spread": median(objectives) - min(objectives)}

    def _book(self, cost: Cost) -> None:
        self.trials[cost.trial].costs[(cost.attempt, cost.what)] = cost
        self.ledger.book(cost)

    def _spec(self, asked: Asked) -> TrialSpec:
        spec = trial_spec(
            self.loaded,
            asked.number,
            asked.params,
            self.facts,
            str(self.paths.data),
            str(self.paths.trial(asked.number)),
            self.threads_per_trial,
            self._model,
        )
        return replace(spec, seed=spec.seed + seed_index(asked.number))
