"""Which trials `objective.final` is measured of: the best, and the originals next to it."""

from __future__ import annotations

from collections.abc import Iterable

from sweep.account.constraints import Goal
from sweep.account.replicates import best_first, is_replicate
from sweep.storage.ledger import TrialRow


def final_numbers(
    rows: Iterable[TrialRow], best: TrialRow | None, goal: Goal, top: int
) -> list[int]:
    """The numbers of `top` trials that hold every constraint, the best first; none without a
    `best`."""
    if best is None:
        return []
    originals = [row for row in rows if not is_replicate(row.number) and goal.is_feasible(row)]
    numbers = (row.number for row in best_first(originals, goal))
    return list(dict.fromkeys([best.number, *numbers]))[:top]
