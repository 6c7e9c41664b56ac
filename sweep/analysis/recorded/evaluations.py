"""A settled trial's evaluations, at its looks and at its end, as the predictor reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.account.objective import minimized, objective_of, signals_of
from sweep.account.scouting import looks_of
from sweep.storage.ledger import TrialRow
from trainer.contract.metrics import is_share, margin_of


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The objective and what else was measured, minimized."""

    value: float
    samples: int | None = None  # of the look; None: at the end
    stderr: float | None = None  # of a mean over questions
    others: Mapping[str, float] = field(default_factory=dict[str, float])
    """by metric, or choice_margin; infinite where it was no number"""


def evaluations(trial: TrialRow, metric: str) -> Iterator[Evaluation]:
    """Oldest first; those whose objective is no number are passed over."""
    for look in looks_of(trial):
        seen = signals_of(look, metric)
        if seen.early_eval is not None and not math.isnan(seen.early_eval):
            others = _told(seen.early_others.items())
            yield Evaluation(seen.early_eval, seen.samples, seen.early_eval_stderr, others)
    final = objective_of(trial, metric)
    if final is not None and not math.isnan(final):
        measured = trial.measurements or {}
        others = _told(_others(measured, metric))
        stderr = measured[metric].get("stderr") if is_share(metric) else None
        yield Evaluation(final, stderr=stderr, others=others)


def _others(measured: Mapping[str, Any], metric: str) -> Iterator[tuple[str, float]]:
    for name, one in measured.items():
        if name != metric:
            yield name, minimized(name, one["value"], one["num"])
        if one.get("margin") is not None:
            margin = margin_of(name)
            yield margin, minimized(margin, one["margin"], one["num"])


def _told(others: Iterable[tuple[str, float]]) -> dict[str, float]:
    """A table has NaN for what was not measured: here no number is the worst there is."""
    return {name: math.inf if math.isnan(value) else value for name, value in others}
