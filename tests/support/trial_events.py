"""What a trial's process has sent, told apart."""

from __future__ import annotations

from typing import Any

from predictor.types import Observation
from trainer.contract.spec import Failed, Stepped


def of(kind: type, events: list[Any]) -> list[Any]:
    """The events of one kind, in their order."""
    return [event for event in events if isinstance(event, kind)]


def curve(events: list[Any]) -> list[Observation]:
    """What was observed at each step, of a trial that has not failed."""
    failed = of(Failed, events)
    assert not failed, (failed[0].message, failed[0].traceback)
    return [event.observation for event in of(Stepped, events)]
