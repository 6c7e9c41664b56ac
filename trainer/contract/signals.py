"""SIGINT, SIGTERM and SIGHUP, all three alike: each asks a process, and all it started, to end.

Only the process that a person or a batch system started listens to them. The others are deaf (see
process.py), so that it makes no difference whether a signal goes to one process, to the
terminal's group or to all of a control group. Imports nothing heavy.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PEACE_S = 3.0
# One request: `timeout` signals its child, and then the group that it is in.
TOGETHER_S = 0.5

Listener = Callable[[signal.Signals], bool]


class Interrupted(BaseException):
    """A signal asked this process to end, and nobody had a use for it but to end at once."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """128 + the signal."""
        return exit_code(self.number)


def exit_code(number: int) -> int:
    """128 + the signal's number, as shells have it: 129 SIGHUP, 130 SIGINT, 143 SIGTERM."""
    return 128 + number


def end_with(code: int) -> int:
    """The code. From here a signal ends this process at once, with that exit code: for the moments
    between a command's end and its process's, in which it would be killed and its end unknown."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, lambda *_: os._exit(code))
    return code


class Signals:
    """Heard from here to the end of the `with`, which puts back what was there before.

    Each goes to the `listener`, which says whether it has dealt with it. The first that nobody
    deals with raises Interrupted. What then cleans up is left in peace for `PEACE_S`; a signal
    after that ends the process at once. SIGHUP stays ignored where it was (nohup). Outside the main
    thread, where Python allows no handlers, nothing is changed.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener
        self._before: dict[signal.Signals, Any] = {}
        self._raised_s: float | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, _: FrameType | None) -> None:
        heard = signal.Signals(number)
        if self._listener is not None and self._listener(heard):
            return
        now = time.monotonic()
        if self._raised_s is None:
            self._raised_s = now
            raise Interrupted(heard)
        if now - self._raised_s > PEACE_S:
            os._exit(exit_code(heard))
