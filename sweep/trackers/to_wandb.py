"""Weights & Biases: online, or in files that `wandb sync` uploads later."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sweep.storage.states import State
from sweep.trackers.runs import End, Point, Run

_FOLDER, _PROJECT, _MODE = "WANDB_DIR", "WANDB_PROJECT", "WANDB_MODE"
DEFAULT_PROJECT = "sft-sweep"


class Wandb:
    """A `Tracker`. Online a run is resumed after the step that the server has; offline it is
    written anew, so that each run is in one folder."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where its own files go, unless WANDB_DIR says another."""
        os.environ.setdefault("WANDB_SILENT", "true")
        self._wandb: Any = import_module("wandb")
        self._folder = Path(os.environ.get(_FOLDER) or folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._project = os.environ.get(_PROJECT) or DEFAULT_PROJECT
        self._runs: dict[str, Any] = {}
        mode = os.environ.get(_MODE) or "online"
        self._is_offline = mode == "offline"
        self.where = f"project {self._project} ({mode})"
        if self._is_offline:
            self.where += f", {self._folder / 'wandb'}; to upload it: wandb sync PATH"

    def open(self, run: Run) -> int:
        """The last step that the server has of the run; offline 0."""
        if self._is_offline:
            for old in (self._folder / "wandb").glob(f"offline-run-*-{run.key}"):
                shutil.rmtree(old)
        settings = self._wandb.Settings(  # of the machine and the code nothing is sent
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            disable_job_creation=True,
            x_disable_meta=True,
            x_disable_stats=True,
        )
        try:
            found = self._wandb.init(
                project=self._project,
                dir=str(self._folder),
                id=run.key,
                name=run.name,
                group=run.group,
                job_type="trial" if run.is_trial else "study",
                config=dict(run.config),
                resume="allow",
                reinit="create_new",
                settings=settings,
            )
        except self._wandb.errors.UsageError as error:  # no key, say
            ways = f"or set {_MODE}=offline for files that `wandb sync` uploads later"
            raise ValueError(f"{str(error).strip().rstrip('.')}, {ways}") from None
        self._runs[run.key] = found
        return max(0, int(found.step) - 1)

    def log(self, run: Run, points: Sequence[Point]) -> None:
        """A row of the run's history for each."""
        for point in points:
            self._runs[run.key].log(dict(point.values), step=point.step)

    def close(self, run: Run, step: int, end: End) -> None:
        """Final values and texts in the summary; the run is finished, so that its file is whole."""
        found = self._runs.pop(run.key)
        found.summary.update({**end.values, **end.texts})
        found.tags = tuple(tag[:64] for tag in end.tags)  # the server takes no longer ones
        found.finish(exit_code=1 if end.state is State.FAILED else 0)
