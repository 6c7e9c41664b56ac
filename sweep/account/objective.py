"""A trial's objective and looks as the predictor reads them: minimized."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from predictor.signals import window_signals
from predictor.types import Observation, WindowSignals
from sweep.storage.ledger import TrialRow
from sweep.storage.states import State
from trainer.contract.spec import HIGHER_IS_BETTER, Measurement

MARGIN = "choice_margin"  # beside the metrics: of choice_accuracy, see Measurement


def phase_of(row: TrialRow) -> int | None:
    """The phase of the data that the window closed in: 0 for all together, and where the storage
    does not say. None without a window."""
    return None if row.window is None else row.window.get("phase", 0)


def look_at(
    observations: Sequence[Observation],
    samples: int,
    early: Mapping[str, Measurement],
    metric: str,
) -> dict[str, Any]:
    """What a look at `samples` shows, for the storage: metrics have their own values there.
    ValueError where the observations do not reach so far."""
    own = early.get(metric)
    value, num, stderr = (None, None, None) if own is None else (own.value, own.num, own.stderr)
    others = {
        name: {"value": value, "num": num, "stderr": stderr}
        for name, value, num, stderr in _scores(early)
        if name != metric
    }
    return {
        **asdict(window_signals(observations, samples, value)),
        "early_eval_num": num,
        "early_eval_stderr": stderr,
        "early_others": others,
    }


def _scores(early: Mapping[str, Measurement]) -> Iterator[tuple[str, float, int, float | None]]:
    """Name, value, number and standard error of all that was measured."""
    for metric, one in early.items():
        yield metric, one.value, one.num, one.stderr
        if one.margin is not None:
            yield MARGIN, one.margin, one.num, one.margin_stderr


def signals_of(look: Mapping[str, Any], metric: str) -> WindowSignals:
    """What a look showed, from the storage, what was evaluated minimized."""
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
        look.get("early_eval_stderr"),
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
    """A metric minimized: lower is better. It is never 0: an accuracy becomes its error rate, half
    a question up. A margin is negated."""
    if metric == MARGIN:
        return -value
    return 1 - value + 1 / (2 * num) if HIGHER_IS_BETTER[metric] else value
