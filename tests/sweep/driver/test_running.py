"""What is asked of all trials that hold a slot; what signals count."""

from __future__ import annotations

import signal
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytest

from predictor.types import Verdict
from sweep.driver import running as module
from sweep.driver.interrupts import Interrupts
from sweep.driver.running import Running
from sweep.driver.trial import State, Trial
from sweep.executors import Job, Slot
from sweep.storage.ledger import TrialRow
from trainer.contract.spec import TRIAL_ENTRY, Event, Failed, Stop


class Noted:
    """An executor that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Hashable, Any]] = []

    def start(self, job: Job, slot: Slot) -> None:
        assert job.entry == TRIAL_ENTRY
        self.told.append((job.key, slot.index))

    def send(self, key: Hashable, reply: Verdict | Stop) -> None:
        self.told.append((key, reply))

    def kill(self, key: Hashable, because: Failed) -> None:
        self.told.append((key, because))

    def wait(self, timeout_s: float) -> list[tuple[Hashable, Event]]:
        return []

    def close(self) -> None:
        pass


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def launched(executor: Noted, *numbers: int, slots: int = 2) -> tuple[Running, list[Trial]]:
    running = Running(executor, [Slot(index) for index in range(slots)])
    trials: list[Trial] = []
    for number in numbers:
        spec: Any = f"spec {number}"
        trial = Trial(TrialRow(number, State.WAITING.value, {}, 10, 1.0), spec)
        trial.start()
        slot = running.free_slot
        assert slot is not None
        running.launch(trial, slot, Path("log.txt"))
        trials.append(trial)
    executor.told.clear()
    return running, trials


def test_a_slot_is_free_until_a_trial_holds_it_and_after_it_ended(clock: Clock) -> None:
    running, (first, second) = launched(Noted(), 4, 7)
    assert (len(running), running.free_slot) == (2, None)
    assert [trial.number for trial in running] == [4, 7]
    running.release(first)
    assert running.free_slot == Slot(0)
    running.release(second)
    assert not running


def test_who_has_begun_writes_a_checkpoint_and_others_end_at_once(clock: Clock) -> None:
    executor = Noted()
    running, (begun, _) = launched(executor, 4, 7)
    begun.go_on_from(0)
    running.stop()
    because = Failed("interrupted", "stopped before its first step")
    assert executor.told == [(4, Stop(checkpoint=True)), (7, because)]


def test_only_who_is_silent_is_ended(clock: Clock) -> None:
    executor = Noted()
    running, (talks, _) = launched(executor, 4, 7)
    for _ in range(4):
        clock.now_s += 20
        talks.heard()
        running.end_silent(silence_s=60)
        if clock.now_s <= 1060:
            assert executor.told == []
    ((number, failed),) = executor.told
    assert (number, failed.kind) == (7, "silent")
    assert "1.33 minutes (run.silence_minutes)" in failed.message


def test_nobody_is_silent_while_the_driver_itself_was_stopped(clock: Clock) -> None:
    executor = Noted()
    running, _ = launched(executor, 4, 7)
    running.end_silent(silence_s=60)
    clock.now_s += 3600 + module.GAP_S  # a laptop that slept
    running.end_silent(silence_s=60)
    assert executor.told == []


def test_signals_that_come_together_count_once(clock: Clock) -> None:
    interrupts = Interrupts()
    assert interrupts.hear(signal.SIGTERM)
    assert interrupts.hear(signal.SIGINT)  # a terminal and a launcher sent one each
    assert (interrupts.count, interrupts.first) == (1, signal.SIGTERM)
    clock.now_s += 5
    interrupts.hear(signal.SIGINT)
    assert (interrupts.count, interrupts.first) == (2, signal.SIGTERM)
