"""Jobs on this machine, each forked from one server process that has imported torch once."""

from __future__ import annotations

import os
import pkgutil
import sys
import time
import traceback
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from predictor.types import Verdict
from sweep.executors import Job, Slot
from trainer.contract.outside import Cause, cause_of
from trainer.contract.process import Child, NotStarted, settle_in, start, start_server
from trainer.contract.spec import LAST, PRELOAD, Event, Failed, Stop
from trainer.contract.streams import make_streams_safe


@dataclass(slots=True)
class _Running:
    child: Child
    because: Failed | None = None


class LocalExecutor:
    """An `Executor` on this machine. `preload` names the modules that its server imports once."""

    def __init__(self, preload: Sequence[str] = PRELOAD) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._preload = preload
        self._jobs: dict[Hashable, _Running] = {}
        self._stillborn: list[tuple[Hashable, Event]] = []
        start_server(preload)

    def start(self, job: Job, slot: Slot) -> None:
        """The job runs in a process forked from the server, or `wait` tells why none could be
        had."""
        try:
            arguments = (job.entry, job.spec, job.log, dict(slot.env))
            child = start(_run_job, arguments, self._preload)
        except NotStarted as error:
            self._stillborn.append((job.key, Failed(Cause.MACHINE_LIMIT, str(error))))
            return
        self._jobs[job.key] = _Running(child)

    def send(self, key: Hashable, reply: Verdict | Stop) -> None:
        """The reply is on its way to the job; nothing happens if it has just ended."""
        with suppress(KeyError, OSError):
            self._jobs[key].child.channel.send(reply)

    def kill(self, key: Hashable, because: Failed) -> None:
        """The job and all that it started are killed; `because` comes as its last event."""
        job = self._jobs.get(key)
        if job is not None:  # else its last event is on its way
            job.because = because
            job.child.kill()

    def wait(self, timeout_s: float) -> list[tuple[Hashable, Event]]:
        """The events of all jobs, as `Executor.wait` says; none after `timeout_s` seconds without
        one."""
        events, self._stillborn = self._stillborn, []
        if events or not self._jobs:
            time.sleep(0 if events else timeout_s)
            return events
        waited: list[Any] = [job.child.channel for job in self._jobs.values()]
        waited += [job.child.end for job in self._jobs.values()]
        connection.wait(waited, timeout_s)
        for key, job in list(self._jobs.items()):
            has_ended = job.child.has_ended  # before draining: nothing can follow
            for event in _drain(job.child.channel):
                events.append((key, event))
                if isinstance(event, LAST):
                    has_ended = True
            if has_ended:
                self._end(key, job)
                if not (events and events[-1][0] == key and isinstance(events[-1][1], LAST)):
                    events.append((key, job.because or job.child.how_it_ended()))
        return events

    def _end(self, key: Hashable, job: _Running) -> None:
        job.child.bury()
        del self._jobs[key]

    def close(self) -> None:
        """All jobs are killed, and their processes have ended."""
        for job in self._jobs.values():
            job.child.kill()
        for key, job in list(self._jobs.items()):
            self._end(key, job)


def _drain(channel: Connection) -> list[Event]:
    events: list[Event] = []
    with suppress(EOFError, OSError):
        while channel.poll():
            events.append(channel.recv())
    return events


def _print_to(log: Path) -> None:
    """Nowhere, where the log cannot be written: that is no reason to fail."""
    try:
        printed = log.open("a", buffering=1)
    except OSError:
        printed = Path(os.devnull).open("w")  # noqa: SIM115
    with printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)


def _run_job(entry: str, spec: Any, log: Path, env: dict[str, str], channel: Connection) -> None:
    """The first thing that runs in a job's process."""
    settle_in()
    os.environ.update(env)
    _print_to(log)
    make_streams_safe()
    try:
        pkgutil.resolve_name(entry)(spec, channel)
    except BaseException as error:
        text = traceback.format_exc()
        sys.stderr.write(text)
        try:
            kind = cause_of(error) or "error"
            channel.send(Failed(kind, f"{type(error).__name__}: {error}", text))
        except OSError:
            os._exit(1)  # the driver is gone
    channel.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # at once: whatever threads the libraries left behind
