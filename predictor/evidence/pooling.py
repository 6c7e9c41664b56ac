"""Correlations of several studies as one, with how far the studies differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from predictor.evidence.correlations import Correlation
from predictor.evidence.evidence import StudyEvidence
from predictor.stats import holm_adjusted, student_quantile, two_sided_p

LEAST_STUDIES = 3
_MOST = 0.999  # correlations are held below, for Fisher's z


@dataclass(frozen=True, slots=True)
class Pooled:
    """One signal's correlation over studies, on Fisher's scale."""

    name: str  # of the signal
    rho: float  # mean over studies, weighted
    low: float  # lower end of its 95 % interval
    high: float  # upper end
    num_studies: int  # that have the signal
    num_runs: int  # of these studies
    num_positive: int  # studies whose own rho is above 0
    tau: float  # sd of the studies' own correlations beyond chance, on Fisher's scale
    p_value: float  # of no correlation on average; below 0.05 where the interval excludes 0
    holm: float  # after Holm's correction over all that are pooled


def pool(studies: Sequence[StudyEvidence], name: str, given_config: bool = False) -> Pooled | None:
    """The studies' mean correlation with its 95 % interval; None of fewer than three with one.

    DerSimonian and Laird, Controlled Clinical Trials 7, 1986: each weighs one over its variance
    (half its interval over 1.96, squared) plus the variance between studies beyond chance. The
    interval is Hartung and Knapp's (Statistics in Medicine 20, 2001), Student's t with one degree
    of freedom less than there are studies, and never narrower than the normal one.
    """
    own = (next(one for one in study.signals if one.name == name) for study in studies)
    return pool_correlations(name, [one.given_config if given_config else one.alone for one in own])


def pool_correlations(name: str, correlations: Sequence[Correlation | None]) -> Pooled | None:
    """As `pool`, of each study's correlation of a signal, None where it has none."""
    found = [one for one in correlations if one is not None and math.isfinite(one.half_width)]
    if len(found) < LEAST_STUDIES:
        return None
    z = np.arctanh(np.clip([one.rho for one in found], -_MOST, _MOST))
    low, high = np.array([one.low for one in found]), np.array([one.high for one in found])
    near = 1 - 1e-12
    width = np.arctanh(np.clip(high, -near, near)) - np.arctanh(np.clip(low, -near, near))
    variance = np.maximum(width / 2 / 1.96, 1e-3) ** 2
    fixed = 1 / variance
    spread = float(fixed @ (z - fixed @ z / fixed.sum()) ** 2)
    excess = spread - (len(found) - 1)
    tau2 = max(0.0, excess / float(fixed.sum() - (fixed**2).sum() / fixed.sum()))
    share = 1 / (variance + tau2)
    mean = float(share @ z / share.sum())
    dof = len(found) - 1
    scale = max(1.0, float(share @ (z - mean) ** 2) / dof) ** 0.5
    sd = scale / float(share.sum()) ** 0.5
    half = student_quantile(0.975, dof) * sd
    p_value = two_sided_p(mean / sd, dof)
    return Pooled(
        name,
        math.tanh(mean),
        math.tanh(mean - half),
        math.tanh(mean + half),
        len(found),
        sum(one.num_runs for one in found),
        sum(one.rho > 0 for one in found),
        tau2**0.5,
        p_value,
        p_value,
    )


def adjusted(pooled: Sequence[Pooled]) -> list[Pooled]:
    """The same correlations with Holm's p-values, corrected over all of them."""
    p_values = holm_adjusted({place: one.p_value for place, one in enumerate(pooled)})
    return [replace(one, holm=p_values[place]) for place, one in enumerate(pooled)]
