"""Recorded sweeps from two tables: a row for each run, and a row for each of its steps."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median, mode
from typing import Any, cast

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from predictor.recorded.columns import OTHER, RUNS, STEPS, needed
from predictor.recorded.runs import Curve, Floats, RecordedRun, RecordedStudy

Row = Mapping[str, Any]  # of runs; what is missing is None


@dataclass(frozen=True, slots=True)
class _Steps:
    """The rows of steps, sorted by run and position. Shapes (num_rows,)."""

    run: NDArray[np.int64]
    position: Floats
    columns: Mapping[str, Floats]  # step, loss, grad_norm, eval_loss and others that are there
    in_samples: bool

    def of(self, run: int) -> _Steps:
        first, after = (int(i) for i in np.searchsorted(self.run, [run, run + 1]))
        own = {name: values[first:after] for name, values in self.columns.items()}
        return _Steps(self.run[first:after], self.position[first:after], own, self.in_samples)

    def where(self, chosen: NDArray[np.bool_]) -> _Steps:
        own = {name: values[chosen] for name, values in self.columns.items()}
        return _Steps(self.run[chosen], self.position[chosen], own, self.in_samples)

    def get(self, name: str, missing: float) -> Floats:
        return self.columns.get(name, np.full(len(self.run), missing))


def studies_from_frames(runs: pd.DataFrame, steps: pd.DataFrame) -> list[RecordedStudy]:
    """One study for each `group`, in the order of the rows.

    The columns are those of predictor.recorded.columns; others are not read. A row of `steps` with
    an eval_loss, a loss or both is an evaluation, a training step or both. Positions are samples
    where `steps` has `samples`, else steps. Runs without any step are left out unless they have an
    objective or a guard ended them, and replicates (`confirms`) always: they were chosen by
    how those ended. Of a run whose `state` is not there, an objective says that it was completed, a
    last loss that is not finite that a guard ended it.
    Raises ValueError for a column that is missing or of the wrong kind, params that are no JSON
    object, two runs of one name in a group, and where nothing is left.
    """
    _require(runs, needed(RUNS), "runs")
    _require(steps, needed(STEPS), "steps")
    table = _sorted(steps)
    if table.in_samples:
        _require(runs, ("horizon_samples",), "runs (as steps has samples)")
    groups: dict[str, list[Row]] = {}
    for row in _rows(runs):
        groups.setdefault(str(row["group"]), []).append(row)
    studies = [_study(name, rows, table) for name, rows in groups.items()]
    found = [study for study in studies if study.runs]
    if not found:
        raise ValueError("there is nothing to read: no run has a step or an objective")
    return found


def _study(name: str, rows: Sequence[Row], steps: _Steps) -> RecordedStudy:
    originals = [row for row in rows if not row.get("confirms")]
    read = [(_run(row, steps.of(row["run"])), row) for row in originals]
    kept = [(run, row) for run, row in read if run is not None]
    _refuse_twins(name, [run.name for run, _ in kept])
    windows = _given(originals, "window_samples")
    first = rows[0]
    return RecordedStudy(
        name,
        str(first["workload"]),
        _with_costs([run for run, _ in kept], [row.get("tokens") for _, row in kept], steps),
        in_samples=steps.in_samples,
        has_gaps=not all(_has_every_step(steps.of(row["run"])) for _, row in kept),
        recorded_window=float(mode(windows)) if steps.in_samples and windows else None,
        metric=str(first.get("metric") or "eval_loss"),
        direction=str(first.get("direction") or "minimize"),
        num_replicates=len(rows) - len(originals),
        created_s=tuple(sorted(set(_given(rows, "created_s")))),
    )


def _given(rows: Sequence[Row], name: str) -> list[float]:
    return [row[name] for row in rows if row.get(name) is not None]


def _run(row: Row, steps: _Steps) -> RecordedRun | None:
    trained = steps.where(_is_training(steps))
    evaluated = steps.where(~np.isnan(steps.columns["eval_loss"]))
    state, pruned_by = _state(row, trained)
    objective = row["final_eval_loss"] if state == "completed" else None
    if len(trained.run) == 0 and objective is None and pruned_by != "guard":
        return None
    return RecordedRun(
        name=str(row.get("name") or row["run"]),
        config=row["params"],
        seed=str(row["study"] if row.get("seed") is None else row["seed"]),
        horizon=float(row["horizon_samples" if steps.in_samples else "horizon_step"]),
        curve=_curve(trained),
        evals=np.column_stack([evaluated.position, evaluated.columns["eval_loss"]]),
        objective=objective,
        eval_stderrs=evaluated.get("eval_stderr", math.nan),
        others={
            name.removeprefix(OTHER): values
            for name, values in evaluated.columns.items()
            if name.startswith(OTHER) and not np.isnan(values).all()
        },
        state=state,
        pruned_by=pruned_by,
        audit=row.get("audit"),
        audit_kind=row.get("audit_kind"),
        audit_p=row.get("audit_p"),
        audit_miss=None if row.get("audit_miss") is None else bool(row["audit_miss"]),
    )


def _curve(steps: _Steps) -> Curve:
    tokens = np.diff(steps.get("tokens", math.nan), prepend=0.0)
    return Curve(
        position=steps.position,
        loss=steps.columns["loss"],
        grad_norm=steps.columns["grad_norm"],
        tokens=tokens if np.isfinite(tokens).all() else np.ones(len(tokens)),
        grad_sq_noise_free=steps.get("grad_sq_noise_free", math.nan),
        phase=steps.get("phase", 0.0).astype(np.int64),
    )


def _is_training(steps: _Steps) -> NDArray[np.bool_]:
    """An evaluation has neither loss nor norm. A row that has no eval_loss either is a step whose
    loss is not finite, unless that step has a row of its own."""
    loss, norm, evaluation = (steps.columns[n] for n in ("loss", "grad_norm", "eval_loss"))
    is_seen = ~(np.isnan(loss) & np.isnan(norm))
    step = steps.columns["step"]
    is_blank = ~is_seen & np.isnan(evaluation) & (step >= 1)
    return is_seen | (is_blank & ~np.isin(step, step[is_seen]))


def _state(row: Row, trained: _Steps) -> tuple[str, str | None]:
    if row.get("state") is not None:
        return row["state"], row.get("pruned_by") if row["state"] == "pruned" else None
    if row["final_eval_loss"] is not None:
        return "completed", None
    has_blown_up = len(trained.run) > 0 and not math.isfinite(trained.columns["loss"][-1])
    return ("pruned", "guard") if has_blown_up else ("failed", None)


def _has_every_step(steps: _Steps) -> bool:
    own = steps.columns["step"][_is_training(steps)]
    return bool((own == np.arange(1, len(own) + 1)).all())


def _with_costs(
    runs: Sequence[RecordedRun], tokens: Sequence[float | None], steps: _Steps
) -> tuple[RecordedRun, ...]:
    """The cost of a run that was not trained to its end is what its tokens so far lead to, or those
    of the others. Without tokens it is its samples, and 1 for each where only steps are known."""
    rates = [
        count / run.curve.position[-1]
        for run, count in zip(runs, tokens, strict=True)
        if count and len(run.curve.position) and run.curve.position[-1] > 0
    ]
    if not rates:
        return tuple(replace(run, cost=run.horizon if steps.in_samples else 1.0) for run in runs)
    usual = median(rates)
    costs = [
        count * (run.horizon / run.curve.position[-1])
        if count and len(run.curve.position) and run.curve.position[-1] > 0
        else usual * run.horizon
        for run, count in zip(runs, tokens, strict=True)
    ]
    return tuple(replace(run, cost=float(c)) for run, c in zip(runs, costs, strict=True))


# --- the tables


def _require(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    lacking = [name for name in columns if name not in frame.columns]
    if lacking:
        raise ValueError(f"{what} has no column {', '.join(lacking)}")


def _sorted(frame: pd.DataFrame) -> _Steps:
    columns = {name: _numbers(frame, name, "steps") for name in needed(STEPS)}
    others = [name for name in frame.columns if str(name).startswith(OTHER)]
    for name in ("samples", "tokens", "grad_sq_noise_free", "phase", "eval_stderr", *others):
        if name in frame.columns:
            columns[name] = _numbers(frame, name, "steps")
    in_samples = "samples" in columns
    key = "samples" if in_samples else "step"
    for name in ("run", "step", key, *({"phase"} & set(columns))):
        if not np.isfinite(columns[name]).all():
            raise ValueError(f"steps: {name} is missing in a row")
    if (np.abs(columns["run"]) >= 2**53).any():
        raise ValueError("steps: a run's number is out of range")
    order = np.lexsort((columns["step"], columns[key], columns["run"]))
    columns = {name: values[order] for name, values in columns.items()}
    return _Steps(columns["run"].astype(np.int64), columns[key], columns, in_samples)


def _rows(frame: Any) -> list[Row]:
    columns: dict[str, list[Any]] = {}
    for name in frame.columns:
        if name in RUNS and RUNS[name].is_number:
            found = _numbers(frame, name, "runs").tolist()
            columns[name] = [value if math.isfinite(value) else None for value in found]
        else:
            column = frame[name]
            columns[name] = column.astype(object).where(column.notna(), None).tolist()
    for name in ("group", "workload", "study", "run", "horizon_step", "horizon_samples"):
        if None in columns.get(name, ()):
            raise ValueError(f"runs: {name} is missing in a row")
    for name, column in RUNS.items():
        for value in columns.get(name, ()) if column.allowed else ():
            if value is not None and value not in column.allowed:
                allowed = ", ".join(column.allowed)
                raise ValueError(f"runs: {name} {value!r} is none of {allowed}")
    columns["run"] = [int(value) for value in columns["run"]]
    if len(set(columns["run"])) < len(frame):
        raise ValueError("runs: two rows have the same run; it is the key into steps")
    columns["params"] = [_params(value) for value in columns["params"]]
    if not all(value is None or 0 < value <= 1 for value in columns.get("audit", ())):
        raise ValueError("runs: audit must be above 0 and at most 1")
    for name in {"horizon_step", "horizon_samples"} & set(columns):
        if min(columns[name], default=1) <= 0:
            raise ValueError(f"runs: {name} must be above 0")
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _numbers(frame: Any, name: str, table: str) -> Floats:
    column = frame[name]
    if column.dtype.kind not in "iufb" and column.notna().any():
        raise ValueError(f"{table}: {name} must be numbers, not {column.dtype}")
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _params(text: Any) -> dict[str, Any]:
    try:
        found: Any = json.loads(text)
    except (TypeError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"runs: params must be a JSON object, not {text!r}")
    return cast(dict[str, Any], found)


def _refuse_twins(group: str, names: Sequence[str]) -> None:
    for name, number in Counter(names).items():
        if number > 1:
            raise ValueError(f"runs: group {group!r} has two runs of the name {name!r}")
