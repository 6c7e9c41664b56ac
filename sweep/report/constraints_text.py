"""What a report says of constraints and of differences, in sentences and rows."""

from __future__ import annotations

from collections.abc import Sequence

from sweep import formats as f
from sweep.account.constraints import Held
from sweep.account.paired import Difference
from sweep.report.study_types import ConstraintReport, StudyReport

HEAD = ("trial", "objective", "value", "from the\nbound", "95 %\nfrom", "\nto", "slack")


def constraint_line(report: StudyReport, one: ConstraintReport) -> str:
    """A constraint with its bound as a number, and how many hold it."""
    completed = report.completed()
    held = sum(_of(one, trial.constraints).is_held for trial in completed)
    parts = [] if one.base is None else [f"base model {f.fixed(one.base, 4)}"]
    parts += [] if one.bound is None else [f"bound {f.fixed(one.bound, 4)}"]
    parts += [f"margin {one.margin:g}"] if one.margin else []
    parts.append(f"held by {held} of {f.counted(len(completed), 'completed trial')}")
    return f"{one.text}: {', '.join(parts)}"


def trade_off_rows(report: StudyReport, one: ConstraintReport) -> list[list[str]]:
    """A row for each completed trial, by the objective, the best first; those on the front with a
    star."""
    rows: list[list[str]] = []
    ranked = sorted(report.completed(), key=lambda trial: trial.number)
    ranked.sort(key=lambda trial: trial.objective or 0.0, reverse=report.direction == "maximize")
    for trial in ranked:
        held = _of(one, trial.constraints)
        star = "*" if trial.number in one.front else ""
        numbers = (held.distance, held.low, held.high, held.slack)
        rows.append(
            [
                f"{trial.number}{star}",
                f.fixed(trial.objective, 4),
                f.fixed(held.value, 4),
                *(f.signed(value) for value in numbers),
                held.words,
            ]
        )
    return rows


TRADE_OFF = (
    "from the bound: above 0 on its right side; slack: the lower end of the 95 % interval and the "
    "margin, held from 0 on; *: no other trial is better both in the objective and from the bound"
)


def nearest_lines(report: StudyReport) -> list[str]:
    """That no completed trial holds every constraint, and which is nearest; none where one does."""
    nearest = report.nearest
    if nearest is None:
        return []
    kept = nearest.model_dir or "not kept"
    return [
        f"no completed trial holds every constraint; the nearest is trial {nearest.number}, with "
        f"{report.metric} {f.fixed(nearest.objective, 4)}",
        *nearest.broken,
        f"its model: {kept}",
    ]


def difference_lines(report: StudyReport) -> list[str]:
    """The best against the base model and the next few, each with its interval and in words."""
    return [difference_line(report, one) for one in report.differences]


def difference_line(report: StudyReport, one: Difference) -> str:
    """A difference, its interval, and whether it is noise."""
    whom = "the base model" if one.other is None else f"trial {one.other}"
    interval = f"95 % interval {f.signed(one.low)} to {f.signed(one.high)}"
    if one.is_within_noise:
        words = "within noise"
    else:
        words = "better" if report.is_better(one.value, 0.0) else "worse"
    return f"trial {one.number} less {whom}: {f.signed(one.value)}, {interval}: {words}"


def _of(one: ConstraintReport, held: Sequence[Held]) -> Held:
    return next(own for own in held if own.metric == one.metric)
