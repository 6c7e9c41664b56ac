"""Writes that the outside may keep from a trial: tried by all its processes together, and waited
for where nothing else is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.contract.outside import Cause, OutsideError, cause_of, described, trouble_in
from trainer.contract.spec import Held, TrialSpec
from trainer.model.team import Team
from trainer.training.checkpoint import newest_complete
from trainer.training.link import Halted, Link

RETRY_S = 3.0
LISTEN_S = 0.2


@dataclass(slots=True)
class Writes:
    """What writes into `folder`, the trial's own, which is never made anew: who deleted it meant
    it."""

    spec: TrialSpec
    link: Link
    team: Team
    folder: Path
    checkpoints: Path

    def attempt(
        self, work: Callable[[], None], target: Path, needs_bytes: int, *, is_collective: bool
    ) -> Cause | None:
        """The outside cause that kept the processes from `work`, the same on all; None: it is done.

        Nothing is begun where there is no room for it: what else is written there may go on. An
        error in the middle of collective work is raised, as the others wait for this process.
        """
        first = self.team.is_main_process
        cause = self.team.broadcast(trouble_in(self.folder, needs_bytes) if first else None)
        if cause is not None:
            return cause
        try:
            work()
        except Exception as error:
            cause = cause_of(error, self.folder, needs_bytes=needs_bytes - tree_bytes(target))
            if cause is None or (is_collective and self.team.size > 1):
                raise
        return next((each for each in self.team.gather(cause) if each is not None), None)

    def until_done(self, what: str, needs_bytes: int, attempt: Callable[[], Cause | None]) -> None:
        """All is written, however often it must be tried. Raises OutsideError after `spec.wait_s`,
        and Halted when the driver ends the trial meanwhile: then it goes on from the checkpoint
        that it has."""
        began_s, told = time.monotonic(), None
        while (cause := attempt()) is not None:
            text = f"{what} waits to be written: {described(cause, self.folder, needs_bytes)}"
            if cause is not told:
                self.link.send(Held(cause, text, waits=True))
                told = cause
            if self.team.broadcast(time.monotonic() - began_s >= self.spec.wait_s):
                raise OutsideError(cause, text)
            self._pause(text)

    def _pause(self, doing: str) -> None:
        until_s = time.monotonic() + min(RETRY_S, self.spec.wait_s)
        while self.team.broadcast(time.monotonic() < until_s):
            if self.link.order() is not None:
                newest = newest_complete(self.checkpoints) if self.team.is_main_process else None
                _, step = self.team.broadcast(newest) or (None, 0)
                raise Halted(step)
            self.link.alive(doing)
            time.sleep(LISTEN_S)


def tree_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; 0 without it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def model_bytes(model: Any) -> int:
    """What saving the weights takes, nearly: of LoRA those of the adapter."""
    adapter = hasattr(model, "peft_config")
    return sum(_bytes(p) for p in model.parameters() if p.requires_grad or not adapter)


def checkpoint_bytes(model: Any) -> int:
    """The weights, and AdamW's two moments of those that are trained."""
    return model_bytes(model) + 2 * sum(_bytes(p) for p in model.parameters() if p.requires_grad)


def _bytes(parameter: Any) -> int:
    return parameter.numel() * parameter.element_size()
