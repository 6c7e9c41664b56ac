"""Gaps: what separates trials at one look, in units that the study's first look gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.features import NOISE_FREE, RAW, enough_noise_free
from predictor.model import SIGNALS
from predictor.target import best_and_spread
from predictor.types import WindowSignals

Floats = NDArray[np.float64]

Signals = frozenset[str]  # which of SIGNALS a model uses
TO_SD = 1.4826  # of the median absolute deviation of a normal sample


class Units(NamedTuple):
    """How far apart trials lie at the first look. NaN where that is not known, or nothing."""

    early_eval: float  # median - best, the early spread: also the unit of the ends
    loss: float  # median absolute deviation, as a standard deviation
    grad_norm: float  # the same of its logarithm
    norm: str  # the kind that is compared: noise-free where half have it, else raw

    @staticmethod
    def of(first: Sequence[WindowSignals]) -> Units:
        """The units of a cohort, from the windows of all its trials at the first look."""
        num_free = sum(w.grad_norm_noise_free is not None for w in first)
        norm = NOISE_FREE if enough_noise_free(num_free, len(first)) else RAW
        evals, losses, norms = (_column(first, name, norm) for name in SIGNALS)
        return Units(_spread(evals), _deviation(losses), _deviation(norms), norm)


def columns_of(signals: Signals) -> list[int]:
    """Where these signals stand among the columns of `gaps`, ascending."""
    return [i for i, name in enumerate(SIGNALS) if name in signals]


def gaps(windows: Sequence[WindowSignals], leader: WindowSignals, units: Units) -> Floats:
    """(num_windows, 3): by how many units each lies above the leader, bent; columns as SIGNALS.

    0, which tells nothing, where a value or a unit is missing. What was measured and is not finite
    counts as the worst of the finite.
    """
    own = [leader, *windows]
    columns = [_column(own, name, units.norm) for name in SIGNALS]
    found = np.zeros((len(windows), len(SIGNALS)))
    for i, (column, unit) in enumerate(zip(columns, units[:3], strict=True)):
        if math.isfinite(unit):
            gap = bend((column[1:] - column[0]) / unit)
            found[:, i] = np.where(np.isfinite(gap), gap, 0.0)
    return found


def bend(gap: Floats) -> Floats:
    """The gap itself up to 1, 1 + log(gap) above, with its sign: far is far, however far."""
    size = np.abs(gap)
    return np.sign(gap) * np.where(size <= 1, size, 1 + np.log(np.maximum(size, 1.0)))


def _column(windows: Sequence[WindowSignals], name: str, norm: str) -> Floats:
    """Shape (num_windows,). NaN where it was not measured, or none of it is finite."""
    kept = norm if name == "grad_norm" else name
    values = [getattr(window, kept) for window in windows]
    if kept == NOISE_FREE:
        values = [w.grad_norm if v is None else v for v, w in zip(values, windows, strict=True)]
    column = np.array(values, dtype=np.float64)  # None becomes NaN
    astray = np.array([v is not None for v in values]) & ~np.isfinite(column)
    if astray.any():
        finite = column[np.isfinite(column)]
        column[astray] = finite.max() if len(finite) else math.nan
    if name == "grad_norm":
        column = np.log(np.maximum(column, 1e-12))
    return column


def _spread(values: Floats) -> float:
    there = values[np.isfinite(values)]
    spread = best_and_spread(there)[1] if len(there) else 0.0
    return spread if spread > 0 else math.nan


def _deviation(values: Floats) -> float:
    there = values[np.isfinite(values)]
    if len(there) < 2:
        return math.nan
    deviation = TO_SD * float(np.median(np.abs(there - np.median(there)))) or float(there.std())
    return deviation if deviation > 0 else math.nan
