"""Trials that are told to stop, with a checkpoint, while they do a certain thing: entry points."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

from trainer.contract.spec import Stepped, Stop, TrialSpec


def run_and_stop(stopping: tuple[TrialSpec, int], channel: Connection) -> None:
    """Told to stop at the end of a step."""
    run_and_stop_while((stopping[0], "stepped", stopping[1]), channel)


def run_and_stop_while(stopping: tuple[TrialSpec, str, int], channel: Connection) -> None:
    """Told to stop while it does something after a step; its processes listen all the time."""
    import trainer.training.link
    import trainer.worker

    spec, what, step = stopping
    now = ["", 0]

    class Ordering(trainer.training.link.DriverLink):
        def send(self, event: Any) -> None:
            super().send(event)
            if isinstance(event, Stepped):
                now[:] = ["stepped", event.observation.step]

        def alive(self, doing: str) -> None:
            now[0] = doing

        def order(self) -> Any:
            return Stop(checkpoint=True) if now == [what, step] else None

    setattr(trainer.worker, "DriverLink", Ordering)  # noqa: B010  a type checker would object
    setattr(trainer.training.link, "BROADCAST_EVERY_S", 0.0)  # noqa: B010
    trainer.worker.run_trial(spec, channel)
