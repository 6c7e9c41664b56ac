"""A team hears of an order at the same call, and waits for each other no more than it must."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.contract.spec import Stop
from trainer.model.team import Team
from trainer.training import link as link_module
from trainer.training.link import DriverLink, TeamLink

STOP = Stop(checkpoint=True)


class Meetings(Team):
    """What the first process said when they met, told to the others."""

    def __init__(self, rank: int, said: list[Any]) -> None:
        super().__init__(rank, 2)
        self._said, self._heard = said, 0

    def broadcast(self, value: Any) -> Any:
        if self.is_main_process:
            self._said.append(value)
        self._heard += 1
        return self._said[self._heard - 1]


class Ordering(DriverLink):
    def __init__(self) -> None:
        self.ordered: Stop | None = None

    def order(self) -> Stop | None:
        return self.ordered


class Pair:
    """Two processes of a team that take turns at the same calls, each of which takes a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        monkeypatch.setattr(link_module.time, "monotonic", lambda: self.now_s)
        self.said: list[Any] = []
        self.driver = Ordering()
        self.first = TeamLink(Meetings(0, self.said), self.driver)
        self.second = TeamLink(Meetings(1, self.said), None)

    def call(self, doing: str, takes_s: float) -> Any:
        self.now_s += takes_s
        heard = self.first.order_within(doing)
        assert self.second.order_within(doing) == heard
        return heard


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(monkeypatch)


@pytest.mark.parametrize(
    ("takes_s", "calls", "meetings"),
    [(0.01, 1000, range(19, 25)), (0.1, 100, range(19, 25)), (2.0, 20, range(20, 21))],
)
def test_short_calls_are_let_pass(pair: Pair, takes_s: float, calls: int, meetings: range) -> None:
    assert {pair.call("training", takes_s) for _ in range(calls)} == {None}
    assert len(pair.said) in meetings


@pytest.mark.parametrize("takes_s", [0.01, 0.1, 2.0])
def test_an_order_is_heard_soon(pair: Pair, takes_s: float) -> None:
    for _ in range(100):
        pair.call("training", takes_s)
    pair.driver.ordered, ordered_s = STOP, pair.now_s
    while pair.call("training", takes_s) is None:
        pass
    assert pair.now_s - ordered_s <= link_module.BROADCAST_EVERY_S + takes_s


def test_what_they_do_next_may_take_longer(pair: Pair) -> None:
    for _ in range(100):
        pair.call("training", 0.01)
    pair.driver.ordered = STOP
    assert pair.call("evaluating", 5.0) == STOP
