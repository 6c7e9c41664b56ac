"""A study's trials as a plan of scouting sees them: at the looks that they have reached."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from predictor.types import CohortTrial, WindowSignals
from sweep.account.objective import objective_of, signals_of
from sweep.account.replicates import is_replicate
from sweep.storage.ledger import TrialRow
from sweep.storage.states import State

Look = Mapping[str, Any]  # as TrialRow.window


@dataclass(frozen=True, slots=True)
class Scouted:
    """Trials that were looked at alike, and where, as shares of the smallest budget."""

    trials: tuple[CohortTrial, ...] = ()
    shares: tuple[float, ...] = ()  # of the looks that any has reached, ascending


def looks_of(row: TrialRow) -> Sequence[Look]:
    """The looks that a trial has reached, its window's first."""
    return () if row.window is None else (row.window, *(row.looks or ()))


def share_of(look: Look) -> float | None:
    """Where it was, as a share of the smallest budget; None of a trial that was not scouted."""
    return look.get("share")


def scouted(rows: Iterable[TrialRow], metric: str, guarded: Collection[int]) -> Scouted:
    """The originals that reached their first look and have neither failed nor been ended by a
    guard (`guarded`), in any order of the rows.

    Left out are those whose window was elsewhere than that of the latest, and looks that were
    elsewhere than the others'; an early evaluation of other samples is as good as none, and so are
    loss and norm of a look that closed in another phase of the data than most trials' did.
    """
    seen = [
        row
        for row in sorted(rows, key=lambda row: row.number)
        if row.window is not None
        and row.state != State.FAILED
        and row.number not in guarded
        and not is_replicate(row.number)
    ]
    latest = next((row for row in reversed(seen) if share_of(looks_of(row)[0])), None)
    if latest is None:
        return Scouted()
    window = looks_of(latest)[0]
    alike = [row for row in seen if looks_of(row)[0]["samples"] == window["samples"]]
    model = looks_of(max(alike, key=lambda row: (len(row.looks or ()), row.number)))
    phases = _phases(alike, len(model))
    return Scouted(
        tuple(_trial(row, metric, model, phases) for row in alike),
        tuple(share for look in model if (share := share_of(look)) is not None),
    )


def _phases(rows: Iterable[TrialRow], num_looks: int) -> list[int]:
    """The phase that most trials were in at each look; of two as frequent the earlier."""
    seen = [Counter[int]() for _ in range(num_looks)]
    for row in rows:
        for phases, look in zip(seen, looks_of(row), strict=False):
            phases[look.get("phase", 0)] += 1
    return [min(phases, key=lambda one: (-phases[one], one)) for phases in seen]


def _trial(row: TrialRow, metric: str, model: Sequence[Look], phases: Sequence[int]) -> CohortTrial:
    pairs = takewhile(
        lambda found: found[0]["samples"] == found[1]["samples"],
        zip(looks_of(row), model, phases, strict=False),
    )
    window, *later = (_signals(own, other, phase, metric) for own, other, phase in pairs)
    objective = objective_of(row, metric)
    return CohortTrial(row.number, row.params, window, objective, looks=tuple(later))


def _signals(look: Look, other: Look, phase: int, metric: str) -> WindowSignals:
    found = signals_of(look, metric)
    if look["early_eval_num"] != other["early_eval_num"]:
        found = replace(found, early_eval=None, early_others={}, early_eval_stderr=None)
    if found.phase != phase:
        found = replace(found, loss=None, grad_norm=None, grad_norm_noise_free=None, phase=phase)
    return found


def unbent(gap: float) -> float:
    """A gap in spreads: inverse of `predictor.gap.units.bend`."""
    size = abs(gap)
    return gap if size <= 1 else math.copysign(math.exp(size - 1), gap)
