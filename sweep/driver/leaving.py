"""The end of a session that can no longer write: its trials stop, and nothing they say is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sweep.driver.study_state import Book
from sweep.driver.trial import State, Trial
from sweep.executors import Executor
from trainer.contract.outside import Cause, OutsideError, cause_of, described
from trainer.contract.spec import Event, Failed, Finished, Held, Started, Stepped, Stop, Stopped

TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class Trouble:
    """A cause outside that ended a session."""

    cause: Cause
    text: str
    since_s: float  # time.monotonic


def trouble_of(error: Exception, book: Book) -> Trouble | None:
    """Why the driver cannot go on, where that comes from outside."""
    cause = cause_of(error, book.paths.out)
    if cause is None:
        return None
    # A lock has been waited for already: see Patience.
    waited_s = book.loaded.study.run.wait_s if cause is Cause.STORAGE_LOCKED else 0.0
    return Trouble(cause, _text(error, cause, book), time.monotonic() - waited_s)


def trouble_behind(failed: Failed, trial: Trial, book: Book) -> Trouble | None:
    """Why a trial has failed, where that comes from outside, whatever the trial called it."""
    cause = failed.kind if isinstance(failed.kind, Cause) else book.premises.trouble()
    if cause is None:
        return None
    text = f"trial {trial.number}: {failed.message}"
    return Trouble(cause, text, trial.held_since_s or time.monotonic())


def _text(error: Exception, cause: Cause, book: Book) -> str:
    if isinstance(error, OutsideError):
        return str(error)
    said = described(cause, book.paths.out)
    return f"{said}: {detail(error)}" if cause is Cause.STORAGE_GONE else said


def detail(error: BaseException) -> str:
    """What the first of the errors that it came from said, on a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def leave(
    book: Book,
    executor: Executor,
    running: Collection[int],
    heard: list[tuple[int, Event]],
    is_urgent: Callable[[], bool],
) -> None:
    """Tell what runs to write a checkpoint and stop; one that cannot write it goes on from an
    earlier one. What comes meanwhile, after the events `heard` already, is queued in the ledger and
    left to the next session, as is telling Optuna of it."""
    book.ledger.is_held = True
    left = set(running)
    for number in left:
        if book.trials[number].has_begun:
            executor.send(number, Stop(checkpoint=True))
        else:  # it would hear of it when it has loaded its model
            executor.kill(number, Failed("interrupted", "stopped before its first step"))
    until_s = time.monotonic() + book.loaded.study.run.grace_s
    while left and time.monotonic() < until_s and not is_urgent():
        for number, event in heard:
            if number in left and _ends(book, book.trials[number], event):
                left.discard(number)
            if isinstance(event, Held):
                executor.send(number, Stop(checkpoint=False))  # nobody knows for how long
        heard = [(n, event) for n, event in executor.wait(TICK_S) if isinstance(n, int)]


def _ends(book: Book, trial: Trial, event: Event) -> bool:
    """Note an event. Whether it is the trial's last."""
    match event:
        case Started(step):
            book.resumed(trial, step)
        case Stepped():
            book.stepped(trial, event)
        case Finished(measurements):
            book.measured(trial, measurements)
            trial.move(State.PRUNED if trial.pruned_by else State.COMPLETED)
            book.ledger.save_trial(trial.row)
        case Stopped() | Failed():
            book.put_back(trial)
        case _:
            pass
    return isinstance(event, Finished | Stopped | Failed)
