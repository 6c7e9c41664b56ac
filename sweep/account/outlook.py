"""When further trials are unlikely to help: P0, that one not yet looked at wins, is below the risk.

P0 comes from the finished trials alone, and changes with each that ends. Losses of different phases
are not compared, so each phase that a window of the study closed in must say so.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweep import formats as f
from sweep.account.objective import ended_with, phase_of
from sweep.account.replicates import is_repeat
from sweep.storage.ledger import TrialRow

BEGINNING = "Further trials are unlikely to help"
WITHDRAWN = "Further trials may help after all"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Of a trial not yet looked at, in the phase where its chance is largest."""

    before: float  # P0
    incumbent: int
    risk: float

    @property
    def is_unlikely(self) -> bool:
        return self.before < self.risk

    @property
    def stated(self) -> str:
        """P0 in digits, and below the risk where it is."""
        text = f.chance(self.before)
        if self.is_unlikely and text == f.chance(self.risk):
            return f"{math.floor(1000 * self.before) / 1000:.3f}"
        return text

    def sentence(self) -> str:
        beats = f"one not yet looked at beats trial {self.incumbent} with P = {self.stated}"
        if self.is_unlikely:
            return f"{BEGINNING}: {beats}, below the risk {self.risk:.2f}."
        return f"{WITHDRAWN}: {beats}, not below the risk {self.risk:.2f}."


Phases = Mapping[int, Collection[tuple[int, float]]]
"""by the phase that windows closed in: finished trials and their objectives, lower is better"""


def phases_of(trials: Iterable[TrialRow], metric: str) -> Phases:
    """Of originals with a window."""
    phases: dict[int, list[tuple[int, float]]] = {}
    for trial in trials:
        phase = phase_of(trial)
        if is_repeat(trial.number) or phase is None:
            continue
        ended = phases.setdefault(phase, [])
        objective = ended_with(trial, metric)
        if objective is not None:
            ended.append((trial.number, objective))
    return phases


def outlook(trials: Iterable[TrialRow], metric: str, pruning: Mapping[str, Any]) -> Outlook | None:
    """As `outlook_of`."""
    return outlook_of(phases_of(trials, metric), pruning)


def outlook_of(phases: Phases, pruning: Mapping[str, Any]) -> Outlook | None:
    """None before every phase has `startup` finished trials, where they tie, and with pruning off.

    `pruning`: of the study file; its enabled, risk, min_gain and startup count.
    """
    risk, startup = pruning.get("risk"), pruning.get("startup", 1)
    if risk is None or not pruning.get("enabled", True):
        return None
    if not phases or min(map(len, phases.values())) < startup:
        return None
    from predictor.model import chance_of_another  # numpy: inspect is to answer at once

    found: list[Outlook] = []
    for ended in phases.values():
        before = chance_of_another([y for _, y in ended], pruning.get("min_gain", 0.0))
        if before is None:
            return None
        _, incumbent = min((y, number) for number, y in ended)
        found.append(Outlook(before, incumbent, risk))
    return max(found, key=lambda one: one.before)


def last_said(notes: Iterable[str]) -> str | None:
    """BEGINNING, WITHDRAWN, or None: whichever the study's notes said last."""
    said = [start for note in notes for start in (BEGINNING, WITHDRAWN) if note.startswith(start)]
    return said[-1] if said else None


def stopping_part(
    document: Mapping[str, Any], trials: Sequence[TrialRow], metric: str
) -> dict[str, Any]:
    """For the study's document: the resolved study file in, JSON values out.

    A study is stopped when nothing of it is under way that may change its outlook.
    """
    originals = [trial for trial in trials if not is_repeat(trial.number)]
    pruning = document.get("pruning", {})
    found = outlook(originals, metric, pruning)
    is_unlikely = found is not None and found.is_unlikely
    ended = all(trial.state not in ("waiting", "running") for trial in originals)
    left = 0
    if is_unlikely and ended and pruning.get("stop", False):
        left = num_planned(document, len(originals)) - len(originals)
    return {
        "unlikely": {**asdict(found), "text": found.sentence()} if found and is_unlikely else None,
        "stopped": left > 0,
        "num_not_started": max(0, left),
    }


def num_planned(document: Mapping[str, Any], num_trials: int) -> int:
    """How many trials the study would have: run.trials, or the points of its space if fewer."""
    total, search = document.get("run", {}).get("trials", num_trials), document.get("search", {})
    entries: dict[str, Any] = search.get("space", {})
    if not entries or any(
        "low" in entry and name != "batch_size"
        for name, entry in entries.items()
        if isinstance(entry, Mapping)
    ):
        return total
    from sweep.config.checks import num_points
    from sweep.config.entries import Space

    return min(total, num_points(Space.model_validate(search["space"])) or total)
