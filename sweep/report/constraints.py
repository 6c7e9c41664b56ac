"""The parts of a study's report that say what holds, what it costs, and what is noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweep.account.constraints import Goal, Limit, front
from sweep.account.objective import ended_with
from sweep.account.paired import NEXT, Difference, differences
from sweep.account.replicates import best_first, best_trial, is_replicate, nearest_trial
from sweep.account.terms import Terms
from sweep.report.study_types import ConstraintReport, NearestReport
from sweep.storage.ledger import BASE, Ledger, TrialRow
from sweep.storage.paths import StudyPaths
from sweep.storage.states import State


def constraint_reports(rows: Sequence[TrialRow], goal: Goal) -> tuple[ConstraintReport, ...]:
    """The study's constraints, each with the trials on the front of objective and distance."""
    return tuple(_constraint(place, limit, rows, goal) for place, limit in enumerate(goal.limits))


def nearest_report(rows: Sequence[TrialRow], goal: Goal, paths: StudyPaths) -> NearestReport | None:
    """The trial nearest to holding every constraint; None where one does, or none is completed."""
    nearest = nearest_trial(rows, goal)
    if nearest is None or nearest.objective is None:
        return None
    short = goal.shortfall(nearest)
    model = paths.trial_model(nearest.number)
    return NearestReport(
        number=nearest.number,
        objective=nearest.objective,
        shortfall=short if math.isfinite(short) else None,
        broken=tuple(goal.broken(nearest)),
        model_dir=str(model) if model.is_dir() else None,
    )


def best_differences(
    ledger: Ledger, rows: Sequence[TrialRow], terms: Terms
) -> tuple[Difference, ...]:
    """The best, or the nearest where there is none, against the base model and those that rank
    next, on the same rows or questions."""
    goal = terms.goal
    first = best_trial(rows, goal, terms.confirm) or nearest_trial(rows, goal)
    if first is None:
        return ()
    ranked = best_first((row for row in rows if not is_replicate(row.number)), goal)
    is_feasible = goal.is_feasible(first)
    others = [
        row.number
        for row in ranked
        if row is not first and (goal.is_feasible(row) or not is_feasible)
    ][:NEXT]
    scores = ledger.read_scores(goal.metric, (BASE, first.number, *others))
    return differences(goal.metric, first.number, others, scores)


def _constraint(place: int, limit: Limit, rows: Sequence[TrialRow], goal: Goal) -> ConstraintReport:
    base = (goal.base.get(limit.metric) or {}).get("value")
    base = base if base is not None and math.isfinite(base) else None
    bound = limit.amount
    if limit.is_of_base:
        bound = None if base is None else base + limit.amount
    ends: list[tuple[int, float, float]] = []
    for row in rows:
        if row.state == State.COMPLETED and not is_replicate(row.number):
            end, held = ended_with(row, goal.metric), goal.held(row)[place]
            if end is not None and held.distance is not None:
                ends.append((row.number, -end, held.distance))
    return ConstraintReport(limit.metric, limit.text, limit.margin, base, bound, tuple(front(ends)))
