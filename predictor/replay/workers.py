"""Worker processes that hold what all their tasks share, and that can be left at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from os import _exit
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, signal
from threading import Thread
from types import ModuleType, TracebackType
from typing import Any, Generic, Self, TypeVar

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers(Generic[Shared]):
    """A map over processes, each of which is given `shared` once. With one process: in this one.

    They are started afresh: a fork of a process with threads may hang. They do not run the caller's
    script again: what is defined in it is not found there. Signals that ask to end are the
    caller's, and they end when it has gone. Left by an exception, they are killed and not waited
    for: of a pool that is only shut down, a second Ctrl-C leaves some behind that this process then
    waits for at its own end, for ever.
    """

    def __init__(self, shared: Shared, num_processes: int) -> None:
        self.shared = shared
        self.others = set(active_children())
        self.pool = _pool(shared, num_processes) if num_processes > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.pool is None:
            return
        if kind is not None:
            for process in set(active_children()) - self.others:
                process.kill()
        self.pool.shutdown(cancel_futures=True)

    def map(
        self, function: Callable[[Shared, Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """`function(shared, task)` of every task, in their order. `function` is found by name."""
        if self.pool is None:
            return (function(self.shared, task) for task in tasks)
        with _no_main_module():  # here all of them are started
            return self.pool.map(_Held(function), tasks)


@contextmanager
def _no_main_module() -> Generator[None]:
    """A worker does not run the caller's script again: it may be anybody's, without the guard that
    multiprocessing asks for."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


# --- in a worker

_held: list[Any] = []


def _pool(shared: object, num_processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(num_processes, get_context("spawn"), _begin, (shared,))


def _begin(shared: object) -> None:
    for number in (SIGINT, SIGTERM, SIGHUP):
        signal(number, SIG_IGN)
    Thread(target=_end_with_the_caller, daemon=True).start()
    _held[:] = [shared]


def _end_with_the_caller() -> None:
    caller = parent_process()
    assert caller is not None
    wait([caller.sentinel])
    _exit(1)


class _Held(Generic[Task, Result]):
    """A function of what the worker holds, and of a task."""

    def __init__(self, function: Callable[[Any, Task], Result]) -> None:
        self.function = function

    def __call__(self, task: Task) -> Result:
        return self.function(_held[0], task)
