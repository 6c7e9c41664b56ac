"""The trials of tests/support/fakes.py in threads of the driver's own process: quick, and in an
order that is always the same with one worker."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from predictor.types import Verdict
from sweep.executors import Job, Slot
from tests.support.fakes import fake_prepare, fake_trial
from trainer.contract.spec import LAST, Event, Failed, Stop


class ThreadedTrials:
    """An `Executor`; nothing is known of a trial that is killed until its thread ends."""

    def __init__(self) -> None:
        self._jobs: dict[Hashable, tuple[Connection, Thread]] = {}
        self._killed: list[tuple[Hashable, Event]] = []

    def start(self, job: Job, slot: Slot) -> None:
        ours, theirs = Pipe()
        entry: Any = fake_prepare if job.key == "prepare" else fake_trial

        def run() -> None:
            with suppress(EOFError, OSError), theirs:  # the driver has hung up
                entry(job.spec, theirs)

        thread = Thread(target=run)
        self._jobs[job.key] = ours, thread
        thread.start()

    def send(self, key: Hashable, reply: Verdict | Stop) -> None:
        with suppress(KeyError, OSError):
            self._jobs[key][0].send(reply)

    def kill(self, key: Hashable, because: Failed) -> None:
        if key in self._jobs:
            self._end(key)
            self._killed.append((key, because))

    def wait(self, timeout_s: float) -> list[tuple[Hashable, Event]]:
        events, self._killed = self._killed, []
        channels = {channel: key for key, (channel, _) in self._jobs.items()}
        for channel in connection.wait(list(channels), 0 if events else timeout_s):
            assert isinstance(channel, Connection)
            event = channel.recv()
            events.append((channels[channel], event))
            if isinstance(event, LAST):
                self._end(channels[channel])
        return events

    def close(self) -> None:
        for key in list(self._jobs):
            self._end(key)

    def _end(self, key: Hashable) -> None:
        channel, thread = self._jobs.pop(key)
        channel.close()
        thread.join()
