"""A study's trials as a plan of scouting sees them: at the looks that they have reached."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from predictor.types import CohortTrial, WindowSignals
from sweep.account.constraints import Goal
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


def scouted(rows: Iterable[TrialRow], goal: Goal, guarded: Collection[int]) -> Scouted:
    """The originals that reached their first look and have neither failed nor been ended by a
    guard (`guarded`), in any order of the rows.

    Left out are those whose window was elsewhere than that of the latest, and looks that were
    elsewhere than the others'; an early evaluation of other samples is as good as none.
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
    return Scouted(
        tuple(_trial(row, goal, model) for row in alike),
        tuple(share for look in model if (share := share_of(look)) is not None),
    )


def _trial(row: TrialRow, goal: Goal, model: Sequence[Look]) -> CohortTrial:
    pairs = list(
        takewhile(
            lambda pair: pair[0]["samples"] == pair[1]["samples"],
            zip(looks_of(row), model, strict=False),
        )
    )
    window, *later = (_signals(own, other, goal.metric) for own, other in pairs)
    objective = objective_of(row, goal.metric)
    return CohortTrial(
        row.number,
        row.params,
        window,
        objective,
        looks=tuple(later),
        early_slacks=tuple(goal.early_slacks(own) for own, _ in pairs) if goal.limits else (),
        slacks={} if objective is None else goal.slacks(row),
    )


def _signals(look: Look, other: Look, metric: str) -> WindowSignals:
    found = signals_of(look, metric)
    is_alike = look["early_eval_num"] == other["early_eval_num"]
    if is_alike:
        return found
    return replace(found, early_eval=None, early_others={}, early_eval_stderr=None)
