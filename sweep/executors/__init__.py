"""Executors start a job in a process of its own on a slot, stream its events and stop it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from predictor.types import Verdict
from trainer.contract.spec import Event, Failed, Stop


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one job: what it may see of the machine."""

    index: int
    env: Mapping[str, str] = field(default_factory=dict[str, str])  # CUDA_VISIBLE_DEVICES, ...


@dataclass(frozen=True, slots=True)
class Job:
    """A function to be run in a process of its own: `entry` is "module:function", called as
    `function(spec, channel)`; see `trainer.contract`."""

    key: Hashable
    entry: str
    spec: Any
    log: Path  # what the process prints goes here


class Executor(Protocol):
    """What runs jobs, at most one on each slot."""

    def start(self, job: Job, slot: Slot) -> None:
        """The job has started, or its last event, from `wait`, says why it could not."""
        ...

    def send(self, key: Hashable, reply: Verdict | Stop) -> None:
        """A reply to a job; nothing happens if it has just ended: its last event says how."""
        ...

    def kill(self, key: Hashable, because: Failed) -> None:
        """End the job at once; `because` comes as its last event."""
        ...

    def wait(self, timeout_s: float) -> list[tuple[Hashable, Event]]:
        """The events in order, at the latest after `timeout_s` seconds. Finished, Stopped, Failed
        and Prepared come last of a job, after its process has ended: its slot is free. A process
        that ends without one of them gets a Failed that says how it ended."""
        ...

    def close(self) -> None:
        """Kill whatever still runs."""
        ...
