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

from trainer.contract.outside import Cause
from trainer.contract.process import describe_end, end_with_the_starter
from trainer.contract.spec import Failed

# The first to be heard of is often a victim: its collective fails the moment that another dies.
COLLECT_S = 2.0
_CAUSES = ("bad input", "killed", "out of memory", *Cause, "lost", "error")
_VICTIMS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "gloo")

# work(rank, size, rendezvous, channel): the channel is the main process's alone.
Work = Callable[[int, int, Path, Connection | None], Failed | None]


def launch(work: Work, processes: int, channel: Connection) -> Failed | None:
    """Why `work`, on `processes` ranks, came to no good end, or None if it did."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        ranks: list[tuple[BaseProcess, Connection]] = []
        for rank in range(processes):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_run_rank,
                args=(work, rank, processes, Path(folder) / "rendezvous", channel, theirs),
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
    work: Work, rank: int, size: int, rendezvous: Path, channel: Connection, report: Connection
) -> None:
    end_with_the_starter(lambda: os._exit(1))
    if rank > 0:
        channel.close()
    failed = work(rank, size, rendezvous, channel if rank == 0 else None)
    if failed is not None:
        report.send(failed)
    report.close()
    # At once: threads and collectives that wait for each other are of no use any more.
    os._exit(0 if failed is None else 1)


def _watch(ranks: list[tuple[BaseProcess, Connection]]) -> Failed | None:
    """Until all have ended well, or the first has not and the others had time to say why."""
    left = dict(enumerate(ranks))
    failures: list[Failed] = []
    deadline: float | None = None
    while left:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        # A report is read as it comes: one that does not fit into the pipe holds its sender up, and
        # its end comes with that of the process.
        ready: list[Any] = wait([report for _, report in left.values()], timeout)
        if not ready:
            break
        for index, (process, report) in list(left.items()):
            if report not in ready:
                continue
            failed = _report(report)
            if failed is None:
                process.join()
                failed = describe_end(f"process {index + 1} of {len(ranks)}", process.exitcode)
            if failed is not None:
                failures.append(failed)
                deadline = deadline or time.monotonic() + COLLECT_S
            del left[index]
    return min(failures, key=_as_cause, default=None)


def _report(report: Connection) -> Failed | None:
    try:
        return report.recv()
    except (EOFError, OSError):
        return None


def _as_cause(failed: Failed) -> tuple[bool, int]:
    """The likeliest cause sorts first: a process that only lost its peers is a victim."""
    is_victim = failed.kind == "error" and any(word in failed.message for word in _VICTIMS)
    return is_victim, _CAUSES.index(failed.kind) if failed.kind in _CAUSES else len(_CAUSES)
