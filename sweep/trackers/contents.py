"""What is said of a trial and of a study in a tracker, from the study's report alone. No secret is
in it: reports have none, and the texts are gone through once more."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from predictor.types import Observation
from sweep.account.outcome import Standing
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import TrialSummary, Window
from sweep.storage.states import State
from sweep.trackers.runs import End, Point, Run, Value
from trainer.contract.safe_text import clean, clipped, document_without_secrets, file_name

STEP_METRIC = "samples_seen"  # every step has it


def trial_run(report: StudyReport, trial: TrialSummary) -> Run:
    """The trial's run: its hyperparameters, and what they are tried on."""
    config = {
        **trial.params,
        "trial": trial.number,
        "recipe": trial.recipe,
        "further_seed": trial.further_seed,
        "replicate_of": trial.confirms,
        "num_steps": trial.num_steps,
        "study": report.study,
        "metric": report.metric,
        "direction": report.direction,
        "base_model": _at(report.resolved, "model", "base"),
        "tuning": _at(report.resolved, "model", "tuning"),
        "seed": _at(report.resolved, "run", "seed"),
    }
    name = f"trial-{trial.number:04d}"
    return Run(f"{_prefix(report)}-{name}", name, report.study, True, flat(config))


def study_run(report: StudyReport) -> Run:
    """The study's own run: the study file as resolved."""
    config = flat({"predictor": report.predictor, **report.resolved})
    return Run(f"{_prefix(report)}-study", "study", report.study, False, config)


def trial_points(trial: TrialSummary, seen: Iterable[Observation], after: int = 0) -> list[Point]:
    """What was seen after a step, one point a step, the looks at theirs."""
    values: dict[int, dict[str, float]] = {one.step: _step(one) for one in seen}
    batch_size = trial.params.get("batch_size")
    last = max(values, default=0)
    for look in (*([] if trial.window is None else [trial.window]), *trial.looks):
        assert isinstance(batch_size, int)
        step = math.ceil(look.samples / batch_size)
        if step <= last:
            values.setdefault(step, {}).update(_look(look, batch_size))
    return [Point(step, values[step]) for step in sorted(values) if step > after]


def trial_end(trial: TrialSummary) -> End:
    """The final values, and the verdict in words."""
    verdict, forecast = trial.verdict, trial.forecast
    values: dict[str, float | None] = {
        "objective": trial.objective,
        "P": forecast and forecast.probability,
        "compute/flops": trial.compute.flops,
        "compute/input_tokens": trial.compute.input_tokens,
        "compute/seconds": trial.compute.seconds,
        "attempts": trial.attempts,
    }
    for metric, one in trial.measurements.items():
        values |= {
            f"final/{metric}": one.value,
            f"final/{metric}/stderr": one.stderr,
            f"final/{metric}/margin": one.margin,
            f"final/{metric}/over_base": one.over_base,
            **{f"final/{metric}/{group}": value for group, value in one.groups.items()},
        }
    values |= {f"constraint/{one.metric}/slack": one.slack for one in trial.constraints}
    texts = {"state": str(trial.state)}
    tags = [str(trial.state)]
    if verdict is not None:
        texts |= {
            "verdict": f"{verdict.action} ({verdict.kind}) at {verdict.moment}",
            "reason": _safe(verdict.reason),
        }
        if trial.state is State.PRUNED:
            tags.append(f"by {verdict.kind}")
    if trial.error is not None:
        texts["error"] = _safe(f"{trial.error.kind}: {trial.error.message}")
    tags += [word for word, holds in _marks(trial).items() if holds]
    return End(trial.state, _known(values), texts, tuple(tags))


def study_end(report: StudyReport) -> End:
    """Where the study stands: its best, and what was saved."""
    compute, best, base = report.compute, report.best, report.base.objective
    states = [trial.state for trial in report.originals]
    settled = sum(state in (State.COMPLETED, State.PRUNED, State.FAILED) for state in states)
    values: dict[str, float | None] = {
        **{f"trials/{state}": states.count(state) for state in State if state in states},
        "trials/settled": settled,
        "base/objective": base,
        "best/trial": best and best.number,
        "best/objective": best and best.objective,
        "best/mean": best and best.mean,
        "best/gain": None if best is None or base is None else best.mean - base,
        "compute/planned_flops": compute.planned_flops,
        "compute/used_flops": compute.used_flops,
        "compute/saved_share": compute.saved_share,
    }
    texts = {"state": str(report.state)}
    if best is not None:
        params = flat(best.params).items()
        texts["best"] = f"trial {best.number}: " + ", ".join(f"{k}={v}" for k, v in params)
    tags = ("study", str(report.state))
    is_done = report.state is not Standing.UNFINISHED
    state = State.COMPLETED if is_done else State.RUNNING
    return End(state, _known(values), texts, tags)


def digest(end: End) -> str:
    """What two ends have in common that say the same."""
    said = [end.state, dict(end.values), dict(end.texts), list(end.tags)]
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:16]


def flat(document: Mapping[str, Any]) -> dict[str, Value]:
    """One level, the keys joined by dots, without nulls and secrets; lists as JSON."""
    found: dict[str, Value] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in cast("Mapping[str, Any]", value).items():
                add(f"{prefix}.{key}" if prefix else str(key), inner)
        elif isinstance(value, bool | int | float):
            found[prefix] = value
        elif value is not None:
            found[prefix] = clipped(clean(value if isinstance(value, str) else json.dumps(value)))

    add("", document_without_secrets(document))
    return found


def _prefix(report: StudyReport) -> str:
    made = hashlib.sha256(f"{report.study} {report.created_s}".encode()).hexdigest()[:8]
    return f"{file_name(report.study).replace(' ', '_')[:60]}-{made}"


def _marks(trial: TrialSummary) -> dict[str, bool]:
    return {
        "audited": trial.is_audited,
        "breaks a constraint": trial.is_feasible is False,
        "replicate": trial.is_replicate,
        f"recipe {trial.recipe}": trial.recipe is not None,
    }


def _step(one: Observation) -> dict[str, float]:
    values: dict[str, float | None] = {
        STEP_METRIC: one.samples_seen,
        "input_tokens_seen": one.input_tokens_seen,
        "train/loss": one.loss,
        "train/grad_norm": one.grad_norm,
        "train/lr": one.lr,
        "train/seconds": one.seconds,
        "train/grad_sq_noise_free": one.grad_sq_noise_free,
        "train/grad_sq_noise": one.grad_sq_noise,
        "train/phase": one.phase or None,
    }
    return _known(values)


def _look(look: Window, batch_size: int) -> dict[str, float]:
    others = {f"early/{name}": value for name, value in look.early_others.items()}
    values: dict[str, float | None] = {
        STEP_METRIC: math.ceil(look.samples / batch_size) * batch_size,
        "early/objective": look.early_eval,
        "early/stderr": look.early_eval_stderr,
        "early/loss": look.loss,
        "early/grad_norm": look.grad_norm,
        "early/grad_norm_noise_free": look.grad_norm_noise_free,
        **others,
    }
    return _known(values)


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None}


def _at(document: Mapping[str, Any], part: str, key: str) -> Any:
    found = document.get(part)
    return cast("Mapping[str, Any]", found).get(key) if isinstance(found, Mapping) else None


def _safe(text: str) -> str:
    return clean(str(document_without_secrets(text)))
