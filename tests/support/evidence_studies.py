"""Recorded studies made of numbers, for the tests of evidence and reliability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.evidence.correlations import Correlation
from predictor.evidence.evidence import StudyEvidence, study_evidence
from predictor.recorded.runs import Curve, RecordedRun, RecordedStudy

Floats = NDArray[np.float64]
HORIZON, WINDOW = 100.0, 10.0


def study_of(
    objectives: Sequence[float | None] | Floats,
    *,
    configs: Sequence[Mapping[str, Any]] | None = None,
    early_eval: Sequence[float] | Floats | None = None,
    loss: Sequence[float] | Floats | None = None,
    grad_norm: Sequence[float] | Floats | None = None,
    noise_free: Sequence[float | None] | None = None,
    name: str = "demo",
) -> RecordedStudy:
    """Of every run: three steps to the end of the window and one at the horizon. Lower objectives
    and evaluations are better. What is not given does not vary; configurations are all different.
    """
    num = len(objectives)
    same = np.ones(num)
    evals = same if early_eval is None else early_eval
    losses = same if loss is None else loss
    norms = same if grad_norm is None else grad_norm
    clean = [None] * num if noise_free is None else noise_free
    runs = tuple(
        run_of(
            str(i),
            None if objectives[i] is None else float(objectives[i] or 0.0),
            {"learning_rate": 10.0**-i} if configs is None else configs[i],
            (float(evals[i]), float(losses[i]), float(norms[i]), clean[i]),
        )
        for i in range(num)
    )
    return RecordedStudy(name, "test", runs, in_samples=True, recorded_window=WINDOW)


def run_of(
    name: str,
    objective: float | None,
    config: Mapping[str, Any],
    window: tuple[float, float, float, float | None],
    **changes: Any,
) -> RecordedRun:
    """`window`: early evaluation, loss, raw norm, noise-free norm."""
    early, loss, norm, clean = window
    position = np.array([4.0, 8.0, 12.0, HORIZON])
    squared = np.nan if clean is None else clean**2
    curve = Curve(
        position,
        np.full(4, loss),
        np.full(4, norm),
        np.full(4, 10.0),
        np.full(4, squared),
        np.zeros(4, dtype=np.int64),
    )
    evals = [[12.0, early]] + ([] if objective is None else [[HORIZON, objective]])
    values = {"seed": "0", "horizon": HORIZON, "curve": curve, "evals": np.array(evals), **changes}
    return RecordedRun(name=name, config=config, objective=objective, **values)


def grid(num: int) -> list[dict[str, Any]]:
    """learning rate x batch size, four batch sizes."""
    return [{"learning_rate": 1e-5 * 3.0 ** (i // 4), "batch_size": 8 * 2 ** (i % 4)}
            for i in range(num)]  # fmt: skip


def of_rho(rho: float, half: float) -> StudyEvidence:
    """A study with nothing but a correlation, its interval +- half on Fisher's scale."""
    z = math.atanh(rho)
    one = Correlation(rho, math.tanh(z - half), math.tanh(z + half), 0.5, 20, 20)
    found = study_evidence(study_of([None]))
    signals = [replace(s, alone=one) if s.name == "loss" else s for s in found.signals]
    return replace(found, signals=tuple(signals))
