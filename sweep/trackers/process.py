"""A tracker's own process: `python -m sweep.trackers.process`. It mirrors the ledger until its
standard input ends, that is until the driver has ended, however that did; then it finishes what is
open and ends. Whatever the tracker's library prints goes to a log."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sweep.storage.find import Location
from sweep.storage.paths import StudyPaths
from sweep.trackers.mirror import Mirror
from sweep.trackers.runs import Tracker
from sweep.trackers.to_mlflow import Mlflow
from sweep.trackers.to_tensorboard import TensorBoard
from sweep.trackers.to_trackio import Trackio
from sweep.trackers.to_wandb import Wandb
from trainer.contract.safe_text import clipped, safe
from trainer.contract.signals import SIGNALS

MAKERS: dict[str, Callable[[Path], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": Wandb,
    "mlflow": Mlflow,
}
EVERY_S = 3.0  # between two looks at the ledger
LOAD = 10  # and as many times what a look takes
PAUSES_S = (3.0, 10.0, 30.0, 60.0)  # after failures, one after the other
GIVE_UP_S = 900  # after the driver's end


@dataclass(slots=True)
class Teller:
    """What the driver hears: a line for people, or that something gets on."""

    stream: TextIO

    def say(self, text: str) -> None:
        """For people."""
        self._send({"say": safe(text)})

    def progress(self) -> None:
        """The process is alive."""
        self._send({})

    def _send(self, message: dict[str, str]) -> None:
        with suppress(BrokenPipeError):  # the driver has gone; the tracker has not
            self.stream.write(json.dumps(message) + "\n")
            self.stream.flush()


def main() -> int:
    """The exit code: 1 where something is missing in the tracker."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the driver hears them, and ends this one
    asked = json.loads(sys.stdin.readline())
    name, out = asked["tracker"], Path(asked["out"])
    folder = out / "trackers"
    folder.mkdir(parents=True, exist_ok=True)
    teller = Teller(os.fdopen(os.dup(1), "w"))
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # that of a driver before may still be at its end
        at = Location(asked["url"], asked["study"], StudyPaths(out))
        return follow(name, at, folder, teller)


def follow(name: str, at: Location, folder: Path, teller: Teller) -> int:
    """Mirror until the driver's end, and once more then; what fails is said once, and tried
    again."""
    mirror: Mirror | None = None
    failures, is_over = 0, False
    while True:
        began_s = time.monotonic()
        try:
            if mirror is None:
                tracker = MAKERS[name](folder / name)
                mirror = Mirror(
                    at.open(), at.paths, tracker, folder / f"{name}.json", teller.progress
                )
                if not failures:
                    teller.say(f"{name}: {tracker.where}")
            mirror.sync(is_last=is_over)
            failures = 0
        except Exception as error:  # of whatever library it is
            failures += 1
            if mirror is not None:
                mirror.ledger.engine.dispose()
            mirror = None
            sys.stderr.write(safe("".join(traceback.format_exception(error))))
            sys.stderr.flush()
            if failures == 1:
                teller.say(_failed(name, error, folder))
        if is_over:
            return 1 if failures else 0
        pause_s = max(EVERY_S, LOAD * (time.monotonic() - began_s))
        if failures:
            pause_s = PAUSES_S[min(failures, len(PAUSES_S)) - 1]
        is_over = _is_over(pause_s)
        if is_over:
            signal.alarm(GIVE_UP_S)


def _is_over(timeout_s: float) -> bool:
    """Whether the driver has hung up within so many seconds."""
    readable: list[Any] = select.select([sys.stdin], [], [], timeout_s)[0]
    return bool(readable)


def _failed(name: str, error: Exception, folder: Path) -> str:
    lines = str(error).strip().splitlines() or [""]
    what = clipped(f"{type(error).__name__}: {lines[0]}")
    return (
        f"{name}: tracking failed ({what}); the trials go on, and what is missing is sent again "
        f"later. What {name} printed is in {folder / f'{name}.log'}"
    )


if __name__ == "__main__":
    sys.exit(main())
