"""Jobs beside the trials, which answer nothing and are asked nothing: run until all have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from sweep.account.outcome import MeasuringFailed
from sweep.executors import Executor, Job, Slot
from sweep.report.view import View
from trainer.contract.outside import Cause, OutsideError
from trainer.contract.spec import Alive, Failed, Finished, UserError

SAY_EVERY_S = 30.0  # how far a job is


def run_jobs(
    jobs: Sequence[Job],
    executor: Executor,
    slots: Sequence[Slot],
    view: View,
    silence_s: float,
    doing: Callable[[Any], str],
) -> Mapping[Hashable, Finished]:
    """The last event of each job, by its key; one runs on each slot. `doing(key)`: what it does, in
    words.

    The first that fails ends all: UserError for bad input, OutsideError for a cause outside, else
    MeasuringFailed.
    """
    waiting, free, running = list(jobs), list(slots), dict[Hashable, Slot]()
    done: dict[Hashable, Finished] = {}
    heard_s: dict[Hashable, float] = {}
    said_s: dict[Hashable, float] = {}
    try:
        while waiting or running:
            while waiting and free:
                job, slot = waiting.pop(0), free.pop(0)
                executor.start(job, slot)
                running[job.key] = slot
                heard_s[job.key] = said_s[job.key] = time.monotonic()
                view.say(doing(job.key))
            for key, event in executor.wait(0.5):
                if key not in running:  # of a job that was ended before
                    continue
                heard_s[key] = now = time.monotonic()
                match event:
                    case Alive(what) if now - said_s[key] >= SAY_EVERY_S:
                        said_s[key] = now
                        view.say(f"{doing(key)}: {what}")
                    case Finished():
                        done[key] = event
                        free.append(running.pop(key))
                    case Failed():
                        raise _raised(event, doing(key))
                    case _:
                        pass
            for key in running:
                if time.monotonic() - heard_s[key] > silence_s:
                    why = f"nothing was heard for {silence_s / 60:.3g} minutes"
                    executor.kill(key, Failed("silent", f"{why} (run.silence_minutes)"))
    except BaseException:
        executor.close()
        raise
    return done


def _raised(failed: Failed, doing: str) -> Exception:
    match failed:
        case Failed("bad input", message):
            return UserError(message)
        case Failed(Cause() as cause, message):
            return OutsideError(cause, message)
        case Failed(kind, message, traceback):
            return MeasuringFailed(f"{doing} failed: {kind}: {message}\n{traceback}".rstrip())
