"""Quantiles, exact intervals of shares, Holm's correction, and the bootstrap for few units.

scipy is imported when first asked: the command line starts without it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)

NUM_DRAWS = 4000
FEWEST_UNITS = 3
FEWEST_FOR_PERCENTILES = 5  # no resample leaves the range of the units: of three a quarter miss


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None where all are."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def mean_stderr(scores: Floats, weights: Floats) -> float | None:
    """The standard error of a weighted mean, by the linear approximation of a ratio's variance;
    where all weigh the same the usual one. Shapes (num,). NaN where a score is not finite; None of
    fewer than two. Source: Cochran, Sampling Techniques, 1977, section 6.3."""
    num, total = len(scores), weights.sum()
    if num < 2:
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        residuals = weights * (scores - (scores * weights).sum() / total)
        return float(np.sqrt(num / (num - 1) * (residuals**2).sum()) / total)


def normal_cdf(x: float) -> float:
    """P(Z < x) of the standard normal, equal to scipy.stats.norm.cdf."""
    return 0.5 * math.erfc(-x / 2**0.5)


def student_cdf(x: Floats | float, dof: float) -> Floats:
    """P(T < x) of Student's t."""
    from scipy.special import stdtr  # pyright: ignore

    return np.asarray(stdtr(dof, x), dtype=np.float64)


def student_log_constant(dof: float) -> float:
    """The log of Student's t density at 0."""
    return math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - 0.5 * math.log(dof * math.pi)


def student_quantile(probability: float, dof: float) -> float:
    """The quantile of Student's t, equal to scipy.stats.t.ppf."""
    from scipy.special import stdtrit  # pyright: ignore

    return float(np.asarray(stdtrit(dof, probability), dtype=np.float64))


def two_sided_p(t: float, dof: float) -> float:
    """P(|T| > |t|) of Student's t."""
    return 2 * float(student_cdf(-abs(t), dof))


def clopper_pearson(num_hits: float, num: float, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a share, as scipy.stats.binomtest(...).proportion_ci() for whole numbers."""
    from scipy.special import betaincinv  # pyright: ignore

    tail, eps = (1 - confidence) / 2, 1e-9 * max(1.0, num)
    none, every = num_hits <= eps, num_hits >= num - eps
    low = 0.0 if none else betaincinv(num_hits, num - num_hits + 1, tail)
    high = 1.0 if every else betaincinv(num_hits + 1, num - num_hits, 1 - tail)
    return float(np.asarray(low)), float(np.asarray(high))


def holm_adjusted(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Holm's p-values (Scandinavian Journal of Statistics 6, 1979), as statsmodels' multipletests:
    the smallest times their number, the next times one less, never falling, at most 1."""
    adjusted: dict[Key, float] = {}
    highest = 0.0
    ordered = sorted(p_values, key=lambda key: p_values[key])
    for place, key in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - place) * p_values[key]))
        adjusted[key] = highest
    return adjusted


def bootstrap_interval(
    values: Floats,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    least: float = -math.inf,
    most: float = math.inf,
) -> tuple[list[float], list[float]] | None:
    """The interval of each row's mean, (num_rows, num_units), lower ends first; None of fewer than
    three units. `least` and `most`: what no mean can be below or above, so that no end is.

    Columns are resampled, whole `clusters` of them where given, for all rows alike: intervals of
    differences of rows are those of the rows of differences. Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13, with expanded percentiles; of three or four units Student's
    t on the bootstrap's sd.
    """
    names = [str(i) for i in range(values.shape[1])] if clusters is None else list(clusters)
    codes = np.unique(names, return_inverse=True)[1]
    num = int(codes.max()) + 1
    if num < FEWEST_UNITS:
        return None
    sums = np.stack([np.bincount(codes, row) for row in values])  # (num_rows, num_clusters)
    counts = _counts(num, seed)
    means = (sums @ counts.T) / (counts @ np.bincount(codes))  # (num_rows, NUM_DRAWS)
    if num < FEWEST_FOR_PERCENTILES:
        half = _student_half(means, num, level)
        low, high = values.mean(axis=1) - half, values.mean(axis=1) + half
    else:
        tail = expanded_tail(num, level)
        low, high = np.quantile(means, [tail, 1 - tail], axis=1)
    low, high = np.clip(low, least, most), np.clip(high, least, most)
    return [float(x) for x in low], [float(x) for x in high]


def mean_interval(
    mean: float, drawn: Floats, num_units: int
) -> tuple[float, float] | tuple[None, None]:
    """mean +- t x the sd of its resamples `drawn`, widened for few units; None below three."""
    drawn = drawn[np.isfinite(drawn)]
    if num_units < FEWEST_UNITS or len(drawn) < 2 or not math.isfinite(mean):
        return None, None
    half = float(_student_half(drawn, num_units))
    return mean - half, mean + half


def expanded_tail(num: int, level: float = 0.95) -> float:
    """The percentile that takes the place of 2.5 % in a bootstrap of the mean of `num` units, which
    is too narrow for few of them. Source: the expanded percentile interval of Hesterberg, "What
    Teachers Should Know About the Bootstrap", The American Statistician 69 (2015)."""
    return normal_cdf(-_widening(num) * student_quantile((1 + level) / 2, num - 1))


def cluster_counts(clusters: Codes, seed: int, num: int = 1000) -> Floats:
    """How often each unit is in each resample of whole clusters, (num, n), equal codes being one
    cluster. For statistics that take weights, as rank correlations do."""
    codes = np.unique(clusters, return_inverse=True)[1].reshape(-1)
    size = int(codes.max()) + 1
    rng = np.random.default_rng(seed)
    return rng.multinomial(size, np.full(size, 1 / size), num)[:, codes].astype(np.float64)


def _counts(num: int, seed: int) -> Floats:
    """How often each unit is in each resample, (NUM_DRAWS, num)."""
    drawn = np.random.default_rng(seed).integers(num, size=(NUM_DRAWS, num))
    places = drawn + num * np.arange(NUM_DRAWS)[:, None]
    counts = np.bincount(places.reshape(-1), minlength=NUM_DRAWS * num)
    return counts.reshape(NUM_DRAWS, num).astype(np.float64)


def _student_half(means: Floats, num: int, level: float = 0.95) -> Floats:
    sd = np.asarray(means.std(axis=-1), dtype=np.float64)
    return student_quantile((1 + level) / 2, num - 1) * _widening(num) * sd


def _widening(num: int) -> float:
    """What makes the bootstrap's sd, too small by resampling what was seen, unbiased for means."""
    return (num / (num - 1)) ** 0.5
