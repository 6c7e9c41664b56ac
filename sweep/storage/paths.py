"""The one place that knows what lies where in a study's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MARK = "sweep.json"  # beside the weights: whose they are


@dataclass(frozen=True, slots=True)
class StudyPaths:
    out: Path

    @property
    def database(self) -> Path:
        return self.out / "study.db"

    @property
    def study_file(self) -> Path:
        """The study as resolved when it was made, for people to read; the ledger is what counts."""
        return self.out / "study.yaml"

    @property
    def data(self) -> Path:
        return self.out / "data"

    @property
    def prepare_log(self) -> Path:
        return self.out / "prepare.log"

    @property
    def trials(self) -> Path:
        return self.out / "trials"

    def trial(self, number: int) -> Path:
        return self.trials / f"{number:04d}"

    def trial_spec(self, number: int) -> Path:
        """What `python -m trainer` runs again."""
        return self.trial(number) / "spec.json"

    def trial_log(self, number: int) -> Path:
        return self.trial(number) / "log.txt"

    def trial_checkpoints(self, number: int) -> Path:
        return self.trial(number) / "checkpoints"

    def trial_model(self, number: int) -> Path:
        return self.trial(number) / "model"

    @property
    def best(self) -> Path:
        return self.out / "best"

    @property
    def default_storage(self) -> str:
        return f"sqlite:///{self.database}"


def best_kept(paths: StudyPaths) -> int | None:
    """The number of the trial whose model lies in OUT/best."""
    mark = paths.best / MARK
    return json.loads(mark.read_text())["trial"] if mark.is_file() else None
