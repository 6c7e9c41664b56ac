"""The trial's end of the channel to the driver: events out, verdicts and stops in."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Protocol

from predictor.types import Verdict
from trainer.contract.spec import Alive, Event, Stop, VerdictWanted

if TYPE_CHECKING:
    from trainer.model.team import Team

ALIVE_EVERY_S = 5.0
BROADCAST_EVERY_S = 0.5  # how often the processes of a team stop to listen within a step


class DriverGone(Exception):
    """The other end of the channel is closed: nobody waits for this trial any more."""


class Halted(Exception):
    """The trial was told to end after `step`; everything that was asked for has been saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"told to end at step {step}")
        self.step = step


class Ordered(Exception):
    """An order came while a step or an evaluation was being done, which is given up."""

    def __init__(self, order: Verdict | Stop) -> None:
        super().__init__(f"ordered: {order}")
        self.order = order


class Link(Protocol):
    """Raises DriverGone from every method once the driver has closed its end."""

    def send(self, event: Event) -> None:
        """The event is on its way to the driver."""
        ...

    def alive(self, doing: str) -> None:
        """The driver hears Alive, unless anything was sent in the last few seconds."""
        ...

    def ask(self, wanted: VerdictWanted) -> Verdict | Stop:
        """The answer to the question, or a Stop, waited for however long."""
        ...

    def order(self) -> Verdict | Stop | None:
        """What has come unasked and ends the trial: a Stop, or a verdict to prune."""
        ...

    def order_within(self, doing: str) -> Verdict | Stop | None:
        """The order, as `order` gives it, between the parts of a step or of an evaluation."""
        ...


class DriverLink(Link):
    """A link over the channel that the driver made for this trial."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._sent_at = time.monotonic()

    def send(self, event: Event) -> None:
        """The event is on its way. DriverGone where nobody reads it."""
        try:
            self._channel.send(event)
        except (BrokenPipeError, ConnectionResetError) as gone:
            raise DriverGone from gone
        self._sent_at = time.monotonic()

    def alive(self, doing: str) -> None:
        """The driver has heard something in the last ALIVE_EVERY_S seconds."""
        if time.monotonic() - self._sent_at >= ALIVE_EVERY_S:
            self.send(Alive(doing))

    def ask(self, wanted: VerdictWanted) -> Verdict | Stop:
        """The first message after the question is sent. DriverGone where the driver ends before."""
        self.send(wanted)
        return self._receive()

    def order(self) -> Verdict | Stop | None:
        """The first message that ends the trial; others are dropped. DriverGone where the channel
        is closed."""
        try:
            while self._channel.poll():
                message = self._receive()
                if isinstance(message, Stop) or message.action == "prune":
                    return message
        except (BrokenPipeError, ConnectionResetError) as gone:
            raise DriverGone from gone
        return None

    def order_within(self, doing: str) -> Verdict | Stop | None:
        """The order, as `order` gives it: one process waits for nobody."""
        return self.order()

    def _receive(self) -> Verdict | Stop:
        try:
            message = self._channel.recv()
        except (EOFError, ConnectionResetError) as gone:
            raise DriverGone from gone
        assert isinstance(message, Verdict | Stop), f"unexpected message {message!r}"
        return message


class TeamLink(Link):
    """A team's link: its main process speaks, and all hear the answer at the same point."""

    def __init__(self, team: Team, first: Link | None) -> None:
        self._team, self._first = team, first
        self._doing, self._calls, self._calls_to_broadcast = "", 0, 1
        self._broadcast_at = time.monotonic()

    def send(self, event: Event) -> None:
        """The main process has sent the event; the others do nothing."""
        if self._first is not None:
            self._first.send(event)

    def alive(self, doing: str) -> None:
        """The main process has sent a sign of life; the others do nothing."""
        if self._first is not None:
            self._first.alive(doing)

    def ask(self, wanted: VerdictWanted) -> Verdict | Stop:
        """The answer that the main process got, on every process."""
        answer = None if self._first is None else self._first.ask(wanted)
        shared = self._team.broadcast(answer)
        assert shared is not None
        return shared

    def order(self) -> Verdict | Stop | None:
        """The main process's order, on every process; all call it at the same point."""
        return self._team.broadcast(None if self._first is None else self._first.order())

    def order_within(self, doing: str) -> Verdict | Stop | None:
        """Every process calls it equally often. They wait for each other in one call out of as many
        as take BROADCAST_EVERY_S; when that is, the main process broadcasts its order."""
        if doing != self._doing:  # whose parts may take longer
            self._doing, self._calls, self._calls_to_broadcast = doing, 0, 1
        self._calls += 1
        if self._calls < self._calls_to_broadcast:
            return None
        now = time.monotonic()
        call_s = max((now - self._broadcast_at) / self._calls, 1e-6)
        order = None if self._first is None else self._first.order()
        calls = max(1, int(BROADCAST_EVERY_S / call_s))
        order, self._calls_to_broadcast = self._team.broadcast((order, calls))
        self._calls, self._broadcast_at = 0, time.monotonic()
        return order
