"""The end of a session that can no longer write: its trials stop, and nothing they say is lost."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sweep.driver.interrupts import Interrupts
from sweep.driver.running import Running
from sweep.driver.study_state import StudyState
from sweep.driver.trial import State, Trial
from sweep.executors import Executor
from trainer.contract.outside import Cause, OutsideError, cause_of, described
from trainer.contract.spec import Event, Failed, Finished, Held, Started, Stepped, Stop, Stopped

TICK_S = 0.25
MOST_INTERRUPTIONS = 5  # of a trial that gets no step further


@dataclass(frozen=True, slots=True)
class Trouble:
    """A cause outside that ended a session."""

    cause: Cause
    text: str
    since_s: float  # time.monotonic


def trouble_of(error: Exception, study: StudyState) -> Trouble | None:
    """Why the driver cannot go on, where that comes from outside."""
    cause = cause_of(error, study.paths.out)
    if cause is None:
        return None
    # A lock has been waited for already: see Patience.
    waited_s = study.loaded.study.run.wait_s if cause is Cause.STORAGE_LOCKED else 0.0
    return Trouble(cause, _text(error, cause, study), time.monotonic() - waited_s)


def trouble_behind(failed: Failed, trial: Trial, study: StudyState) -> Trouble | None:
    """Why a trial has failed, where that comes from outside, whatever the trial called it."""
    cause = failed.kind if isinstance(failed.kind, Cause) else study.premises.trouble()
    if cause is None:
        return None
    text = f"trial {trial.number}: {failed.message}"
    return Trouble(cause, text, trial.held_since_s or time.monotonic())


def _text(error: Exception, cause: Cause, study: StudyState) -> str:
    if isinstance(error, OutsideError):
        return str(error)
    said = described(cause, study.paths.out)
    return f"{said}: {detail(error)}" if cause is Cause.STORAGE_GONE else said


def detail(error: BaseException) -> str:
    """What the first of the errors that it came from said, on a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def is_no_failure(failed: Failed, trial: Trial, *, is_ending: bool) -> bool:
    """Whether an end counts as no failure: while the driver is stopping, and for the first few
    interruptions in a row. Where a trial gets no step further it may be what its server dies of."""
    if is_ending:
        return failed.kind != "bad input"
    trial.interruptions += 1
    return failed.kind == "interrupted" and trial.interruptions <= MOST_INTERRUPTIONS


def leave(
    study: StudyState,
    executor: Executor,
    running: Running,
    heard: Iterable[tuple[int, Event]],
    interrupts: Interrupts,
) -> None:
    """Each running trial was told to write a checkpoint and stop; one that cannot write it goes on
    from an earlier one. What comes meanwhile, after the events `heard` already, is queued in the
    ledger and left to the next session, as is telling Optuna of it."""
    study.ledger.is_held = True
    left = {trial.number for trial in running}
    running.stop()
    until_s = time.monotonic() + study.loaded.study.run.grace_s
    heard = list(heard)
    while left and time.monotonic() < until_s and interrupts.count <= 1:
        for number, event in heard:
            if number in left and _ends(study, study.trials[number], event):
                left.discard(number)
            if isinstance(event, Held):
                executor.send(number, Stop(checkpoint=False))  # nobody knows for how long
        heard = [(n, event) for n, event in executor.wait(TICK_S) if isinstance(n, int)]


def _ends(study: StudyState, trial: Trial, event: Event) -> bool:
    """Note an event. Whether it is the trial's last."""
    match event:
        case Started(step):
            study.resumed(trial, step)
        case Stepped():
            study.observe(trial, event)
        case Finished():
            study.measured(trial, event)
            trial.move(State.PRUNED if trial.pruned_by else State.COMPLETED)
            study.ledger.save_trial(trial.row)
        case Stopped() | Failed():
            study.put_back(trial)
        case _:
            pass
    return isinstance(event, Finished | Stopped | Failed)
