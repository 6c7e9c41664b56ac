"""How a run of a study ends, where that leaves the study, and the exit codes for both."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from enum import StrEnum

from sweep.storage.states import State
from trainer.contract.signals import exit_code as after_signal


class PreparationFailed(RuntimeError):
    """The data or the model could not be prepared, by no mistake of the user's that can be told."""

    __module__ = "sweep"  # as it is caught


class JudgeGone(RuntimeError):
    """A judge of answers did not answer, or could not be asked, for a cause that may pass; what it
    said before is kept."""

    __module__ = "sweep"


class MeasuringFailed(RuntimeError):
    """What the best few are measured by at the end could not be measured, by no mistake of the
    user's that can be told."""

    __module__ = "sweep"


class Outcome(StrEnum):
    """Why a driver stopped; DONE: nothing was left to do."""

    DONE = "done"
    STOPPED = "further trials are unlikely to help"
    EXHAUSTED = "every configuration of the space has been tried"
    INTERRUPTED = "interrupted"
    OUT_OF_TIME = "run.max_hours is over"
    OUTSIDE = "a cause outside"  # a full disk, a storage or a folder that is gone


class Standing(StrEnum):
    """The states of a study as a whole, whoever ran it last. `sweep inspect --json` has it as
    `state`."""

    UNFINISHED = "unfinished"
    DONE = "done"  # every trial settled, at least one completed, none failed
    NONE_COMPLETED = "no completed trial"
    NONE_FEASIBLE = "no feasible trial"  # each completed one breaks a constraint
    SOME_FAILED = "some trials failed"


FINISHED = frozenset({Outcome.DONE, Outcome.STOPPED, Outcome.EXHAUSTED})
EXIT_ERROR = 1  # of the program, or of the preparation
EXIT_USER_ERROR = 2
EXIT_OUTSIDE = os.EX_TEMPFAIL  # 75: the same command goes on
_EXIT_CODES = {
    Standing.DONE: 0,
    Standing.NONE_COMPLETED: 3,
    Standing.NONE_FEASIBLE: 5,
    Standing.SOME_FAILED: 4,
    Standing.UNFINISHED: EXIT_OUTSIDE,
}


def standing_of(states: Collection[str], *, is_finished: bool, has_best: bool = True) -> Standing:
    """Where a study stands, by the states of all trials, replicates too; `is_finished`: none is
    left to be run; `has_best`: a completed one holds every constraint."""
    if not is_finished:
        return Standing.UNFINISHED
    if State.COMPLETED not in states:
        return Standing.NONE_COMPLETED
    if not has_best:
        return Standing.NONE_FEASIBLE
    return Standing.SOME_FAILED if State.FAILED in states else Standing.DONE


def exit_code(outcome: Outcome, state: Standing, signal_number: int = signal.SIGINT) -> int:
    """The exit code of `sweep run`. `signal_number` counts where it was interrupted."""
    if outcome is Outcome.INTERRUPTED:
        return after_signal(signal_number)
    if outcome in FINISHED or outcome is Outcome.OUT_OF_TIME:
        return _EXIT_CODES[state]
    return EXIT_OUTSIDE
