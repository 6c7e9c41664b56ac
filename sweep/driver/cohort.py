"""Trials as the predictor compares them: lower objectives are better."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.target import best_and_spread
from predictor.types import CohortTrial
from sweep.account.audits import expected_miss
from sweep.account.objective import objective_of, signals_of
from sweep.driver.trial import Trial

Look = tuple[int | None, int | None]  # the window's samples, and rows of its early evaluation


def cohort_trial(trial: Trial, metric: str) -> CohortTrial:
    """A trial with what its window showed (None before it has closed) and its objective (None
    before it is completed), both minimized."""
    row = trial.row
    return CohortTrial(
        trial.number,
        row.params,
        None if row.window is None else signals_of(row.window, metric),
        objective_of(row, metric),
        trial.spec.warmup_steps,
        expected_miss(trial.pruned_by),
    )


def look_of(trial: Trial) -> Look:
    """How a trial's window was looked at: only those looked at alike are compared."""
    window = trial.row.window or {}
    return window.get("samples"), window.get("early_eval_num")


def incumbent(objectives: Sequence[float]) -> dict[str, float]:
    """The best of the finished objectives, and median - best; {} before there is one.

    Under the names that evidence has for them."""
    if not objectives:
        return {}
    best, spread = best_and_spread(objectives)
    return {"best": best, "spread": spread}
