"""Recorded groups of one workload, logged and evaluated at every hundredth position."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from predictor.recorded.runs import RecordedRun, RecordedStudy
from tests.support.evidence_studies import run_of


def long_run(name: str, config: dict[str, Any], ends: list[float], **changes: Any) -> RecordedRun:
    """Logged and evaluated at every hundredth position; the last evaluation is the objective."""
    run = run_of(name, ends[-1], config, (1.0, 1.0, 1.0, None))
    position = 100.0 * np.arange(1, len(ends) + 1)
    curve = run.curve._replace(
        **{field: np.ones(len(ends)) for field in run.curve._fields}
    )._replace(position=position, phase=np.zeros(len(ends), dtype=np.int64))
    evals = np.column_stack([position, ends])
    values = {"curve": curve, "evals": evals, "horizon": position[-1], "cost": 2 * position[-1]}
    return replace(run, **(values | changes))


def ended_by_guard(run: RecordedRun, num_steps: int) -> RecordedRun:
    curve = run.curve._make([column[:num_steps] for column in run.curve])
    early = replace(run, curve=curve, evals=run.evals[:num_steps], objective=None)
    return replace(early, state="pruned", pruned_by="guard")


ADAM = RecordedStudy(
    "lm/adam",
    "lm",
    tuple(
        replace(long_run(f"{rate} {seed}", {"rate": rate}, [4.0, 3.0 + rate]), seed=seed)
        for rate in (0.1, 0.2)
        for seed in "abc"
    ),
    in_samples=True,
    recorded_window=20.0,
    metric="perplexity",
    direction="maximize",
)
LION = replace(
    ADAM,
    name="lm/lion",
    runs=(long_run("long", {"rate": 0.1}, [5.0, 4.0, 2.0, 1.0]),),
)
