"""A trial's objective and looks as the predictor reads them: minimized."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from predictor.types import WindowSignals
from sweep.storage.ledger import TrialRow
from sweep.storage.states import State
from trainer.contract.metrics import higher_is_better, is_margin, is_share


def phase_of(row: TrialRow) -> int | None:
    """The phase of the data that the window closed in: 0 for all together, and where the storage
    does not say. None without a window."""
    return None if row.window is None else row.window.get("phase", 0)


def signals_of(look: Mapping[str, Any], metric: str) -> WindowSignals:
    """What a look showed, from the storage, what was evaluated minimized.

    The standard error of a loss is left out: it is of rows that differ by far more than trials do
    on the same row, so it says nothing of how far two trials' losses differ by chance.
    """
    early = look["early_eval"]
    return WindowSignals(
        look["samples"],
        look["loss"],
        look["grad_norm"],
        look["grad_norm_noise_free"],
        None if early is None else minimized(metric, early, look["early_eval_num"]),
        look.get("phase", 0),
        {
            name: minimized(name, one["value"], one["num"])
            for name, one in look.get("early_others", {}).items()
        },
        look.get("early_eval_stderr") if is_share(metric) else None,
    )


def objective_of(row: TrialRow, metric: str) -> float | None:
    """The objective as minimized: lower is better. None of one that is not completed, and where
    the storage has lost what was measured: nothing is learned from that trial."""
    measured = (row.measurements or {}).get(metric)
    if row.state != State.COMPLETED or row.objective is None or measured is None:
        return None
    return minimized(metric, row.objective, measured["num"])


def ended_with(row: TrialRow, metric: str) -> float | None:
    """The objective as minimized, if finite; None else, and where `objective_of` has none."""
    objective = objective_of(row, metric)
    return objective if objective is not None and math.isfinite(objective) else None


def minimized(metric: str, value: float, num: int) -> float:
    """A metric minimized: lower is better. An accuracy becomes its error rate, half a question up:
    it is never 0. A margin is negated, and so is what is of any scale."""
    if is_share(metric):
        return 1 - value + 1 / (2 * num)
    return -value if is_margin(metric) or higher_is_better(metric) else value
