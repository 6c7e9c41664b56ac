"""The states of a trial, and the moments of its decisions, as the storage has them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """A trial's state; driver/trial.py has the moves between them."""

    WAITING = "waiting"  # for a slot: not yet started, interrupted, or to be tried again
    RUNNING = "running"
    PARKED = "parked"  # at a look, with a checkpoint: to go on, or to be given up
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"


SETTLED = frozenset({State.COMPLETED, State.PRUNED, State.FAILED})
UNDER_WAY = (State.RUNNING, State.PARKED, State.WAITING)

WINDOW = "window"
PARKED = "parked"  # it was given up, or audited, as no parked trial was worth going on


def moment_of(look: int) -> str:
    """The moment of a decision at a look; 0 is the window."""
    return f"look {look}" if look else WINDOW


def is_look(moment: str) -> bool:
    """Whether the decision was taken as a trial was looked at."""
    return moment == WINDOW or moment.startswith("look ")
