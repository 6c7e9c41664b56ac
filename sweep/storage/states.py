"""The states of a trial, as its row in the storage has them."""

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
