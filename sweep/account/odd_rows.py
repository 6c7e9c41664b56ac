"""What is odd in a storage that somebody has put a hand to, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sweep.formats import plural
from sweep.storage.ledger import BASE, TrialRow
from sweep.storage.states import State

MOST_NAMED = 10


def odd_rows(trials: Sequence[TrialRow], metric: str, recorded: Iterable[int]) -> list[str]:
    """Sentences on rows that no driver wrote so; none where all is well. `recorded`: the trials
    that decisions and costs are of."""
    found: list[str] = []
    lost = [
        row.number
        for row in trials
        if row.state == State.COMPLETED and metric not in (row.measurements or {})
    ]
    if lost:
        found.append(
            f"Completed without a measured {metric} in the storage: {named(lost)}. Nothing is "
            "learned from what these ended with."
        )
    known = {row.number for row in trials} | {BASE}
    gone = sorted({number for number in recorded if number not in known})
    if gone:
        found.append(
            f"Decisions, costs or observations without a row in sweep_trials: {named(gone)}. "
            "They are left out."
        )
    return found


def named(numbers: Sequence[int]) -> str:
    """The numbers in words: trials 3, 4, 7 and 12 more."""
    more = len(numbers) - MOST_NAMED
    text = ", ".join(map(str, numbers[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")
    return f"{'trial' if len(numbers) == 1 else plural('trial')} {text}"
