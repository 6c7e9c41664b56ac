"""Recorded sweeps: X_runs.parquet with X_steps.parquet beside it, read as studies to replay.

Runs: group, workload, run, study, params (a JSON object), horizon_step, final_eval_loss (the
objective turned so that lower is better), and where there are: state, early_eval,
grad_norm_noise_free. Steps: run, step, loss, grad_norm, eval_loss (each NaN where not measured).
Parquet holds values only: nothing that is read here can run code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predictor.types import CohortTrial, WindowSignals

Floats = NDArray[np.float64]

RUN_COLUMNS = ("group", "workload", "run", "study", "params", "horizon_step", "final_eval_loss")
STEP_COLUMNS = ("run", "step", "loss", "grad_norm", "eval_loss")


@dataclass(frozen=True, slots=True)
class RecordedRun:
    config: Mapping[str, Any]
    seed: str  # the study that it repeats the configuration in
    horizon: float  # the step taken as the end
    train: Floats  # (num_steps, 3): step, loss, gradient norm
    evals: Floats  # (num_evals, 2): step, objective
    objective: float  # at the end, lower is better
    early_eval: float | None = None  # where it was measured apart
    grad_norm_noise_free: float | None = None


@dataclass(frozen=True, slots=True)
class RecordedStudy:
    name: str
    workload: str
    runs: tuple[RecordedRun, ...]

    def trials(self, window: float) -> list[CohortTrial]:
        """Every run as the predictor sees it at the end, numbered from 0."""
        return [
            CohortTrial(i, run.config, window_of(run, window), run.objective)
            for i, run in enumerate(self.runs)
        ]


def read_recorded(path: str | Path) -> list[RecordedStudy]:
    """The studies of DIR/X (or DIR/X_runs.parquet), one for each group, in the file's order.

    Runs that were not trained to their end (another state than completed, no final loss) are left
    out. ValueError where a file or a column is missing.
    """
    stem = str(path).removesuffix("_runs.parquet")
    runs = _read(Path(f"{stem}_runs.parquet"), RUN_COLUMNS)
    steps = _read(Path(f"{stem}_steps.parquet"), STEP_COLUMNS)
    curves = {int(str(key)): part for key, part in steps.groupby("run", sort=False)}
    studies: dict[str, list[RecordedRun]] = {}
    workloads: dict[str, str] = {}
    for row in cast("list[dict[str, Any]]", runs.to_dict("records")):
        whole = row.get("state", "completed") == "completed"
        if not whole or not math.isfinite(row["final_eval_loss"]) or row["run"] not in curves:
            continue
        run = _run(row, curves[row["run"]])
        if len(run.train):
            studies.setdefault(row["group"], []).append(run)
            workloads[row["group"]] = row["workload"]
    return [RecordedStudy(g, workloads[g], tuple(found)) for g, found in studies.items()]


def regrouped(studies: Sequence[RecordedStudy], draws: int) -> list[RecordedStudy]:
    """Nearer to a real sweep: per workload with two groups or more, all their runs in one study cut
    at the smallest horizon, one seed drawn for each configuration, `draws` times.

    The group stands in the configuration as `recipe`, without its release: optimizers differ.
    """
    pooled: dict[str, list[RecordedStudy]] = {}
    for study in studies:
        pooled.setdefault(study.workload, []).append(study)
    found: list[RecordedStudy] = []
    for workload, members in pooled.items():
        if len(members) < 2:
            continue
        horizon = min(run.horizon for member in members for run in member.runs)
        points: dict[str, list[RecordedRun]] = {}
        for member in members:
            for run in member.runs:
                key = member.name + json.dumps(dict(run.config), sort_keys=True)
                points.setdefault(key, []).append(_cut(run, horizon, member.name))
        for draw in range(draws):
            rng = np.random.default_rng([draw, len(points)])
            chosen = tuple(seeds[int(rng.integers(len(seeds)))] for seeds in points.values())
            found.append(RecordedStudy(f"{workload} draw {draw}", workload, chosen))
    return found


def window_of(run: RecordedRun, window: float) -> WindowSignals:
    """The signals in the first `window` of the horizon: losses and norms over its last third.

    Every step weighs the same, as these files hold no token counts for each. Of a log without a
    step in that third, the last step before; `early_eval` is the last evaluation in the window.
    """
    close = window * run.horizon
    steps = run.train[run.train[:, 0] <= close]
    late = steps[steps[:, 0] > close * 2 / 3]
    if len(late) == 0:
        late = steps[-1:] if len(steps) else run.train[:1]
    seen = run.evals[run.evals[:, 0] <= close]
    early = run.early_eval
    if early is None and len(seen):
        early = float(seen[-1, 1])
    loss, norm = float(np.mean(late[:, 1])), float(np.median(late[:, 2]))
    return WindowSignals(0, loss, norm, run.grad_norm_noise_free, early)


def _cut(run: RecordedRun, horizon: float, group: str) -> RecordedRun:
    evals = run.evals[run.evals[:, 0] <= horizon]
    objective = float(evals[-1, 1]) if len(evals) else run.objective
    recipe = "/".join(group.split("/")[1:]) or group
    config = {**run.config, "recipe": recipe}
    return replace(run, horizon=horizon, evals=evals, objective=objective, config=config)


def _run(row: Mapping[str, Any], curve: pd.DataFrame) -> RecordedRun:
    curve = curve.sort_values("step", kind="stable")
    values = curve[["step", "loss", "grad_norm", "eval_loss"]].to_numpy(np.float64)
    train = values[~np.isnan(values[:, 1])][:, :3]
    evals = values[~np.isnan(values[:, 3])][:, [0, 3]]
    return RecordedRun(
        json.loads(row["params"]),
        str(row["study"]),
        float(row["horizon_step"]),
        train,
        evals,
        float(row["final_eval_loss"]),
        _maybe(row.get("early_eval")),
        _maybe(row.get("grad_norm_noise_free")),
    )


def _maybe(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; a recorded set is X_runs.parquet, X_steps.parquet")
    table = pd.read_parquet(path)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(f"{path}: columns missing: {', '.join(missing)}")
    return table
