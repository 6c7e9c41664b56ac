"""MLflow: an experiment for the study, on a server or in a SQLite file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sweep.storage.states import State
from sweep.trackers.contents import STEP_METRIC
from sweep.trackers.runs import End, Point, Run

KEY = "sweep.run"  # the tag that a run is found by
_AT_ONCE = 900  # metrics of one request; the server takes 1,000
_STATUS = {
    State.COMPLETED: "FINISHED",
    State.PRUNED: "KILLED",
    State.FAILED: "FAILED",
    State.PARKED: "SCHEDULED",
    State.WAITING: "SCHEDULED",
    State.RUNNING: "RUNNING",
}


class Mlflow:
    """A `Tracker`. A run goes on after the last step that MLflow has."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where its own files go, unless MLFLOW_TRACKING_URI says another."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self._entities: Any = import_module("mlflow.entities")
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        self._artifacts = None
        if not uri:
            folder.mkdir(parents=True, exist_ok=True)
            uri, self._artifacts = f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")
            self.where = f"{uri}; to look at it: mlflow ui --backend-store-uri {uri}"
        else:
            self.where = "the server of MLFLOW_TRACKING_URI"
        self._client: Any = import_module("mlflow").MlflowClient(uri)
        self._experiment: str | None = None
        self._ids: dict[str, str] = {}

    def open(self, run: Run) -> int:
        """The last step that MLflow has of the run."""
        experiment = self._experiment_of(run)
        found = self._client.search_runs([experiment], f"tags.`{KEY}` = '{run.key}'")
        if not found:
            tags = {KEY: run.key, "sweep.study": run.group}
            made = self._client.create_run(experiment, run_name=run.name, tags=tags)
            param = self._entities.Param
            params = [param(_name(key), str(value)) for key, value in run.config.items()]
            self._client.log_batch(made.info.run_id, params=params)
            self._ids[run.key] = made.info.run_id
            return 0
        self._ids[run.key] = found[0].info.run_id
        self._client.update_run(found[0].info.run_id, status="RUNNING")
        if not run.is_trial:
            return 0
        history = self._client.get_metric_history(found[0].info.run_id, STEP_METRIC)
        return max((one.step for one in history), default=0)

    def log(self, run: Run, points: Sequence[Point]) -> None:
        """A metric for each value."""
        metric, now_ms = self._entities.Metric, int(time.time() * 1000)
        metrics = [
            metric(_name(name), value, now_ms, point.step)
            for point in points
            for name, value in point.values.items()
        ]
        for first in range(0, len(metrics), _AT_ONCE):
            self._client.log_batch(self._ids[run.key], metrics=metrics[first : first + _AT_ONCE])

    def close(self, run: Run, step: int, end: End) -> None:
        """Final values as metrics, the verdict as tags; a pruned trial's status is KILLED."""
        self.log(run, [Point(step, end.values)])
        tag, texts = self._entities.RunTag, {**end.texts, "tags": ", ".join(end.tags)}
        tags = [tag(f"sweep.{name}", text) for name, text in texts.items()]
        found = self._ids.pop(run.key)
        self._client.log_batch(found, tags=tags)
        if end.state is State.RUNNING:
            self._client.update_run(found, status="RUNNING")
        else:
            self._client.set_terminated(found, _STATUS[end.state])

    def _experiment_of(self, run: Run) -> str:
        if self._experiment is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.group
            found = self._client.get_experiment_by_name(name)
            if found is None:
                self._experiment = self._client.create_experiment(name, self._artifacts)
            else:
                self._experiment = found.experiment_id
        assert self._experiment is not None
        return self._experiment


def _name(key: str) -> str:
    """As MLflow takes it."""
    return re.sub(r"[^\w\-. /]", "_", key)[:250]
