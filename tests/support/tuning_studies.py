"""Recorded studies in which it is known what a look at each moment is worth."""

from __future__ import annotations

import numpy as np

from predictor.recorded.runs import Curve, RecordedRun, RecordedStudy

HORIZON, STEP = 100.0, 2.0


def study(name: str, tells_from: float, num_runs: int = 16, workload: str = "") -> RecordedStudy:
    """Objectives are normal. Evaluations are the objective itself from the share `tells_from` of
    the horizon on; before they are noise."""
    rng = np.random.default_rng(sum(map(ord, name)))
    position = np.arange(STEP, HORIZON + STEP, STEP)
    curve = Curve(
        position,
        loss=np.ones_like(position),
        grad_norm=np.ones_like(position),
        tokens=np.ones_like(position),
        grad_sq_noise_free=np.full_like(position, np.nan),
        phase=np.zeros(len(position), dtype=np.int64),
    )
    runs: list[RecordedRun] = []
    for number, objective in enumerate(rng.normal(2.0, 0.2, num_runs)):
        before = rng.normal(2.0, 0.2, len(position))
        values = np.where(position >= tells_from * HORIZON, objective, before)
        evals = np.stack([position, values], axis=1)
        config = {"learning_rate": float(rng.uniform(1e-4, 1e-3))}
        runs.append(RecordedRun(str(number), config, "0", HORIZON, curve, evals, float(objective)))
    return RecordedStudy(name, workload or name, tuple(runs))


def tells_at_once(name: str, num_runs: int = 16, workload: str = "") -> RecordedStudy:
    return study(name, 0.0, num_runs, workload)


def noise(name: str, num_runs: int = 16) -> RecordedStudy:
    return study(name, 1.0, num_runs)
