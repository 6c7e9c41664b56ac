"""A trial of several processes: forked here, watched here, ended together.

The process that was started for the trial launches the others and trains nothing itself. They are
forked from it before it has touched a device or started a thread pool, so that they need not import
anything. The first of them talks to the driver. When one dies the rest are killed and the driver
hears from here what the cause was; when this process dies they end themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from trainer.spec import Failed

# The first to be heard of is often a victim: its collective fails the moment that another dies.
COLLECT_S = 2.0
_CAUSES = ("bad input", "killed", "out of memory", "disk full", "lost", "error")
_VICTIMS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "gloo")

# work(rank, size, meeting, channel): the channel is the first process's alone.
Work = Callable[[int, int, Path, Connection | None], Failed | None]


def launch(work: Work, processes: int, channel: Connection) -> Failed | None:
    """Run `work` on `processes` ranks; why it came to no good end, or None if it did."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        ranks: list[tuple[BaseProcess, Connection]] = []
        for rank in range(processes):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_run_rank,
                args=(work, rank, processes, Path(folder) / "meeting", channel, theirs),
            )
            process.start()
            theirs.close()
            ranks.append((process, ours))
        try:
            return _watch(ranks)
        finally:
            for process, report in ranks:
                process.kill()
                process.join()
                report.close()


def _run_rank(
    work: Work, rank: int, size: int, meeting: Path, channel: Connection, report: Connection
) -> None:
    _end_with_the_launcher()
    if rank > 0:
        channel.close()
    failed = work(rank, size, meeting, channel if rank == 0 else None)
    if failed is not None:
        report.send(failed)
    report.close()
    # At once: threads and collectives that wait for each other are of no use any more.
    os._exit(0 if failed is None else 1)


def _end_with_the_launcher() -> None:
    import threading

    launcher = multiprocessing.parent_process()
    assert launcher is not None

    def watch() -> None:
        wait([launcher.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _watch(ranks: list[tuple[BaseProcess, Connection]]) -> Failed | None:
    """Until all have ended well, or the first has not and the others had time to say why."""
    running = {process.sentinel: index for index, (process, _) in enumerate(ranks)}
    failures: list[Failed] = []
    deadline: float | None = None
    while running:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        ended: list[Any] = wait(list(running), timeout)
        if not ended:
            break
        for sentinel in ended:
            index = running.pop(sentinel)
            process, report = ranks[index]
            process.join()
            failed = _why(index, len(ranks), process, report)
            if failed is not None:
                failures.append(failed)
                deadline = deadline or time.monotonic() + COLLECT_S
    return min(failures, key=_as_cause, default=None)


def _why(index: int, size: int, process: BaseProcess, report: Connection) -> Failed | None:
    if process.exitcode == 0:
        return None
    try:
        if report.poll():
            return report.recv()
    except (EOFError, OSError):
        pass
    return describe_end(f"process {index + 1} of {size}", process.exitcode)


def describe_end(who: str, code: int | None) -> Failed:
    """What an exit code says about a process that left no word."""
    import signal

    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (the kernel does so when memory runs out)" if name == "SIGKILL" else ""
        return Failed("killed", f"{who} was killed by {name}{hint}")
    return Failed("lost", f"{who} ended with exit code {code} and left no result")


def _as_cause(failed: Failed) -> tuple[bool, int]:
    """The likeliest cause sorts first: a process that only lost its peers is a victim."""
    is_victim = failed.kind == "error" and any(word in failed.message for word in _VICTIMS)
    return is_victim, _CAUSES.index(failed.kind) if failed.kind in _CAUSES else len(_CAUSES)
