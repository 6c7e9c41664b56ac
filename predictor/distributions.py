"""Quantiles and densities of scipy's, with types. scipy is imported when first asked."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from predictor.regression import Mixture, student_cdf

Floats = NDArray[np.float64]


def normal_cdf(x: float) -> float:
    """As scipy.stats.norm.cdf."""
    return 0.5 * math.erfc(-x / 2**0.5)


def student_quantile(probability: float, dof: float) -> float:
    """As scipy.stats.t.ppf."""
    from scipy.special import stdtrit  # pyright: ignore

    return float(np.asarray(stdtrit(dof, probability), dtype=np.float64))


def two_sided_p(t: float, dof: float) -> float:
    """P(|T| > |t|) of Student's t."""
    return 2 * float(student_cdf(-abs(t), dof))


def mixture_log_density(mixture: Mixture, target: float) -> float:
    """log p(target) of a mixture of Student-t distributions."""
    there = mixture.weights > 0
    scales, dof = mixture.scales[there], mixture.dof
    z = (target - mixture.means[there]) / scales
    constant = math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - 0.5 * math.log(dof * math.pi)
    each = constant - np.log(scales) - (dof + 1) / 2 * np.log1p(z**2 / dof)
    return float(np.logaddexp.reduce(each + np.log(mixture.weights[there])))


def clopper_pearson(num_hits: float, num: float, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a share, as scipy.stats.binomtest(...).proportion_ci() for whole numbers."""
    from scipy.special import betaincinv  # pyright: ignore

    tail, eps = (1 - confidence) / 2, 1e-9 * max(1.0, num)
    none, every = num_hits <= eps, num_hits >= num - eps
    low = 0.0 if none else betaincinv(num_hits, num - num_hits + 1, tail)
    high = 1.0 if every else betaincinv(num_hits + 1, num - num_hits, 1 - tail)
    return float(np.asarray(low)), float(np.asarray(high))
