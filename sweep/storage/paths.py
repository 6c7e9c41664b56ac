"""The one place that knows what lies where in a study's folder."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

MARK = "sweep.json"  # beside the weights: whose they are


@dataclass(frozen=True, slots=True)
class StudyPaths:
    """A study's folder; nothing here looks at the disk."""

    out: Path

    @property
    def database(self) -> Path:
        """The default storage."""
        return self.out / "study.db"

    @property
    def study_file(self) -> Path:
        """The study as resolved when it was made, for people to read; the ledger is what counts."""
        return self.out / "study.yaml"

    @property
    def data(self) -> Path:
        """The prepared data: see trainer/prepare.py."""
        return self.out / "data"

    @property
    def prepare_log(self) -> Path:
        """What the preparation printed."""
        return self.out / "prepare.log"

    @property
    def trials(self) -> Path:
        """A folder for each trial."""
        return self.out / "trials"

    def trial(self, number: int) -> Path:
        """A trial's folder."""
        return self.trials / f"{number:04d}"

    def trial_spec(self, number: int) -> Path:
        """What `python -m trainer` runs again."""
        return self.trial(number) / "spec.json"

    def trial_log(self, number: int) -> Path:
        """What its attempts printed."""
        return self.trial(number) / "log.txt"

    def trial_checkpoints(self, number: int) -> Path:
        """The checkpoints, gone when the trial is settled, but for a failed one."""
        return self.trial(number) / "checkpoints"

    def trial_model(self, number: int) -> Path:
        """Where the trained model is written before it is kept or dropped."""
        return self.trial(number) / "model"

    def judged(self, number: int | None) -> Path:
        """A trial's answers to MT-Bench and their ratings; None: the base model's."""
        return self.out / "mt_bench" / ("base" if number is None else f"{number:04d}")

    @property
    def best(self) -> Path:
        """The best model and its card."""
        return self.out / "best"

    @property
    def default_storage(self) -> str:
        """The URL of the database."""
        return f"sqlite:///{self.database}"


def checkpoint_bytes(folder: Path) -> int | None:
    """What the checkpoints in a trial's folder for them take; None where there is none."""
    sizes: list[int] = []
    for parent, _, names in os.walk(folder):  # which passes over folders that are gone by then
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # its driver may be at work
                sizes.append(Path(parent, name).stat().st_size)
    return sum(sizes) if sizes else None


def best_kept(paths: StudyPaths) -> int | None:
    """The number of the trial whose model lies in OUT/best."""
    mark = paths.best / MARK
    return json.loads(mark.read_text())["trial"] if mark.is_file() else None


def kept_model(paths: StudyPaths, number: int) -> Path | None:
    """The folder of a trial's trained model; None where it is not kept."""
    folder = paths.best if best_kept(paths) == number else paths.trial_model(number)
    return folder if folder.is_dir() else None
