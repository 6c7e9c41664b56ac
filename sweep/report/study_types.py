"""What is known of a study, as types: `--json` prints their fields as they are here.

Losses are in nats per token, compute in FLOPs, times in seconds. What is not finite is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.account.audits import AuditReport, ExpectedMisses
from sweep.account.compute import ComputeReport
from sweep.account.outcome import Standing
from sweep.account.outlook import StoppingReport
from sweep.account.paired import Difference
from sweep.account.replicates import ConfirmReport
from sweep.documents import Json
from sweep.report.parked import ParkedReport
from sweep.report.prior import PriorReport
from sweep.report.trial_types import BaseReport, Direction, TrialSummary
from sweep.storage.states import State


@dataclass(frozen=True, slots=True)
class BestReport:
    """The best configuration, and the run of it whose weights count."""

    number: int
    """the trial whose weights count"""
    params: Mapping[str, Json]
    """its hyperparameters"""
    objective: float | None
    """its own objective, which it was picked by: too good on average"""
    mean: float
    """the estimate: mean objective of the configuration's new seeds, once it is confirmed; else the
    one value"""
    sd: float | None
    """standard deviation of the new seeds (n - 1); null of fewer than two"""
    num_seeds: int
    """new seeds in the mean once it is confirmed; else 1"""
    confirms: int | None
    """once confirmed, the original trial of the configuration; else null"""
    model_dir: str | None
    """folder of the weights; null where they are not kept"""

    @property
    def original(self) -> int:
        """The trial whose configuration it is."""
        return self.number if self.confirms is None else self.confirms

    @property
    def num_new_seeds(self) -> int:
        """How many replicates the estimate is of: 0 before the best is confirmed."""
        return 0 if self.confirms is None else self.num_seeds


@dataclass(frozen=True, slots=True)
class ConstraintReport:
    """A constraint, and what it costs."""

    metric: str
    """what is constrained"""
    text: str
    """the metric and its bound, as in the study file"""
    margin: float
    """by how much the 95 % interval may reach beyond the bound"""
    base: float | None
    """the base model's value; null where it was not measured"""
    bound: float | None
    """the bound as a number; null where it is of the base model, which was not measured"""
    front: tuple[int, ...]
    """completed trials that no other one beats both in the objective and in the distance from the
    bound, by the objective, the best first"""


@dataclass(frozen=True, slots=True)
class NearestReport:
    """The completed trial that is nearest to holding every constraint, while none does."""

    number: int
    """the trial"""
    objective: float
    """its objective"""
    shortfall: float | None
    """by how much it breaks them, all together; null where one was not measured"""
    broken: tuple[str, ...]
    """each that it breaks, in words"""
    model_dir: str | None
    """folder of its weights; null where they are not kept"""


@dataclass(frozen=True, slots=True)
class StudyReport:
    """A whole study but its observations: `sweep inspect STUDY --json`."""

    study: str
    """its name"""
    metric: str
    """what is optimized (objective.metric)"""
    direction: Direction
    """maximize or minimize"""
    out: str
    """the study's folder"""
    state: Standing
    """unfinished, done, no completed trial, no feasible trial (each completed one breaks a
    constraint), or some trials failed"""
    total: int | None
    """trials that there will be: run.trials; with auto what was decided last"""
    predictor: str
    """version of the predictor that the study was last run with"""
    created_s: float
    """when it was made, in seconds since 1970"""
    notes: tuple[str, ...]
    """sentences on what happened to it, oldest first, and on what is odd in its storage"""
    base: BaseReport
    """the base model"""
    trials: tuple[TrialSummary, ...]
    """by number, replicates included"""
    parked: tuple[ParkedReport, ...]
    """the trials that wait at a look (pruning.mode scout), the most promising first"""
    prior: PriorReport | None
    """what expectations rest on; null without scouting"""
    best: BestReport | None
    """null while no trial is completed that holds every constraint"""
    confirm: ConfirmReport
    """the best configurations trained again with new seeds"""
    early_eval: int | None
    """rows or questions of each metric that a look measures; null where an earlier version made the
    study"""
    early_questions: int | None
    """in place of it, questions of each metric that asks some (objective.early.questions); null:
    as many as early_eval"""
    compute: ComputeReport
    """what was planned, used and saved"""
    stopping: StoppingReport
    """whether further trials are unlikely to help"""
    audits: AuditReport
    """what audits found of the predictor's misses"""
    expected_misses: ExpectedMisses
    """what the predictor states of its misses"""
    resolved: Mapping[str, Json]
    """the study file as resolved, defaults filled in"""
    constraints: tuple[ConstraintReport, ...] = ()
    """what the best must hold (objective.constraints)"""
    nearest: NearestReport | None = None
    """the completed trial nearest to holding every constraint; null where one holds them all"""
    differences: tuple[Difference, ...] = ()
    """the best (else the nearest) against the base model and the next few, paired; empty where an
    earlier version measured them"""

    @property
    def originals(self) -> Sequence[TrialSummary]:
        """The trials that are no replicates, by number."""
        return [trial for trial in self.trials if not trial.is_replicate]

    def trial(self, number: int) -> TrialSummary:
        """The trial of that number. LookupError where there is none."""
        for trial in self.trials:
            if trial.number == number:
                return trial
        raise LookupError(f"no trial {number}")

    def in_state(self, state: State) -> Sequence[TrialSummary]:
        """The trials in that state: those that break a constraint last, then by objective, the best
        first, without one last, then by number."""
        sign = -1.0 if self.direction == "maximize" else 1.0

        def key(trial: TrialSummary) -> tuple[bool, bool, float, int]:
            end = sign * (trial.objective or 0.0)
            return trial.is_feasible is False, trial.objective is None, end, trial.number

        return sorted((trial for trial in self.trials if trial.state is state), key=key)

    def completed(self, *, feasible: bool | None = None) -> Sequence[TrialSummary]:
        """The completed originals, the best first; `feasible`: that hold every constraint, or
        not."""
        found = [trial for trial in self.in_state(State.COMPLETED) if not trial.is_replicate]
        return [one for one in found if feasible is None or one.is_feasible is feasible]

    def is_better(self, value: float, than: float) -> bool:
        """Whether an objective is better than another, strictly, in the study's direction."""
        return value > than if self.direction == "maximize" else value < than

    def _repr_html_(self) -> str:
        """The report as HTML, which notebooks show."""
        from sweep.report.html import study_html

        return study_html(self)
