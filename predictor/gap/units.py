"""Gaps: what separates trials at one look, in units that the study's first look gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.features import NOISE_FREE, RAW, enough_noise_free
from predictor.gap.chance import chance
from predictor.target import best_and_spread
from predictor.types import WindowSignals

Floats = NDArray[np.float64]

SIGNALS = ("early_eval", "others", "loss", "grad_norm")  # "others": all else that was evaluated
Signals = frozenset[str]  # which of SIGNALS a model uses
TO_SD = 1.4826  # of the median absolute deviation of a normal sample


class Units(NamedTuple):
    """How far apart trials lie at the first look. NaN where that is not known, or nothing."""

    early_eval: float  # median - best, the early spread: also the unit of the ends
    others: Mapping[str, float]  # of each: median absolute deviation, as a standard deviation
    loss: float  # the same
    grad_norm: float  # the same of its logarithm
    norm: str  # the kind that is compared: noise-free where half have it, else raw
    chance: float = 0.0  # how far it is believed that early evaluations differ by chance alone

    @property
    def missing(self) -> Signals:
        """The signals in which trials do not differ, or that nobody measured."""
        return frozenset(
            name
            for name in SIGNALS
            if not (self.others if name == "others" else math.isfinite(getattr(self, name)))
        )

    @staticmethod
    def of(first: Sequence[WindowSignals]) -> Units:
        """The units of a cohort, from the windows of all its trials at the first look."""
        num_free = sum(w.grad_norm_noise_free is not None for w in first)
        norm = NOISE_FREE if enough_noise_free(num_free, len(first)) else RAW
        others = {
            name: deviation
            for name in sorted({name for window in first for name in window.early_others})
            if math.isfinite(deviation := _deviation(_column(first, name, norm)))
        }
        evals, losses, norms = (_column(first, name, norm) for name in _PLAIN)
        units = (_spread(evals), others, _deviation(losses), _deviation(norms))
        return Units(*units, norm, round(chance(first), 3))


def columns_of(signals: Signals) -> list[int]:
    """Where these signals stand among the columns of `gaps`, ascending."""
    return [i for i, name in enumerate(SIGNALS) if name in signals]


def gaps(windows: Sequence[WindowSignals], leader: WindowSignals, units: Units) -> Floats:
    """(num_windows, 4): by how many units each lies above the leader, bent; columns as SIGNALS.

    That of the others is the mean of theirs. 0, which tells nothing, where a value or a unit is
    missing, and between losses of two phases. What was measured and is not finite counts as the
    worst of the finite.
    """
    own = [leader, *windows]
    found = {name: _gap(own, name, getattr(units, name), units.norm) for name in _PLAIN}
    found["loss"][[window.phase != leader.phase for window in windows]] = 0.0
    others = [_gap(own, name, unit, units.norm) for name, unit in units.others.items()]
    found["others"] = np.mean(others, axis=0) if others else np.zeros(len(windows))
    return np.stack([found[name] for name in SIGNALS], axis=1)


def bend(gap: Floats) -> Floats:
    """The gap itself up to 1, 1 + log(gap) above, with its sign: far is far, however far."""
    size = np.abs(gap)
    return np.sign(gap) * np.where(size <= 1, size, 1 + np.log(np.maximum(size, 1.0)))


_PLAIN = ("early_eval", "loss", "grad_norm")  # fields of a window; others have their own names


def _gap(own: Sequence[WindowSignals], name: str, unit: float, norm: str) -> Floats:
    """Of one signal, to the first of `own`. Shape (len(own) - 1,)."""
    if not math.isfinite(unit):
        return np.zeros(len(own) - 1)
    column = _column(own, name, norm)
    gap = bend((column[1:] - column[0]) / unit)
    return np.where(np.isfinite(gap), gap, 0.0)


def _column(windows: Sequence[WindowSignals], name: str, norm: str) -> Floats:
    """Shape (num_windows,). NaN where it was not measured, or none of it is finite."""
    kept = norm if name == "grad_norm" else name
    if name in _PLAIN:
        values = [getattr(window, kept) for window in windows]
    else:
        values = [window.early_others.get(name) for window in windows]
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
