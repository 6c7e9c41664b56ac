"""The parts that a study's document is put together from: rows in, JSON values out."""

from __future__ import annotations

from typing import Any

from predictor.types import Verdict
from sweep.account.compute import Usage
from sweep.account.replicates import Plan, best_trial, confirmed, is_repeat, original_of, seed_index
from sweep.storage.ledger import Decision, StudyRow, TrialRow
from sweep.storage.paths import StudyPaths, best_kept

_SIGNALS = ("samples", "loss", "grad_norm", "grad_norm_noise_free", "early_eval", "phase")


def base_part(study: StudyRow, metric: str) -> dict[str, Any]:
    measurements: dict[str, dict[str, Any]] = study.facts.get("base_measurements") or {}
    objective = measurements.get(metric, {}).get("value")
    return {"objective": objective, "measurements": measurements}


def trial_part(
    row: TrialRow, decision: Decision | None, decisions: list[Decision], usage: Usage
) -> dict[str, Any]:
    window = None
    if row.window is not None:
        window = {name: row.window.get(name) for name in _SIGNALS}
    verdict = None
    if decision is not None:
        given = decision.verdict
        verdict = {
            "action": given.action,
            "kind": given.kind,
            "probability": given.probability,
            "reason": given.reason,
            "audited": any(one.verdict.action == "audit" for one in decisions),
            "moment": decision.moment,
            "step": decision.step,
        }
    at_window = next((one for one in decisions if one.moment == "window"), None)
    error = None
    if row.error is not None:
        error = {name: row.error.get(name) for name in ("kind", "message")}
    return {
        "number": row.number,
        "state": row.state,
        "params": row.params,
        "recipe": row.recipe,
        "confirms": original_of(row.number) if is_repeat(row.number) else None,
        "further_seed": seed_index(row.number),
        "objective": row.objective,
        "window": window,
        "verdict": verdict,
        "forecast": None if at_window is None else _forecast(at_window.verdict),
        "compute": compute_part(usage),
        "planned_flops": row.planned_flops,
        "num_steps": row.num_steps,
        "attempts": row.attempts,
        "failures": row.failures,
        "error": error,
        "measurements": row.measurements or {},
    }


def _forecast(at_window: Verdict) -> dict[str, Any] | None:
    """What was stated when the window closed: P, and P0 before the trial was looked at."""
    if at_window.probability is None:
        return None
    evidence = at_window.evidence
    return {
        "probability": at_window.probability,
        **{name: evidence.get(name) for name in ("before", "incumbent", "best", "spread")},
    }


def compute_part(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "seconds": usage.seconds,
        "flops": usage.flops,
        "early_eval_flops": usage.early_eval_flops,
    }


def best_part(
    trials: list[TrialRow], metric: str, paths: StudyPaths, plan: Plan
) -> dict[str, Any] | None:
    """`number` is the run whose weights count; mean and sd are of its configuration's new
    seeds."""
    best = best_trial(trials, metric, plan)
    if best is None:
        return None
    model = paths.best if best_kept(paths) == best.number else paths.trial_model(best.number)
    return {
        "number": best.number,
        "params": best.params,
        "objective": best.objective,
        **_scatter(trials, metric, plan, best),
        "model_dir": str(model) if model.is_dir() else None,
    }


def _scatter(trials: list[TrialRow], metric: str, plan: Plan, best: TrialRow) -> dict[str, Any]:
    """Of a best that is not confirmed: of one seed, without an sd."""
    found = confirmed(trials, metric, plan)
    if not found:
        return {"mean": best.objective, "sd": None, "num_seeds": 1, "confirms": None}
    one = found[0]
    return {
        "mean": one.mean,
        "sd": one.sd,
        "num_seeds": len(one.values),
        "confirms": one.original,
    }


def fields_of(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
