"""Processes for one job each, forked from a server that has imported the heavy libraries once.

A job's memory goes back when it ends; a segfault or an out-of-memory kill costs one job. A job
leads a session of its own, so that it can be killed with all it started. It is deaf to the signals
that ask to end (whoever started it decides), and ends when whoever started it has gone. It does
not need the server that it was forked from: where that is killed, jobs live on and the next one
gets a new server. Imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from trainer.contract.signals import SIGNALS
from trainer.contract.sockets import use_short_socket_folder
from trainer.contract.spec import Failed

START_TRIES = 5  # each with a new server, where the old one has died
END_PATIENCE_S = 10.0  # between the end of a job and the server's word on how it ended


class NotStarted(Exception):
    """No process could be had for a job."""


@dataclass(frozen=True, slots=True)
class Child:
    """A job's process as its starter sees it, and the starter's end of the channel between them."""

    process: BaseProcess
    channel: Connection
    pidfd: int | None  # readable once the process has ended, whatever has become of its server
    server: int | None  # the process that it was forked from

    @property
    def has_ended(self) -> bool:
        """Whether its process is gone."""
        if self.pidfd is None:
            return self.process.exitcode is not None
        return bool(connection.wait([self.pidfd], 0))

    @property
    def end(self) -> Any:
        """What `multiprocessing.connection.wait` finds ready once the process has ended."""
        return self.process.sentinel if self.pidfd is None else self.pidfd

    def kill(self) -> None:
        """The process and all it started are killed, also where it is gone itself: the group it led
        keeps its number, which no new process gets as long as there is one in the group. In its
        first moments there is no such group yet."""
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody, or zombies alone
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            if self.pidfd is None:
                os.kill(self.process.pid, signal.SIGKILL)
            else:  # its number may be another's by now
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def bury(self) -> None:
        """The process and all it started have ended."""
        if self.pidfd is None:
            self.process.join(END_PATIENCE_S)
        else:
            connection.wait([self.pidfd], END_PATIENCE_S)
        self.kill()  # whatever it left behind
        self.process.join(END_PATIENCE_S)
        if self.pidfd is not None:
            os.close(self.pidfd)
        self.channel.close()

    def how_it_ended(self) -> Failed:
        """What it died of, for one that left no word, once it is buried."""
        code = self.process.exitcode
        if code in (None, 255) and not _is_running(self.server):  # nobody is left who saw it
            return Failed(
                "interrupted",
                "it ended with the process that jobs are forked from, which was killed",
            )
        failed = describe_end("the process", code)
        return failed or Failed("lost", "the process ended with exit code 0 and left no result")


def start_server(preload: Sequence[str]) -> None:
    """The server imports `preload` while the caller goes on. Does nothing where one is running."""
    use_short_socket_folder()
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))
    with _quiet_tracker():
        resource_tracker.ensure_running()  # first: it unblocks what is blocked
    with _deaf():  # and so is the server, for its whole life, and each job until it is set up
        forkserver.ensure_running()


def start(target: Callable[..., None], arguments: Sequence[Any], preload: Sequence[str]) -> Child:
    """A process that runs `target(*arguments, channel)`. NotStarted where none can be had."""
    context = multiprocessing.get_context("forkserver")
    trouble = "unknown"
    for again in range(START_TRIES):
        time.sleep(0.2 * again)
        ours, theirs = context.Pipe()  # new each time: one that was forked all the same hears EOF
        process = context.Process(target=target, args=(*arguments, theirs))
        try:
            start_server(preload)
            with _no_main_module():
                process.start()
        except (EOFError, OSError) as error:
            trouble = f"{type(error).__name__}: {error}".removesuffix(": ")
            ours.close()
            continue
        except BaseException:  # a signal: the server would go on importing, and complain of us
            if (server := _server()) is not None:
                os.kill(server, signal.SIGKILL)
            raise
        finally:
            theirs.close()  # or the end of the job would not show on our end
        return Child(process, ours, _pidfd(process), _server())
    raise NotStarted(f"its process could not be started ({trouble})")


def settle_in() -> None:
    """The job's process leads a group of its own, goes on through SIGNALS and ends with its
    starter. The first thing that runs there."""
    os.setsid()
    for number in SIGNALS:  # a handler, not SIG_IGN: programs that it starts can be ended as ever
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    end_with_the_starter(lambda: os.killpg(0, signal.SIGKILL))


def end_with_the_starter(end: Callable[[], None]) -> None:
    """Call `end` once the process that started this one has gone."""
    starter = multiprocessing.parent_process()  # not the server that forked us
    assert starter is not None

    def watch() -> None:
        connection.wait([starter.sentinel])
        end()

    threading.Thread(target=watch, daemon=True).start()


def describe_end(who: str, code: int | None) -> Failed | None:
    """What an exit code says about a process that left no word; None if it ended well."""
    if code == 0:
        return None
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (the kernel does so when memory runs out)" if name == "SIGKILL" else ""
        return Failed("killed", f"{who} was killed by {name}{hint}")
    return Failed("lost", f"{who} ended with exit code {code} and left no result")


@contextlib.contextmanager
def _deaf() -> Generator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _no_main_module() -> Generator[None]:
    """A job does not run the starter's script again: it may be anybody's, without the guard that
    multiprocessing asks for, and of a command line it would import what no job needs."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
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


def _server() -> int | None:
    return getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)


def _is_running(server: int | None) -> bool:
    """Without taking its exit status away from who else asks for it."""
    if server is None or server != _server():
        return False
    try:
        return os.waitid(os.P_PID, server, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _pidfd(process: BaseProcess) -> int | None:
    """None where the system has none (then a job's end is what its server says)."""
    assert process.pid is not None
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(process.pid)
    except OSError:  # it has ended and its server has seen it, or a kernel without them
        return None
