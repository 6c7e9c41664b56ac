"""Whether a cohort's early evaluations differ by more than their own standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.types import WindowSignals

Floats = NDArray[np.float64]

BELIEVED = 0.1  # before they are seen: that they differ by chance alone
FEWEST = 4  # trials that say anything of it
SHARED = (0.25, 0.5, 1.0)  # of a standard error's square: trials answer the same questions
REAL = np.geomspace(0.3, 1000.0, 30)  # variance of what is real, over a standard error's square


def chance(first: Sequence[WindowSignals]) -> float:
    """How far it is believed that the trials' early evaluations differ by chance alone.

    Their variance over the square of their standard errors, r, is c x chi-square / k by chance,
    with k + 1 trials and a c of SHARED, as trials answer the same questions; where there is more
    to them it is (c + t) x chi-square / k, with a t of REAL. All c are as likely, and all t. 0.0
    where standard errors are not known.
    """
    pairs = [
        (w.early_eval, w.early_eval_stderr)
        for w in first
        if w.early_eval is not None and w.early_eval_stderr is not None
    ]
    known = np.array([pair for pair in pairs if np.isfinite(pair).all() and pair[1] > 0])
    if len(known) < FEWEST:
        return 0.0
    k = len(known) - 1
    ratio = float(known[:, 0].var(ddof=1) / (known[:, 1] ** 2).mean())
    if ratio == 0:
        return 1.0
    shared = np.array(SHARED)
    by_chance = _density(ratio, shared, k).mean()
    real = _density(ratio, shared[:, None] + REAL, k).mean()
    return float(BELIEVED * by_chance / (BELIEVED * by_chance + (1 - BELIEVED) * real))


def _density(ratio: float, scale: Floats, k: int) -> Floats:
    """Of the logarithm of `ratio`, scale x chi-square / k with k degrees of freedom."""
    x = k * ratio / scale
    constant = (k / 2) * math.log(2) + math.lgamma(k / 2)
    return np.exp((k / 2) * np.log(x) - x / 2 - constant)
