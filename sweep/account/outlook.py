"""When further trials are unlikely to help: P0, that one not yet looked at wins, is below the risk.

P0 comes from the finished trials alone, and changes with each that ends. Losses of different phases
are not compared, so each phase that a window of the study closed in must say so.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep import formats as f
from sweep.account.constraints import Goal
from sweep.account.objective import ended_with, phase_of
from sweep.account.replicates import is_replicate
from sweep.account.terms import StoredPruning, Terms
from sweep.storage.ledger import TrialRow
from sweep.storage.states import SETTLED

BEGINNING = "Further trials are unlikely to help"
WITHDRAWN = "Further trials may help after all"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The chance of a trial not yet looked at, in the phase where its chance is largest."""

    before: float  # P0
    incumbent: int
    risk: float

    @property
    def is_unlikely(self) -> bool:
        """Whether one more trial would win with a chance below the risk."""
        return self.before < self.risk

    @property
    def stated(self) -> str:
        """The chance P0 in digits, and below the risk where it is."""
        text = f.chance(self.before)
        if self.is_unlikely and text == f.chance(self.risk):
            return f"{math.floor(1000 * self.before) / 1000:.3f}"
        return text

    def sentence(self) -> str:
        """The finding in a sentence, with the best trial and the chance to beat it."""
        beats = f"one not yet looked at beats trial {self.incumbent} with P = {self.stated}"
        if self.is_unlikely:
            return f"{BEGINNING}: {beats}, below the risk {self.risk:.2f}."
        return f"{WITHDRAWN}: {beats}, not below the risk {self.risk:.2f}."


@dataclass(frozen=True, slots=True)
class Unlikely:
    """That further trials are unlikely to help."""

    before: float
    """P0: that a trial not yet looked at beats the incumbent by min_gain x spread"""
    incumbent: int
    """the best finished trial, in the phase of the data where P0 is largest"""
    risk: float
    """pruning.risk, which P0 is below"""
    text: str
    """the same as a sentence"""


@dataclass(frozen=True, slots=True)
class StoppingReport:
    """Whether the study ends, or could end, before its last trial."""

    unlikely: Unlikely | None
    """null where further trials may help, or too few are finished to say"""
    stopped: bool
    """the study ended by that (pruning.stop)"""
    num_not_started: int
    """trials that were not started as it was stopped"""


Phases = Mapping[int, Collection[tuple[int, float]]]
"""by the phase that windows closed in: finished trials and their objectives, lower is better"""


def phases_of(trials: Iterable[TrialRow], goal: Goal) -> Phases:
    """The phases of originals with a window. An end that breaks a constraint is nothing to beat."""
    phases: dict[int, list[tuple[int, float]]] = {}
    for trial in trials:
        phase = phase_of(trial)
        if is_replicate(trial.number) or phase is None:
            continue
        ended = phases.setdefault(phase, [])
        objective = ended_with(trial, goal.metric)
        if objective is not None and goal.is_feasible(trial):
            ended.append((trial.number, objective))
    return phases


def outlook(trials: Iterable[TrialRow], goal: Goal, pruning: StoredPruning) -> Outlook | None:
    """The outlook of a study by its originals, as `outlook_of` has it."""
    return outlook_of(phases_of(trials, goal), pruning)


def outlook_of(phases: Phases, pruning: StoredPruning) -> Outlook | None:
    """The outlook of the next trial, in the phase where its chance is largest. None before every
    phase has `startup` finished trials, where they tie, and with pruning off."""
    if pruning.risk is None or not pruning.enabled:
        return None
    if not phases or min(map(len, phases.values())) < pruning.startup:
        return None
    from predictor.model import chance_of_another  # numpy: inspect is to answer at once

    found: list[Outlook] = []
    for ended in phases.values():
        before = chance_of_another([y for _, y in ended], pruning.min_gain)
        if before is None:
            return None
        _, incumbent = min((y, number) for number, y in ended)
        found.append(Outlook(before, incumbent, pruning.risk))
    return max(found, key=lambda one: one.before)


def last_said(notes: Iterable[str]) -> str | None:
    """BEGINNING, WITHDRAWN, or None: whichever the study's notes said last."""
    said = [start for note in notes for start in (BEGINNING, WITHDRAWN) if note.startswith(start)]
    return said[-1] if said else None


def stopping_report(trials: Sequence[TrialRow], terms: Terms) -> StoppingReport:
    """Whether the study ends or could end before its last trial, from all of its `trials`. It is
    stopped when none is under way that may change its outlook."""
    originals = [trial for trial in trials if not is_replicate(trial.number)]
    found = outlook(originals, terms.goal, terms.pruning)
    if found is None or not found.is_unlikely:
        return StoppingReport(None, False, 0)
    left = 0
    if terms.pruning.stop and all(trial.state in SETTLED for trial in originals):
        left = max(0, num_planned(terms, len(originals)) - len(originals))
    unlikely = Unlikely(found.before, found.incumbent, found.risk, found.sentence())
    return StoppingReport(unlikely, left > 0, left)


def num_planned(terms: Terms, num_trials: int) -> int:
    """How many trials the study would have: run.trials, or the points of its space if fewer.
    `num_trials` is how many it has."""
    total = num_trials if terms.num_trials is None else terms.num_trials
    if not terms.space or any(
        isinstance(entry, Mapping) and "low" in entry and name != "batch_size"
        for name, entry in terms.space.items()
    ):
        return total
    from sweep.config.checks import num_points
    from sweep.config.entries import Space

    return min(total, num_points(Space.model_validate(terms.space)) or total)
