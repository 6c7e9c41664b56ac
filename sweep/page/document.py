"""The page's JSON: what its scripts read. Keys that are not there stand for "not known".

Texts are without control codes and secrets, and what the scripts do with them is to set them as
text: names and reasons come from strangers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, cast

import yaml

from sweep import formats as f
from sweep.account.terms import Terms, at
from sweep.page import answer
from sweep.page.page_types import Curves, PageReport, Values
from sweep.report import constraints_text, study_text
from sweep.report.compute_text import compute_rows, risk_lines
from sweep.report.study_types import ConstraintReport, StudyReport
from sweep.report.trial_types import DecisionReport, TrialSummary, Window
from trainer.contract.safe_text import clean, document_without_secrets

DIGITS, CURVE_DIGITS = 9, 4  # that count


def document(page: PageReport, now_s: float | None = None) -> dict[str, Any]:
    """The page as JSON values; `now_s`: when it is made, in seconds since 1970."""
    report = page.study
    names = study_text.varying(report)
    size, unit = f.flop_unit(max((trial.planned_flops for trial in report.trials), default=0.0))
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now_s))
    found = {
        "study": report.study,
        "metric": report.metric,
        "higher": report.direction == "maximize",
        "made": f"{made}, sft-sweep {version('sft-sweep')}",
        "headline": study_text.headline(report),
        "question": answer.question(report, names),
        "standing": study_text.standing(report),
        "tiles": [asdict(tile) for tile in answer.tiles(report)],
        "answer": study_text.best_lines(report),
        "names": names,
        "log": [name for name in names if _is_log(report, name)],
        "fixed": study_text.fixed_parameters(report),
        "flop": {"size": size, "unit": unit},
        "base": {"objective": report.base.objective},
        "best": None if report.best is None else report.best.original,
        "nearest": None if report.nearest is None else report.nearest.number,
        "trials": [_trial(page, trial, names) for trial in report.trials],
        "confirmed": study_text.confirm_lines(report),
        "risk": risk_lines(report),
        "audits": asdict(report.audits),
        "compute": {"rows": compute_rows(report), "bars": _waterfall(report)},
        "constraints": [_constraint(report, one) for one in report.constraints] or None,
        "what_if": None if page.what_if is None else asdict(page.what_if),
        "trade_off": constraints_text.TRADE_OFF,
        "data": page.data,
        "environment": page.environment,
        "notes": report.notes,
        "out": report.out,
        "command": page.command,
        "study_file": yaml.safe_dump(_plain(report.resolved), sort_keys=False, allow_unicode=True),
    }
    return {**_compact(document_without_secrets(found)), "curves": _curves(page.curves)}


def _trial(page: PageReport, trial: TrialSummary, names: Sequence[str]) -> dict[str, Any]:
    measured = trial.measurements.get(page.study.metric)
    verdict, forecast = trial.verdict, trial.forecast
    band = page.bands.get(trial.number)
    return {
        "number": trial.number,
        "state": trial.state.value,
        "audited": trial.is_audited or None,
        "confirms": trial.confirms,
        "recipe": trial.recipe,
        "params": {name: trial.params.get(name) for name in names},
        "batch": trial.params.get("batch_size"),
        "steps": trial.num_steps,
        "objective": trial.objective,
        "stderr": measured and measured.stderr,
        "flops": trial.compute.flops,
        "planned": trial.planned_flops,
        "seconds": trial.compute.seconds,
        "looks": [_look(one) for one in (trial.window, *trial.looks) if one is not None],
        "p": forecast and forecast.probability,
        "band": band and [band.low, band.end, band.high],
        "verdict": verdict and {"kind": verdict.kind, "reason": verdict.reason},
        "decisions": [_decision(one) for one in page.decisions.get(trial.number, ())],
        "feasible": trial.is_feasible,
        "held": [[one.distance, one.low, one.high, one.words] for one in trial.constraints] or None,
        "error": trial.error and f"{trial.error.kind}: {trial.error.message}",
        "attempts": trial.attempts,
        "measured": {
            name: [one.value, one.stderr, one.num, one.groups or None]
            for name, one in trial.measurements.items()
        },
    }


def _constraint(report: StudyReport, one: ConstraintReport) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "line": constraints_text.constraint_line(report, one),
        "head": [" ".join(title.split()) for title in (*constraints_text.HEAD, "")],
        "rows": constraints_text.trade_off_rows(report, one),
        "front": one.front,
    }


def _look(look: Window) -> dict[str, Any]:
    return {
        "samples": look.samples,
        "loss": look.loss,
        "norm": look.grad_norm,
        "free": look.grad_norm_noise_free,
        "eval": look.early_eval,
        "stderr": look.early_eval_stderr,
        "others": look.early_others or None,
    }


def _decision(one: DecisionReport) -> list[Any]:
    return [one.moment, one.step, one.action, one.kind, one.probability, one.reason]


def _curves(curves: Curves) -> dict[str, Any]:
    def thin(values: Values) -> list[float | None]:
        found = [None if v is None else float(f"{v:.{CURVE_DIGITS}g}") for v in values]
        while found and found[-1] is None:  # of a trial that was stopped: most of it
            found.pop()
        return found

    return {
        "samples": list(curves.samples),
        "steps_a_point": curves.steps_a_point,
        "trials": {
            str(number): [thin(one.loss), thin(one.grad_norm), thin(one.noise_free)]
            for number, one in curves.trials.items()
        },
    }


def _waterfall(report: StudyReport) -> list[tuple[str, float]]:
    """From the plan to what was used: what each step takes away, in FLOPs."""
    c = report.compute
    steps = [
        ("planned", c.planned_flops),
        ("guards", -c.saved_by_guards),
        ("rank", -c.saved_by_rank),
        ("stopping", -c.saved_by_stopping),
        ("early evaluations", c.overhead.early_evals),
        ("done twice or off the plan", c.overhead.beyond_plan),
        ("failed trials", c.overhead.failed),
        ("used", c.used_flops),
    ]
    return [(name, flops) for name, flops in steps if flops or name in ("planned", "used")]


def _is_log(report: StudyReport, name: str) -> bool:
    """Whether the study file draws it on a logarithmic scale."""
    return bool(at(Terms.of(report.resolved).space, name).get("log"))


def _plain(value: object) -> Any:
    """Without the kinds that YAML has no word for, and without control codes."""
    if isinstance(value, Mapping):
        given = cast("Mapping[object, object]", value)
        return {clean(str(key)): _plain(one) for key, one in given.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("Iterable[object]", value)]
    return clean(value) if isinstance(value, str) else value


def _compact(value: object) -> Any:
    """Texts made safe, floats with the digits that count, what is None in a mapping left out."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        given = cast("Mapping[object, object]", value)
        return {clean(str(key)): _compact(one) for key, one in given.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_compact(one) for one in cast("Iterable[object]", value)]
    return value
