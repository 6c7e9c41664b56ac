"""When further trials are unlikely to help: P0, that one not yet looked at wins, is below the risk.

P0 is what the latest window verdict states beside P. It is as old as that verdict: trials that end
later change it only with the next one. Losses of different phases are not compared, so each phase
that a window of the study closed in must say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweep import formats as f
from sweep.ledger import Decision

BEGINNING = "Further trials are unlikely to help"


@dataclass(frozen=True, slots=True)
class Unlikely:
    before: float  # P0, the largest over the phases
    incumbent: int
    risk: float

    def sentence(self) -> str:
        risk, before = f"{self.risk:.2f}", f.chance(self.before)
        if before == risk:
            before = f"{math.floor(1000 * self.before) / 1000:.3f}"  # below it is, and stays
        return (
            f"{BEGINNING}: one not yet looked at beats trial {self.incumbent} with "
            f"P = {before}, below the risk {risk}."
        )


def unlikely(decisions: Iterable[Decision], risk: float) -> Unlikely | None:
    """`decisions` in the order they were taken; None while a further trial may well win."""
    latest: dict[int, Decision] = {}
    for decision in decisions:
        if decision.moment == "window" and "before" in decision.verdict.evidence:
            latest[decision.verdict.evidence["phase"]] = decision
    stated = [
        Unlikely(d.verdict.evidence["before"], d.verdict.evidence["incumbent"], risk)
        for d in latest.values()
    ]
    if not stated or not all(one.before < risk for one in stated):
        return None
    return max(stated, key=lambda one: one.before)


def stopping_part(
    document: Mapping[str, Any], decisions: Sequence[Decision], num_trials: int
) -> dict[str, Any]:
    """For the study's document: the resolved study file in, JSON values out."""
    pruning = document.get("pruning", {})
    risk, total = pruning.get("risk"), document.get("run", {}).get("trials", num_trials)
    found = None if risk is None else unlikely(decisions, risk)
    is_stopped = found is not None and pruning.get("stop", False)
    search = document.get("search", {})
    if is_stopped and search.get("sampler") == "grid":
        from sweep.checks import num_points  # pydantic: inspect is to answer at once
        from sweep.entries import Space

        total = min(total, num_points(Space.model_validate(search["space"])) or total)
    left = max(0, total - num_trials)
    return {
        "unlikely": None if found is None else {**asdict(found), "text": found.sentence()},
        "stopped": is_stopped and left > 0,
        "num_not_started": left if is_stopped else 0,
    }
