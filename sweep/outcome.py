"""How a run of a study ends."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    DONE = "done"
    STOPPED = "further trials are unlikely to help"
    EXHAUSTED = "every point of the grid has been tried"
    INTERRUPTED = "interrupted"
    OUT_OF_TIME = "run.max_hours is over"
    DISK_FULL = "the disk is full"

    @property
    def exit_code(self) -> int:
        return {Outcome.INTERRUPTED: 130, Outcome.DISK_FULL: 1}.get(self, 0)
