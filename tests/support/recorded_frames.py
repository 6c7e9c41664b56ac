"""Small recorded sets for the tests, and what it means that two studies are equal."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from predictor.recorded.runs import RecordedStudy

NAN = float("nan")


def run_row(run: int, **changes: Any) -> dict[str, Any]:
    return {
        "group": "g",
        "workload": "w",
        "study": "study_0",
        "run": run,
        "params": json.dumps({"learning_rate": 1e-3 * (1 + run)}),
        "horizon_step": 20,
        "final_eval_loss": 0.5 + run,
        **changes,
    }


def step_rows(run: int, num_steps: int = 20) -> list[dict[str, Any]]:
    """A training row for each step, and an evaluation after every tenth."""
    training = [
        {"run": run, "step": step, "loss": 3.0 / step, "grad_norm": 1.0 + run, "eval_loss": NAN}
        for step in range(1, num_steps + 1)
    ]
    evaluations = [
        {"run": run, "step": step, "loss": NAN, "grad_norm": NAN, "eval_loss": 5.0 / step}
        for step in range(10, num_steps + 1, 10)
    ]
    return training + evaluations


def frames(*runs: dict[str, Any], steps: list[dict[str, Any]] | None = None) -> Any:
    """(runs, steps) as data frames; the steps of `step_rows` for each run if none are given."""
    rows = [row for run in runs for row in step_rows(run["run"])] if steps is None else steps
    columns = ["run", "step", "loss", "grad_norm", "eval_loss"]
    return pd.DataFrame(list(runs)), pd.DataFrame(rows, columns=None if rows else columns)


def assert_equal(one: RecordedStudy, other: RecordedStudy) -> None:
    """In every field of every run, NaN equal to NaN."""
    assert len(one.runs) == len(other.runs)
    for name in RecordedStudy.__dataclass_fields__:
        if name != "runs":
            assert getattr(one, name) == getattr(other, name), name
    for a, b in zip(one.runs, other.runs, strict=True):
        np.testing.assert_array_equal(a.evals, b.evals)
        for name in a.curve._fields:
            np.testing.assert_array_equal(getattr(a.curve, name), getattr(b.curve, name))
        np.testing.assert_array_equal(a.eval_stderrs, b.eval_stderrs)
        np.testing.assert_equal(dict(a.others), dict(b.others))
        arrays = {"curve", "evals", "eval_stderrs", "others"}
        for name in set(a.__dataclass_fields__) - arrays:
            assert getattr(a, name) == getattr(b, name), (a.name, name)
