"""A study as one document, read from its storage alone, while a driver writes or years after."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from sweep.account.audits import audit_misses, expected_misses
from sweep.account.compute import Usage, account, audit_cost, decisive, usage_by_trial
from sweep.account.odd_rows import odd_rows
from sweep.account.outlook import stopping_part
from sweep.account.replicates import Plan, confirm_part, is_repeat
from sweep.account.standing import EXHAUSTED, standing
from sweep.report.parts import base_part, best_part, compute_part, fields_of, trial_part
from sweep.storage.ledger import BASE, Decision, Ledger, StudyRow
from sweep.storage.migrate import refuse_unreadable
from sweep.storage.paths import StudyPaths
from trainer.contract.spec import HIGHER_IS_BETTER, UserError
from trainer.contract.streams import finite


def study_document(ledger: Ledger, paths: StudyPaths) -> dict[str, Any]:
    """The whole study but its observations, as JSON values; what is not finite is None.

    Losses are in nats per token, compute in FLOPs, times in seconds. README.md describes the keys.
    """
    study = _study(ledger)
    # In this order: a decision or cost may be newer than its trial's row, never missing.
    trials = ledger.read_trials()
    decisions = _by_trial(ledger.read_decisions())
    usage = usage_by_trial(ledger.read_costs())
    decided = {
        trial.number: decision
        for trial in trials
        if (decision := decisive(trial, decisions.get(trial.number, []))) is not None
    }
    metric: str = study.document["objective"]["metric"]
    base = base_part(study, metric)
    stopping = stopping_part(study.document, trials, metric)
    notes = ledger.read_notes()
    no_new = stopping["stopped"] or EXHAUSTED in notes
    plan = Plan.of(study.document)
    base["compute"] = compute_part(usage.get(BASE, Usage()))
    document = {
        "study": study.name,
        "metric": metric,
        "direction": "maximize" if HIGHER_IS_BETTER[metric] else "minimize",
        "out": str(paths.out),
        "state": standing(study.document, trials, metric, no_new=no_new).value,
        "total": study.document.get("run", {}).get("trials"),
        "predictor": study.predictor,
        "created_s": study.created_s,
        "notes": [*notes, *odd_rows(trials, metric, [*decisions, *usage])],
        "base": base,
        "trials": [
            trial_part(
                trial,
                decided.get(trial.number),
                decisions.get(trial.number, []),
                usage.get(trial.number, Usage()),
            )
            for trial in trials
        ],
        "best": best_part(trials, metric, paths, plan),
        "confirm": confirm_part(trials, metric, plan),
        "compute": account(trials, usage, decided, stopping["num_not_started"]),
        "stopping": stopping,
        "audits": {
            **audit_cost(trials, usage, decisions),
            **audit_misses(trials, decisions, metric),
        },
        "expected_misses": {
            **expected_misses(trials, decisions),
            "most": study.document.get("pruning", {}).get("max_expected_misses"),
        },
        "resolved": study.document,
    }
    return cast(dict[str, Any], finite(document))


def trial_document(ledger: Ledger, paths: StudyPaths, number: int) -> dict[str, Any]:
    """Everything that is known of one trial: observations, decisions with evidence, every cost.

    UserError where the study has no such trial, or an earlier version made its tables.
    """
    from predictor.noise import gradient_noise_scale  # numpy: of no use to the tables

    refuse_unreadable(ledger.engine)
    study = _study(ledger)
    trials = {trial.number: trial for trial in ledger.read_trials()}
    if number not in trials:
        raise UserError(f"study {study.name!r} has no trial {number}; {_numbers(trials)}")
    trial = trials[number]
    decisions = _by_trial(ledger.read_decisions()).get(number, [])
    costs = [cost for cost in ledger.read_costs() if cost.trial == number]
    metric: str = study.document["objective"]["metric"]
    usage = usage_by_trial(costs).get(number, Usage())
    folder, log = paths.trial(number), paths.trial_log(number)
    observations = ledger.read_observations(number)
    noise = gradient_noise_scale(observations, trial.params["batch_size"])
    document = {
        "study": study.name,
        "metric": metric,
        "direction": "maximize" if HIGHER_IS_BETTER[metric] else "minimize",
        "base": base_part(study, metric),
        **trial_part(trial, decisive(trial, decisions), decisions, usage),
        "error": trial.error,  # with its traceback
        "decisions": [
            {
                "moment": decision.moment,
                "step": decision.step,
                "action": decision.verdict.action,
                "kind": decision.verdict.kind,
                "probability": decision.verdict.probability,
                "reason": decision.verdict.reason,
                "evidence": decision.verdict.evidence,
                "predictor": decision.predictor,
                "settings": fields_of(decision.settings),
            }
            for decision in decisions
        ],
        "costs": [fields_of(cost) for cost in costs],
        "observations": [fields_of(seen) for seen in observations],
        "noise_scale": None if noise is None else {"samples": noise[0], "standard_error": noise[1]},
        "folder": str(folder) if folder.is_dir() else None,
        "log": str(log) if log.is_file() else None,
    }
    return cast(dict[str, Any], finite(document))


def _numbers(trials: Collection[int]) -> str:
    repeats = sorted(filter(is_repeat, trials))
    originals = [number for number in trials if not is_repeat(number)]
    text = f"its trials are {f'0 to {max(originals)}' if originals else 'none yet'}"
    return f"{text}; repeats: {', '.join(map(str, repeats))}" if repeats else text


def _study(ledger: Ledger) -> StudyRow:
    study = ledger.read_study()
    assert study is not None, ledger.study
    return study


def _by_trial(decisions: list[Decision]) -> dict[int, list[Decision]]:
    found: dict[int, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.trial, []).append(decision)
    return found
