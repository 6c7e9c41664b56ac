"""Trackio: a project for the study, in Trackio's own folder, where `trackio show` finds it."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sweep.trackers.runs import End, Point, Run
from trainer.contract.safe_text import file_name

KEY = "sweep_run"  # in the configuration: what a run is found by


class Trackio:
    """A `Tracker`. A run that is opened is written anew."""

    def __init__(self, folder: Path) -> None:
        """`folder` is left alone: TRACKIO_DIR says where Trackio keeps its projects."""
        self._trackio: Any = import_module("trackio")
        self.where = f"{self._trackio.TRACKIO_DIR}; to look at it: trackio show"
        self._runs: dict[str, Any] = {}

    def open(self, run: Run) -> int:
        """0: what was there of the run is gone."""
        project = file_name(run.group)
        for old in self._earlier(project):
            config: dict[str, Any] = old.config or {}
            if config.get(KEY) == run.key:  # another study may have the same name
                old.delete()
        start: Any = self._trackio.init
        # In a context of its own: Trackio ends the run that the present one has.
        self._runs[run.key] = contextvars.copy_context().run(
            start,
            project=project,
            name=run.name,
            group=run.group,
            config={**run.config, KEY: run.key},
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return 0

    def _earlier(self, project: str) -> list[Any]:
        try:
            return list(self._trackio.Api().runs(project))
        except ValueError:  # there is no such project yet
            return []

    def log(self, run: Run, points: Sequence[Point]) -> None:
        """A row for each."""
        for point in points:
            self._runs[run.key].log(dict(point.values), step=point.step)

    def close(self, run: Run, step: int, end: End) -> None:
        """Final values and texts in a last row."""
        found = self._runs.pop(run.key)
        found.log({**end.values, **end.texts, "tags": ", ".join(end.tags)}, step=step)
        found.finish()
