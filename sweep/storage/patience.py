"""A storage that another program has locked: tried again until it is free, and said so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sweep.formats import duration
from trainer.contract.outside import Cause, cause_of

T = TypeVar("T")
PAUSE_S = 0.5
SAY_AFTER_S = 3.0  # shorter waits are not worth a line
BUSY_S = 1.0  # for how long SQLite itself waits for a lock: Ctrl-C is not heard meanwhile


def _nobody(_line: str) -> None:
    pass


@dataclass(slots=True)
class Patience:
    """The patience of one driver. What it calls must be harmless to call again."""

    wait_s: float = 0.0  # run.wait_minutes
    say: Callable[[str], None] = _nobody
    is_interrupted: Callable[[], bool] = bool

    def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns, tried again while the storage is locked by another program.

        Raises what `work` raises: for another cause, after `wait_s`, or once there was an
        interrupt.
        """
        began_s, say_at_s, has_said = time.monotonic(), SAY_AFTER_S, False
        while True:
            try:
                result = work()
            except Exception as error:
                waited_s = time.monotonic() - began_s
                is_over = waited_s >= self.wait_s or self.is_interrupted()
                if cause_of(error) is not Cause.STORAGE_LOCKED or is_over:
                    raise
            else:
                if has_said:
                    waited = duration(time.monotonic() - began_s)
                    self.say(f"the storage is free again after {waited}: going on")
                return result
            if waited_s >= say_at_s:
                self.say(
                    "the storage is locked by another program: waiting since "
                    f"{duration(waited_s)}, for up to {duration(self.wait_s)} (run.wait_minutes)"
                )
                say_at_s, has_said = 2 * waited_s, True
            time.sleep(PAUSE_S)
