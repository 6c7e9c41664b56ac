"""A study's trials in memory, and every move of them, in line with ledger, Optuna and models.

Of every move the ledger hears first, in one transaction; the models on disk and Optuna follow.
`recovery.py` brings all of them together again after a driver was killed anywhere in between.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from typing import Any

from predictor.gap.prior import GapPrior
from predictor.judge import version_of
from predictor.recorded.gap_history import GapHistory
from predictor.recorded.history import History
from predictor.types import Settings, Verdict
from sweep.account.hours import KEY, Hours
from sweep.account.outcome import FINISHED, Outcome, Standing
from sweep.account.outlook import Outlook, num_planned, outlook_of
from sweep.account.replicates import Plan, best_trial
from sweep.account.standing import EXHAUSTED, standing
from sweep.account.terms import Terms
from sweep.config.load import LoadedStudy
from sweep.driver.best_model import KeptModels
from sweep.driver.look import look_at
from sweep.driver.optuna_study import OptunaStudy
from sweep.driver.parked_checkpoints import ParkedCheckpoints
from sweep.driver.premises import Premises
from sweep.driver.roster import Roster
from sweep.driver.sameness import identity
from sweep.driver.sampling import params_at
from sweep.driver.trial import SETTLED, State, Trial, has_tries_left
from sweep.driver.trial_spec import TrialSpecs
from sweep.storage.ledger import Cost, Decision, Ledger, TrialRow
from sweep.storage.paths import StudyPaths
from trainer.contract.files import write_text
from trainer.contract.measurement import Measurement
from trainer.contract.spec import Failed, Finished, Stepped


@dataclass(slots=True)
class StudyState:
    """An open study: its trials, and all that is kept in line with them."""

    loaded: LoadedStudy
    facts: Mapping[str, Any]  # trainer/prepare.py
    paths: StudyPaths
    ledger: Ledger
    optuna: OptunaStudy
    premises: Premises
    specs: TrialSpecs
    history: History | GapHistory | None = None
    base_flops: float = 0.0  # of measuring the base model
    roster: Roster = field(init=False)
    terms: Terms = field(init=False)
    hours: Hours = field(init=False)  # of run.trials auto
    parked: ParkedCheckpoints = field(init=False)
    models: KeptModels = field(init=False)
    _tried: set[Hashable] = field(default_factory=set[Hashable])

    def __post_init__(self) -> None:
        self.terms = Terms.of(self.loaded.study.to_document(), self.facts)
        self.hours = Hours.of(self.facts)
        study = self.loaded.study
        num = max(1, self.replicates.top, study.objective.final_top)
        self.roster = Roster(self.terms.goal, num)
        self.parked = ParkedCheckpoints(self.paths)
        self.models = KeptModels(self.paths, self.roster, self.replicates, study)

    # --- a trial comes and goes

    def add(self, number: int, params: dict[str, Any], recipe: str | None) -> Trial:
        """A new trial, which waits, on record from now on."""
        spec = self.specs.of(number, params)
        plan = self.specs.planned_flops(spec)
        row = TrialRow(number, State.WAITING.value, params, spec.num_steps, plan, recipe)
        trial = Trial(row, spec)
        self.take(trial)
        self.ledger.save_trial(row)
        return trial

    def take(self, trial: Trial) -> None:
        """A trial that is on record is among the study's trials."""
        self.roster.add(trial)
        if trial.state is State.PARKED:
            self.parked.add(trial.number)
        self._tried.add(identity(trial.spec))

    def is_tried(self, point: Mapping[str, Any]) -> bool:
        """Whether a trial that trains alike is there; `point`: the values of what is searched."""
        return identity(self.specs.of(0, params_at(self.loaded.study, point))) in self._tried

    def start(self, trial: Trial) -> None:
        """A new attempt, whose folder and spec are there before its process."""
        self.premises.check()  # nothing is made anew of what was deleted
        if trial.state is State.PARKED:
            trial.observations = self.ledger.read_observations(trial.number)
        self.paths.trial(trial.number).mkdir(parents=True, exist_ok=True)
        spec = json.dumps(trial.spec.to_json(), indent=2)
        write_text(self.paths.trial_spec(trial.number), spec + "\n")
        trial.start()
        self.parked.remove(trial.number)
        self.ledger.save_trial(trial.row)

    def put_back(self, trial: Trial) -> None:
        """The trial waits to go on: parked, interrupted, or to be tried again."""
        trial.move(State.PARKED if trial.is_parked else State.WAITING)
        self.ledger.save_trial(trial.row)
        self.parked.remove(trial.number)  # what is parked no more keeps all it has
        if trial.is_parked:
            trial.observations.clear()  # read again when it goes on
            self.parked.add(trial.number)

    def record(self, trial: Trial, state: State) -> None:
        """The trial is settled; its model is kept or dropped."""
        trial.move(state)
        self.ledger.save_trial(trial.row)
        self.parked.remove(trial.number)
        self.settle_models([trial])

    def settle_models(self, settled: Iterable[Trial]) -> None:
        """The models of these trials are kept or dropped. Doing it again is harmless."""
        self.models.settle([trial.row for trial in settled], self.best)

    def tell(self, trial: Trial) -> None:
        """Optuna hears of a settled trial, but for a replicate. Doing it again is harmless."""
        if not trial.is_replicate:
            self.optuna.patience(lambda: self._tell(trial))
        trial.observations.clear()

    def _tell(self, trial: Trial) -> None:
        if not self.optuna.is_told(trial.number):
            verdict = trial.pruned_by
            self.optuna.annotate(trial.number, reason=verdict.reason if verdict else None)
            broken = self.terms.goal.broken_by(trial.row)
            self.optuna.tell(trial.number, trial.state, trial.row.objective, broken)

    # --- what is seen and decided

    def resumed(self, trial: Trial, step: int) -> None:
        """An attempt begins after `step`; later steps are done again."""
        trial.go_on_from(step)
        self.ledger.forget_observations_after(trial.number, step)

    def observe(self, trial: Trial, event: Stepped) -> None:
        """An optimizer step of the trial; written with the next write or flush."""
        trial.observe(event.observation)
        self.ledger.add_observation(trial.number, event.observation)
        self._record(trial.train_cost(self.num_params))

    def looked_at(self, trial: Trial, look: int, early: Mapping[str, Measurement]) -> bool:
        """What a look shows, noted on the trial; it is saved with the verdict. Look 0 is the
        window; `early`: what was measured there, by metric.

        False where observations are missing: a driver was killed before they were in the storage.
        """
        row = trial.row
        samples = (trial.spec.window_samples, *trial.spec.looks)[look]
        if len(trial.observations) < trial.spec.look_steps[look]:
            return False
        if look > 0 and (row.window is None or trial.last_look != look - 1):
            return False
        seen = look_at(trial.observations, samples, early, self.metric)
        if self.settings.has_looks:
            seen["share"] = samples / self.specs.smallest_samples
        if look == 0:
            row.window = seen
        else:
            row.looks = [*(row.looks or ()), seen]
        if early:
            self.evaluated(trial, early)
            value, report = early[self.metric].value, self.optuna.report
            if isfinite(value) and not trial.is_replicate:
                self.optuna.patience(lambda: report(trial.number, samples, value))
        return True

    def evaluated(self, trial: Trial, early: Mapping[str, Measurement]) -> None:
        """What evaluations at a look have cost, also of one that was decided on before."""
        trial.early_evals.extend(early.values())
        self._record(trial.eval_cost("early_eval", trial.early_evals, self.num_params))

    def decided(self, trial: Trial, moment: str, step: int, verdict: Verdict) -> None:
        """A verdict on the trial, on record before anybody acts on it."""
        trial.verdicts[moment] = verdict
        settings = self.settings
        decision = Decision(trial.number, moment, step, verdict, version_of(settings), settings)
        self.ledger.save_trial(trial.row, decision=decision)

    def measured(self, trial: Trial, event: Finished) -> None:
        """What the final evaluation found, and cost; one without a finite objective is pruned."""
        found = event.measurements
        self._record(trial.eval_cost("eval", list(found.values()), self.num_params))
        self.ledger.save_scores(trial.number, event.scores)
        trial.row.measurements = {name: asdict(one) for name, one in found.items()}
        objective = found[self.metric].value
        if not isfinite(objective):
            reason = f"{self.metric} is {objective} at the end of the training"
            self.decided(trial, "end", trial.row.num_steps, Verdict("prune", "guard", reason))
        if trial.pruned_by is None:
            trial.row.objective = objective

    def failed(self, trial: Trial, cause: Failed) -> bool:
        """Whether the trial, whose failure is noted, is to be tried again."""
        trial.fail(cause)
        return has_tries_left(trial.row, self.loaded.study.run.retries)

    def plan_hours(self, hours: Hours) -> None:
        """How many trials there will be with run.trials auto, on record from now on."""
        self.ledger.keep_fact(KEY, hours.to_json())
        self.hours, self.terms = hours, replace(self.terms, num_trials=hours.trials)

    def flush(self) -> bool:
        """Whether steps were among what waited to be written. Raises where what the study stands on
        is gone."""
        self.premises.check()
        has_steps = bool(self.ledger.unwritten.observations)
        self.ledger.flush()
        return has_steps

    # --- what is known

    @property
    def trials(self) -> Mapping[int, Trial]:
        """The trials by number, replicates among them."""
        return self.roster.trials

    @property
    def metric(self) -> str:
        """The name of the objective."""
        return self.loaded.study.objective.metric

    @property
    def num_params(self) -> int:
        """How many parameters the base model has."""
        return self.facts["num_params"]

    @property
    def settings(self) -> Settings:
        """The predictor's."""
        study = self.loaded.study
        return study.pruning.settings(study.run.seed)

    @property
    def gap_prior(self) -> GapPrior | None:
        """What past studies say of gaps; None: those that come with the package alone."""
        return self.history.prior if isinstance(self.history, GapHistory) else None

    @property
    def replicates(self) -> Plan:
        """The replicates that run.confirm asks for."""
        return self.terms.confirm

    @property
    def best(self) -> TrialRow | None:
        """The best trial; None before one is completed that holds every constraint."""
        return best_trial(self.roster.contenders, self.terms.goal, self.replicates)

    @property
    def outlook(self) -> Outlook | None:
        """What a further trial can hope for."""
        return outlook_of(self.roster.phases, self.terms.pruning)

    @property
    def num_trials(self) -> int:
        """How many trials there will be, the space's size apart: run.trials, or with auto what was
        decided last."""
        assert self.terms.num_trials is not None
        return self.terms.num_trials

    @property
    def has_begun_all(self) -> bool:
        """Whether as many trials as there will be have settled, run, or are parked."""
        num = self.roster.count(*SETTLED, State.RUNNING, State.PARKED)
        return num >= self.num_trials

    @property
    def is_stopped(self) -> bool:
        """Whether no new trial is to be started as things stand; those that were go on."""
        if not self.loaded.study.pruning.stop or not self.num_not_started:
            return False
        return (found := self.outlook) is not None and found.is_unlikely

    @property
    def num_not_started(self) -> int:
        """How many of the trials that the study would have were not started."""
        originals = self.roster.originals
        return max(0, num_planned(self.terms, originals) - originals)

    def standing_after(self, outcome: Outcome) -> Standing:
        """Where the study stands when a session has ended so."""
        rows = [trial.row for trial in self.trials.values()]
        no_new = self.is_stopped or EXHAUSTED in self.ledger.read_notes()
        return standing(rows, self.terms, no_new=no_new, is_finished=outcome in FINISHED)

    def _record(self, cost: Cost) -> None:
        self.trials[cost.trial].costs[(cost.attempt, cost.what)] = cost
        self.ledger.record(cost)
