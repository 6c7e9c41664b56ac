"""The signals that a session has heard: the first stops the study cleanly, a second at once."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass

from trainer.contract.signals import TOGETHER_S


@dataclass(slots=True)
class Interrupts:
    """How many signals counted so far, and which came first."""

    count: int = 0
    first: int = signal.SIGINT  # its number; the exit code names it
    _last_s: float = -math.inf  # time.monotonic; of the last one that counted

    def hear(self, number: signal.Signals) -> bool:
        """True: the signal is dealt with. It counts, unless one came just before, and is obeyed at
        the next tick."""
        now = time.monotonic()
        if not self.count:
            self.first = number
        if now - self._last_s > TOGETHER_S:  # a terminal and a launcher may both send it
            self.count += 1
            self._last_s = now
        return True
