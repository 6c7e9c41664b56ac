"""The trial's end of the channel to the driver: events out, verdicts and stops in."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

from predictor.types import Verdict
from trainer.spec import Alive, Event, Stop, VerdictWanted

ALIVE_EVERY_S = 5.0


class DriverGone(Exception):
    """The other end of the channel is closed: nobody waits for this trial any more."""


class Halted(Exception):
    """The trial was told to end after `step`; everything that was asked for has been saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"told to end at step {step}")
        self.step = step


class Link:
    """Raises DriverGone from every method once the driver has closed its end."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._sent_at = time.monotonic()

    def send(self, event: Event) -> None:
        try:
            self._channel.send(event)
        except (BrokenPipeError, ConnectionResetError) as gone:
            raise DriverGone from gone
        self._sent_at = time.monotonic()

    def alive(self, doing: str) -> None:
        """Send Alive, unless anything was sent in the last few seconds."""
        if time.monotonic() - self._sent_at >= ALIVE_EVERY_S:
            self.send(Alive(doing))

    def ask(self, wanted: VerdictWanted) -> Verdict | Stop:
        """Send the question and wait, for however long, for the answer or a Stop."""
        self.send(wanted)
        return self._receive()

    def order(self) -> Verdict | Stop | None:
        """What has come unasked and ends the trial: a Stop, or a verdict to prune."""
        try:
            while self._channel.poll():
                message = self._receive()
                if isinstance(message, Stop) or message.action == "prune":
                    return message
        except (BrokenPipeError, ConnectionResetError) as gone:
            raise DriverGone from gone
        return None

    def _receive(self) -> Verdict | Stop:
        try:
            message = self._channel.recv()
        except (EOFError, ConnectionResetError) as gone:
            raise DriverGone from gone
        assert isinstance(message, Verdict | Stop), f"unexpected message {message!r}"
        return message
