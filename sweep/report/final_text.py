"""What the best few alone were measured by (objective.final), as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from sweep.account.terms import at
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import Measured
from trainer.contract.metrics import higher_is_better


def final_metrics(report: StudyReport) -> Sequence[str]:
    """Those that any trial has and that are not measured of every trial, in the order they were."""
    objective = at(report.resolved, "objective")
    also = cast("Sequence[str]", objective.get("also") or ())
    constraints = cast("Sequence[Mapping[str, str]]", objective.get("constraints") or ())
    usual = {report.metric, *also, *(one.get("metric") for one in constraints)}
    names = dict.fromkeys(name for trial in report.trials for name in trial.measurements)
    return [name for name in names if name not in usual]


def final_rows(report: StudyReport, metrics: Sequence[str]) -> list[list[str]]:
    """A row for the base model and for each trial that was measured, by the first of the metrics,
    the best first."""
    few = [t for t in report.trials if any(name in t.measurements for name in metrics)]
    sign = -1 if higher_is_better(metrics[0]) else 1

    def place(measured: Mapping[str, Measured]) -> float:
        one = measured.get(metrics[0])
        return float("inf") if one is None or one.value is None else sign * one.value

    few.sort(key=lambda trial: place(trial.measurements))
    named = [("base", report.base.measurements), *((str(t.number), t.measurements) for t in few)]
    return [[name, *(_cell(own.get(metric)) for metric in metrics)] for name, own in named]


def _cell(measured: Measured | None) -> str:
    if measured is None or measured.value is None:
        return "-"
    error = "" if measured.stderr is None else f" ± {measured.stderr:.4f}"
    return f"{measured.value:.4f}{error}"
