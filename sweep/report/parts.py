"""The parts that a report is put together from: rows of the storage in, parts of reports out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from predictor.types import Verdict
from sweep.account.compute import Usage
from sweep.account.constraints import Goal
from sweep.account.replicates import (
    Plan,
    best_trial,
    confirmed,
    is_replicate,
    original_of,
    seed_index,
)
from sweep.report.study_types import BestReport
from sweep.report.trial_types import (
    BaseReport,
    DecisionReport,
    Failure,
    FailureReport,
    Forecast,
    Measured,
    TrialSummary,
    VerdictReport,
    Window,
)
from sweep.storage.ledger import Decision, StudyRow, TrialRow
from sweep.storage.paths import StudyPaths, kept_model
from sweep.storage.states import PARKED, State, is_look


class _Measurement(TypedDict):
    """A `trainer.contract.measurement.Measurement` as the storage has it."""

    value: float
    num: int
    input_tokens: int
    seconds: float
    groups: Mapping[str, float]
    stderr: NotRequired[float | None]  # earlier versions did not measure these
    margin: NotRequired[float | None]
    margin_stderr: NotRequired[float | None]
    group_stderrs: NotRequired[Mapping[str, float | None]]
    over_base: NotRequired[float | None]
    over_base_stderr: NotRequired[float | None]


def base_report(study: StudyRow, metric: str, usage: Usage) -> BaseReport:
    """The base model's part of a study's report."""
    measurements = _measurements(study.facts.get("base_measurements"))
    measured = measurements.get(metric)
    return BaseReport(None if measured is None else measured.value, measurements, usage)


def trial_summary(
    row: TrialRow,
    decision: Decision | None,
    decisions: Sequence[Decision],
    usage: Usage,
    goal: Goal,
) -> TrialSummary:
    """A trial as reports have it; `decision` is the decisive one of its `decisions`."""
    stated = next((one for one in reversed(decisions) if _states_a_chance(one)), None)
    return TrialSummary(
        number=row.number,
        state=State(row.state),
        params=row.params,
        recipe=row.recipe,
        confirms=original_of(row.number) if is_replicate(row.number) else None,
        further_seed=seed_index(row.number),
        objective=_finite(row.objective),
        window=None if row.window is None else _window(row.window),
        looks=tuple(map(_window, row.looks or ())),
        verdict=None if decision is None else _verdict(decision, decisions),
        forecast=None if stated is None else _forecast(stated.verdict),
        compute=usage,
        planned_flops=row.planned_flops,
        num_steps=row.num_steps,
        attempts=row.attempts,
        failures=row.failures,
        error=None if row.error is None else _failure(row.error),
        measurements=_measurements(row.measurements),
        constraints=goal.held(row) if row.state == State.COMPLETED else (),
    )


def best_report(
    trials: Sequence[TrialRow], goal: Goal, paths: StudyPaths, plan: Plan
) -> BestReport | None:
    """The best configuration; None while no trial is completed."""
    best = best_trial(trials, goal, plan)
    if best is None or best.objective is None:
        return None
    model = kept_model(paths, best.number)
    found = confirmed(trials, goal, plan)
    seeds = found[0] if found else None
    return BestReport(
        number=best.number,
        params=best.params,
        objective=best.objective,
        mean=best.objective if seeds is None else seeds.mean,
        sd=None if seeds is None else seeds.sd,
        num_seeds=1 if seeds is None else len(seeds.values),
        confirms=None if seeds is None else seeds.original,
        model_dir=None if model is None else str(model),
    )


def decision_report(decision: Decision) -> DecisionReport:
    """A stored decision as a trial's report has it."""
    verdict = decision.verdict
    return DecisionReport(
        moment=decision.moment,
        step=decision.step,
        action=verdict.action,
        kind=verdict.kind,
        probability=_finite(verdict.probability),
        reason=verdict.reason,
        evidence=verdict.evidence,
        predictor=decision.predictor,
        settings=decision.settings,
    )


def failure_report(row: TrialRow) -> FailureReport | None:
    """The last failure and those before it; None of a trial without one."""
    if row.error is None:
        return None
    last = _failure(row.error)
    return FailureReport(
        last.kind,
        last.message,
        traceback=row.error.get("traceback"),
        earlier=tuple(_failure(one) for one in row.error.get("earlier", ())),
        forgiven=row.error.get("forgiven", 0),
    )


def _failure(error: Mapping[str, str]) -> Failure:
    return Failure(error["kind"], error["message"])


def _window(look: Mapping[str, Any]) -> Window:
    return Window(
        samples=look["samples"],
        loss=_finite(look.get("loss")),
        grad_norm=_finite(look.get("grad_norm")),
        grad_norm_noise_free=_finite(look.get("grad_norm_noise_free")),
        early_eval=_finite(look.get("early_eval")),
        early_eval_stderr=_finite(look.get("early_eval_stderr")),
        early_others={
            name: _finite(one["value"]) for name, one in look.get("early_others", {}).items()
        },
        phase=look.get("phase"),
    )


def _verdict(decision: Decision, decisions: Sequence[Decision]) -> VerdictReport:
    verdict = decision.verdict
    return VerdictReport(
        action=verdict.action,
        kind=verdict.kind,
        probability=_finite(verdict.probability),
        reason=verdict.reason,
        audited=any(one.verdict.action == "audit" for one in decisions),
        moment=decision.moment,
        step=decision.step,
    )


def _states_a_chance(decision: Decision) -> bool:
    """At a look, or of a trial that was parked."""
    is_asked = is_look(decision.moment) or decision.moment == PARKED
    return is_asked and decision.verdict.probability is not None


def _forecast(verdict: Verdict) -> Forecast:
    evidence = verdict.evidence
    return Forecast(
        probability=_finite(verdict.probability),
        before=_finite(evidence.get("before")),
        incumbent=evidence.get("incumbent", evidence.get("leader")),
        best=_finite(evidence.get("best")),
        spread=_finite(evidence.get("spread")),
    )


def _measurements(stored: Mapping[str, _Measurement] | None) -> dict[str, Measured]:
    """By metric."""
    return {
        metric: Measured(
            value=_finite(one["value"]),
            num=one["num"],
            input_tokens=one["input_tokens"],
            seconds=one["seconds"],
            groups={name: _finite(value) for name, value in one["groups"].items()},
            stderr=_finite(one.get("stderr")),
            margin=_finite(one.get("margin")),
            margin_stderr=_finite(one.get("margin_stderr")),
            group_stderrs={n: _finite(value) for n, value in one.get("group_stderrs", {}).items()},
            over_base=_finite(one.get("over_base")),
            over_base_stderr=_finite(one.get("over_base_stderr")),
        )
        for metric, one in (stored or {}).items()
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
