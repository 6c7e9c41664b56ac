"""The trials that hold a slot, and what is asked of all of them: to stop, or to end at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep.driver.trial import Trial
from sweep.executors import Executor, Job, Slot
from trainer.contract.spec import TRIAL_ENTRY, Failed, Stop

GAP_S = 30.0  # between two looks: this process was stopped itself, so no trial could be heard


class Running:
    """The running trials of a session and their slots."""

    def __init__(self, executor: Executor, slots: Sequence[Slot]) -> None:
        self._executor, self._slots = executor, slots
        self._held: dict[int, tuple[Trial, Slot]] = {}  # by the trial's number
        self._looked_s = time.monotonic()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Trial]:
        return (trial for trial, _ in self._held.values())

    @property
    def free_slot(self) -> Slot | None:
        """The first one; None where all are taken."""
        taken = {slot.index for _, slot in self._held.values()}
        return next((slot for slot in self._slots if slot.index not in taken), None)

    def launch(self, trial: Trial, slot: Slot, log: Path) -> None:
        """Start a trial on a free slot; `log`: where what it prints goes."""
        self._held[trial.number] = trial, slot
        self._executor.start(Job(trial.number, TRIAL_ENTRY, trial.spec, log), slot)

    def release(self, trial: Trial) -> None:
        """The slot is free that the trial's process held; nothing happens if it held none."""
        self._held.pop(trial.number, None)

    def stop(self) -> None:
        """Tell all to write a checkpoint and stop. One that has not begun would hear of it only
        when its model is loaded, and is ended instead."""
        for trial in self:
            if trial.has_begun:
                self._executor.send(trial.number, Stop(checkpoint=True))
            else:
                because = Failed("interrupted", "stopped before its first step")
                self._executor.kill(trial.number, because)

    def end(self, why: str) -> None:
        """End all at once."""
        for trial in self:
            self._executor.kill(trial.number, Failed("interrupted", why))

    def end_silent(self, silence_s: float) -> None:
        """End those that have sent nothing for longer than `silence_s`."""
        now = time.monotonic()
        was_stopped, self._looked_s = now - self._looked_s > GAP_S, now
        for trial in self:
            if was_stopped:
                trial.heard()
            silent_s = now - trial.last_heard_s
            if silent_s > silence_s:
                why = f"nothing was heard of it for {silent_s / 60:.3g} minutes"
                because = Failed("silent", f"{why} (run.silence_minutes)")
                self._executor.kill(trial.number, because)
