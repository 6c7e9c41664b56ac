"""A settled trial as a row of the table of runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from predictor.types import Observation
from sweep.account.audits import audit_of, is_miss
from sweep.account.constraints import Goal
from sweep.account.objective import minimized, objective_of
from sweep.account.replicates import is_replicate, original_of, seed_index
from sweep.analysis.recorded.settled import SettledStudy
from sweep.storage.ledger import Decision, TrialRow
from sweep.storage.states import State
from trainer.contract.metrics import higher_is_better

Row = dict[str, Any]  # by the columns of predictor.recorded.columns


def run_row(
    study: SettledStudy,
    trial: TrialRow,
    decisions: Sequence[Decision],
    seen: Sequence[Observation],
    usual_window: int | None,
) -> Row:
    """The row, but for its key `run`. `usual_window`: stands for the trial's own where that did not
    close."""
    document = study.row.document
    metric, seed = document["objective"]["metric"], document["run"]["seed"]
    seed += seed_index(trial.number)
    measured: Row = study.row.facts.get("base_measurements") or {}
    base: Row = measured.get(metric) or {}
    window, final = trial.window or {}, objective_of(trial, metric)
    early = window.get("early_eval")
    pruned = trial.state == State.PRUNED
    pruning = next((d for d in decisions if pruned and d.verdict.action == "prune"), None)
    return {
        "group": study.row.name,
        "workload": _workload(document),
        "study": str(seed),
        "created_s": study.row.created_s,
        "name": f"{study.label}/{trial.number}",
        "params": json.dumps(trial.params),
        "seed": seed,
        "horizon_step": trial.num_steps,
        "horizon_samples": trial.num_steps * trial.params["batch_size"],
        "window_samples": window.get("samples", usual_window),
        "warmup_steps": math.ceil(trial.params.get("warmup_ratio", 0.0) * trial.num_steps),
        "state": trial.state,
        "pruned_by": pruning.verdict.kind if pruning is not None else None,
        **_audit(trial, decisions, Goal.of(document["objective"], study.row.facts)),
        "confirms": f"{study.label}/{original_of(trial.number)}"
        if is_replicate(trial.number)
        else None,
        "final_eval_loss": final,
        "objective": None if final is None else trial.objective,
        "base_objective": base.get("value"),
        "metric": metric,
        "direction": "maximize" if higher_is_better(metric) else "minimize",
        "early_eval": None if early is None else minimized(metric, early, window["early_eval_num"]),
        "grad_norm_noise_free": window.get("grad_norm_noise_free"),
        "tokens": seen[-1].input_tokens_seen if seen else 0,
    }


def _audit(trial: TrialRow, decisions: Sequence[Decision], goal: Goal) -> Row:
    found = audit_of(decisions)
    if found is None:
        return {}
    return {
        "audit": found.settings.audit,
        "audit_kind": found.verdict.kind,
        "audit_p": found.verdict.probability,
        "audit_miss": is_miss(trial, found, goal),
    }


def _workload(document: Mapping[str, Any]) -> str:
    """The base model's folder and the training data's, as their last names tell."""
    data = document.get("data", {})
    sources = data.get("phases") or [data.get("train") or "data"]
    names = ["/".join(PurePath(source).parts[-2:]) for source in sources]
    return f"{PurePath(document['model']['base']).name} on {' then '.join(names)}"
