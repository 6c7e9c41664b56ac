"""What a study that scouts expects before its own trials have ended, and what that rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictor.types import UNSAID_MODE
from sweep import formats as f
from sweep.account.objective import ended_with
from sweep.account.replicates import is_replicate
from sweep.account.terms import at
from sweep.documents import Json
from sweep.storage.ledger import Decision, StudyRow, TrialRow
from sweep.storage.states import State

WORTH_SAYING = 0.2  # a belief that no early number tells
PRIOR = "prior"  # the key among a study's facts

_FAMILIES = {"smollm2-gpu": "SmolLM2-135M", "quickstart": "the quickstart's base"}


@dataclass(frozen=True, slots=True)
class PriorReport:
    """What expectations of a study that scouts rest on."""

    shipped: Mapping[str, int]
    """families of past studies that come with the program, and how many of each"""
    history: Mapping[str, int]
    """the past studies of pruning.history, and how many finished trials each has; 0: of no use"""
    finished: int
    """the study's own finished trials, which correct what the past ones say"""
    silent: float | None
    """how far it was believed that no early number tells the ends, when trials were last given up;
    null before"""
    text: str
    """the same as a sentence"""


def prior_report(
    study: StudyRow,
    trials: Sequence[TrialRow],
    decisions: Mapping[int, Sequence[Decision]],
    metric: str,
) -> PriorReport | None:
    """What the study's expectations rest on; None where it does not scout, or has not since it was
    noted."""
    known: Mapping[str, Any] | None = study.facts.get(PRIOR)
    pruning: Mapping[str, Json] = at(study.document, "pruning")
    if (
        known is None
        or pruning.get("mode", UNSAID_MODE) == UNSAID_MODE
        or not pruning.get("enabled", True)
    ):
        return None
    own = [t for t in trials if not is_replicate(t.number) and ended_with(t, metric) is not None]
    shipped, history = known["shipped"], known["history"]
    parts = [shipped_words(shipped)] if shipped else []
    parts += [f"of {name} ({f.counted(num, 'trial')})" for name, num in history.items() if num]
    text = (
        f"expectations rest on {' and '.join(parts)}; of this study's own finished trials on "
        f"{len(own)}"
    )
    silent = _silent(decisions)
    if silent is not None and silent >= WORTH_SAYING:
        text += f"; that no early number tells how trials end is believed with {f.chance(silent)}"
    return PriorReport(shipped, history, len(own), silent, text)


def _silent(decisions: Mapping[int, Sequence[Decision]]) -> float | None:
    """Of the last that were given up, together; where none is yet, of the last that were
    audited."""
    told = [one.verdict for own in decisions.values() for one in own if one.moment == State.PARKED]
    for action in ("prune", "audit"):
        for verdict in reversed(told):
            if verdict.action == action and verdict.evidence.get("silent") is not None:
                return verdict.evidence["silent"]
    return None


def shipped_words(families: Mapping[str, int]) -> str:
    """As in: 8 past studies of SmolLM2-135M and the quickstart's base (shipped)."""
    names = " and ".join(_FAMILIES.get(name, name) for name in families)
    num = sum(families.values())
    return f"{num} past {'study' if num == 1 else 'studies'} of {names} (shipped)"
