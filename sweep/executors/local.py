"""Jobs on this machine, each forked from one server process that has imported torch once.

A job's memory goes back when it ends; a segfault or an out-of-memory kill costs one job. Each job
leads a session of its own, so that it can be killed with all it started, and ends itself with
them when the driver disappears.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator, Hashable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from predictor.types import Verdict
from sweep.executors import Job, Slot
from trainer.sockets import use_short_socket_folder
from trainer.spec import PRELOAD, Event, Failed, Finished, Prepared, Stop, Stopped
from trainer.streams import make_streams_safe

LAST = (Finished, Stopped, Failed, Prepared)
END_PATIENCE_S = 10.0  # between a job's last event and the end of its process


@dataclass(slots=True)
class _Running:
    process: BaseProcess
    channel: Connection
    because: Failed | None = None


class LocalExecutor:
    """See `Executor`. `preload` names the modules that the server imports once."""

    def __init__(self, preload: Sequence[str] = PRELOAD) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        use_short_socket_folder()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._jobs: dict[Hashable, _Running] = {}
        self._stillborn: list[tuple[Hashable, Event]] = []
        self._start_server()

    def _start_server(self) -> None:
        """It imports while the driver goes on, and must not hear the terminal's Ctrl-C then."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with _quiet_tracker():
                resource_tracker.ensure_running()
            forkserver.ensure_running()
        finally:
            signal.signal(signal.SIGINT, before)

    def start(self, job: Job, slot: Slot) -> None:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_run_job, args=(job.entry, job.spec, theirs, job.log, dict(slot.env))
        )
        try:
            process.start()
        except (EOFError, OSError) as error:
            why = Failed("lost", f"its process could not be started ({type(error).__name__})")
            self._stillborn.append((job.key, why))
            return
        finally:
            theirs.close()  # or the end of the job would not show on our end
        self._jobs[job.key] = _Running(process, ours)

    def send(self, key: Hashable, reply: Verdict | Stop) -> None:
        try:
            self._jobs[key].channel.send(reply)
        except (KeyError, OSError):
            return

    def kill(self, key: Hashable, because: Failed) -> None:
        job = self._jobs[key]
        job.because = because
        _kill(job.process)

    def wait(self, timeout_s: float) -> list[tuple[Hashable, Event]]:
        events, self._stillborn = self._stillborn, []
        if events or not self._jobs:
            time.sleep(0 if events else timeout_s)
            return events
        waited: list[Any] = [job.channel for job in self._jobs.values()]
        waited += [job.process.sentinel for job in self._jobs.values()]
        connection.wait(waited, timeout_s)
        for key, job in list(self._jobs.items()):
            has_ended = job.process.exitcode is not None  # before draining: nothing can follow
            for event in _drain(job.channel):
                events.append((key, event))
                if isinstance(event, LAST):
                    has_ended = True
            if has_ended:
                self._end(key, job)
                if not (events and events[-1][0] == key and isinstance(events[-1][1], LAST)):
                    events.append((key, job.because or _how_it_ended(job.process)))
        return events

    def _end(self, key: Hashable, job: _Running) -> None:
        job.process.join(END_PATIENCE_S)
        _kill(job.process)  # whatever it left; itself too, if only the server says that it ended
        job.process.join()
        job.channel.close()
        del self._jobs[key]

    def close(self) -> None:
        for job in self._jobs.values():
            _kill(job.process)
        for key, job in list(self._jobs.items()):
            self._end(key, job)


@contextmanager
def _quiet_tracker() -> Generator[None]:
    """Jobs end at once and leave locks of their libraries behind. Python's resource tracker takes
    them away, and would warn the user of each."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:multiprocessing.resource_tracker"
    yield
    if before is None:
        del os.environ["PYTHONWARNINGS"]
    else:
        os.environ["PYTHONWARNINGS"] = before


def _drain(channel: Connection) -> list[Event]:
    events: list[Event] = []
    try:
        while channel.poll():
            events.append(channel.recv())
    except (EOFError, OSError):
        pass
    return events


def _kill(process: BaseProcess) -> None:
    """The job and all it started, also where it is gone itself: the group it led keeps its number,
    which no new process gets as long as there is one in the group. In a job's first moments there
    is no such group yet."""
    assert process.pid is not None
    with suppress(ProcessLookupError, PermissionError):  # nobody left, or zombies alone
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _how_it_ended(process: BaseProcess) -> Failed:
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (the kernel does so when memory runs out)" if name == "SIGKILL" else ""
        return Failed("killed", f"the process was killed by {name}{hint}")
    return Failed("lost", f"the process ended with exit code {code} and left no result")


def _run_job(entry: str, spec: Any, channel: Connection, log: Path, env: dict[str, str]) -> None:
    """The first thing that runs in a job's process."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    os.environ.update(env)
    with log.open("a", buffering=1) as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
    make_streams_safe()
    try:
        pkgutil.resolve_name(entry)(spec, channel)
    except BaseException as error:
        text = traceback.format_exc()
        sys.stderr.write(text)
        try:
            channel.send(Failed("error", f"{type(error).__name__}: {error}", text))
        except OSError:
            os._exit(1)  # the driver is gone
    channel.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # at once: whatever threads the libraries left behind


def _end_with_the_driver() -> None:
    driver = multiprocessing.parent_process()  # the driver, not the server that forked us
    assert driver is not None
    connection.wait([driver.sentinel])
    os.killpg(0, signal.SIGKILL)
