"""A study's report, read from its storage alone, while a driver writes or years after."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sweep.account.audits import audit_report, decisions_by_trial, expected_misses
from sweep.account.compute import (
    NOTHING,
    compute_report,
    decisive,
    usage_by_trial,
)
from sweep.account.odd_rows import odd_rows
from sweep.account.outlook import stopping_report
from sweep.account.replicates import confirm_report, is_replicate
from sweep.account.standing import EXHAUSTED, standing
from sweep.account.terms import Terms
from sweep.report.constraints import (
    best_differences,
    constraint_reports,
    nearest_report,
)
from sweep.report.parked import parked_reports
from sweep.report.parts import (
    base_report,
    best_report,
    decision_report,
    failure_report,
    trial_summary,
)
from sweep.report.prior import prior_report
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import Direction, NoiseScale, TrialReport
from sweep.storage.ledger import BASE, Ledger, StudyRow
from sweep.storage.migrate import refuse_unreadable
from sweep.storage.paths import StudyPaths
from trainer.contract.metrics import higher_is_better
from trainer.contract.spec import UserError


def study_report(ledger: Ledger, paths: StudyPaths) -> StudyReport:
    """The whole study but its observations."""
    study = _study(ledger)
    terms = Terms.of(study.document, study.facts)
    # In this order: a decision or cost may be newer than its trial's row, never missing.
    trials = ledger.read_trials()
    decisions = decisions_by_trial(ledger.read_decisions())
    usage = usage_by_trial(ledger.read_costs())
    notes = ledger.read_notes()
    decided = {
        trial.number: decision
        for trial in trials
        if (decision := decisive(trial, decisions.get(trial.number, []))) is not None
    }
    stopping = stopping_report(trials, terms)
    no_new = stopping.stopped or EXHAUSTED in notes
    return StudyReport(
        study=study.name,
        metric=terms.metric,
        direction=_direction(terms.metric),
        out=str(paths.out),
        state=standing(trials, terms, no_new=no_new),
        total=terms.num_trials,
        predictor=study.predictor,
        created_s=study.created_s,
        notes=(*notes, *odd_rows(trials, terms.metric, [*decisions, *usage])),
        base=base_report(study, terms.metric, usage.get(BASE, NOTHING)),
        trials=tuple(
            trial_summary(
                trial,
                decided.get(trial.number),
                decisions.get(trial.number, ()),
                usage.get(trial.number, NOTHING),
                terms.goal,
            )
            for trial in trials
        ),
        parked=parked_reports(trials, decisions, terms, paths, study.facts),
        prior=prior_report(study, trials, decisions, terms.metric),
        best=best_report(trials, terms.goal, paths, terms.confirm),
        confirm=confirm_report(trials, terms.goal, terms.confirm),
        early_eval=study.facts.get("early_eval"),
        early_questions=_early_questions(study.document),
        compute=compute_report(trials, usage, decided, stopping.num_not_started),
        stopping=stopping,
        audits=audit_report(trials, usage, decisions, terms.goal),
        expected_misses=expected_misses(trials, decisions, terms.pruning.max_expected_misses),
        resolved=study.document,
        constraints=constraint_reports(trials, terms.goal),
        nearest=nearest_report(trials, terms.goal, paths),
        differences=best_differences(ledger, trials, terms),
    )


def trial_report(ledger: Ledger, paths: StudyPaths, number: int) -> TrialReport:
    """All that is known of one trial: observations, decisions with evidence, every cost.

    UserError where the study has no such trial, or an earlier version made its tables.
    """
    from predictor.noise import gradient_noise_scale  # numpy: of no use to the tables

    refuse_unreadable(ledger.engine)
    study = _study(ledger)
    trials = {trial.number: trial for trial in ledger.read_trials()}
    if number not in trials:
        raise UserError(f"study {study.name!r} has no trial {number}; {_numbers(trials)}")
    trial = trials[number]
    decisions = decisions_by_trial(ledger.read_decisions()).get(number, [])
    costs = ledger.read_costs()
    usage = usage_by_trial(costs)
    observations = ledger.read_observations(number)
    noise = gradient_noise_scale(observations, trial.params["batch_size"])
    goal = Terms.of(study.document, study.facts).goal
    metric = goal.metric
    folder, log = paths.trial(number), paths.trial_log(number)
    return TrialReport(
        study=study.name,
        metric=metric,
        direction=_direction(metric),
        base=base_report(study, metric, usage.get(BASE, NOTHING)),
        trial=trial_summary(
            trial, decisive(trial, decisions), decisions, usage.get(number, NOTHING), goal
        ),
        error=failure_report(trial),
        decisions=tuple(map(decision_report, decisions)),
        costs=tuple(cost for cost in costs if cost.trial == number),
        observations=tuple(observations),
        noise_scale=None if noise is None else NoiseScale(*noise),
        folder=str(folder) if folder.is_dir() else None,
        log=str(log) if log.is_file() else None,
    )


def _direction(metric: str) -> Direction:
    return "maximize" if higher_is_better(metric) else "minimize"


def _numbers(trials: Collection[int]) -> str:
    replicates = sorted(filter(is_replicate, trials))
    originals = [number for number in trials if not is_replicate(number)]
    text = f"its trials are {f'0 to {max(originals)}' if originals else 'none yet'}"
    return f"{text}; replicates: {', '.join(map(str, replicates))}" if replicates else text


def _study(ledger: Ledger) -> StudyRow:
    study = ledger.read_study()
    assert study is not None, ledger.study
    return study


def _early_questions(document: Mapping[str, Any]) -> int | None:
    given = document.get("objective", {}).get("early", {}).get("questions", "auto")
    return None if given == "auto" else given
