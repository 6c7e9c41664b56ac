"""What the checkpoints of parked trials take on the disk, within `run.parked_gb`.

The disk itself is the record of who has one: a trial without goes on from its start, hears the
verdicts that it has heard, and costs what it cost before once more. So nothing of this has to be
decided again after a kill, and whatever was dropped changes no verdict.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.config.study import Study
from sweep.driver.memory import GB
from sweep.storage.paths import StudyPaths, checkpoint_bytes
from trainer.contract.files import remove_tree

AUTO_SHARE = 0.5  # of the space that is free, and of what they take already


def limit_bytes(study: Study, out: Path, taken_bytes: int = 0) -> float:
    """The most that they may take together; auto: half of the disk's free space where the study
    lies, or will, and of what they take already."""
    if study.run.parked_gb != "auto":
        return study.run.parked_gb * GB
    there = next(folder for folder in (out, *out.parents) if folder.exists())
    return AUTO_SHARE * (shutil.disk_usage(there).free + taken_bytes)


def to_drop(sizes: Mapping[int, float], ranking: Sequence[int], limit_bytes: float) -> list[int]:
    """The trials that lose their checkpoints, of `sizes` bytes each, so that the others' stay
    within the limit: the least promising first. `ranking`: the most promising first; who is not in
    it promises least of all."""
    place = {number: at for at, number in enumerate(ranking)}
    order = sorted(sizes, key=lambda number: (place.get(number, len(place)), number))
    total, dropped = sum(sizes.values()), list[int]()
    while order and total > limit_bytes:
        total -= sizes[order[-1]]
        dropped.append(order.pop())
    return dropped


@dataclass(slots=True)
class ParkedCheckpoints:
    """Which parked trials have a checkpoint, and of how many bytes."""

    paths: StudyPaths
    limit_bytes: float = 0.0
    bytes_each: float = 0.0  # that one is expected to take, before any is there
    sizes: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, number: int) -> None:
        """The trial is parked; what it left is counted."""
        found = checkpoint_bytes(self.paths.trial_checkpoints(number))
        if found is not None:
            self.sizes[number] = found

    def remove(self, number: int) -> None:
        """The trial is parked no more."""
        self.sizes.pop(number, None)

    def expected_bytes(self) -> float:
        """What one more takes: as much as the largest."""
        return max(self.sizes.values(), default=self.bytes_each)

    @property
    def total_bytes(self) -> int:
        """What they take together."""
        return sum(self.sizes.values())

    def drop(self, numbers: Iterable[int]) -> None:
        """These trials have none any more."""
        for number in numbers:
            remove_tree(self.paths.trial_checkpoints(number))
            self.remove(number)
