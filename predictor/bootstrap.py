"""Bootstrap intervals of means, for few units too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.distributions import normal_cdf, student_quantile

Floats = NDArray[np.float64]

NUM_DRAWS = 4000
FEWEST_UNITS = 3


def bootstrap_interval(
    values: Floats, seed: int = 0, clusters: Sequence[str] | None = None
) -> tuple[list[float], list[float]] | None:
    """The 95 % interval of each row's mean, (num_rows, num_units), lower ends first; None of fewer
    than three units.

    Columns are resampled, whole `clusters` of them where given, for all rows alike: intervals of
    differences of rows are those of the rows of differences. Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13, with expanded percentiles.
    """
    names = [str(i) for i in range(values.shape[1])] if clusters is None else list(clusters)
    codes = np.unique(names, return_inverse=True)[1]
    sizes = np.bincount(codes)
    if len(sizes) < FEWEST_UNITS:
        return None
    sums = np.stack([np.bincount(codes, row) for row in values])  # (num_rows, num_clusters)
    drawn = np.random.default_rng(seed).integers(len(sizes), size=(NUM_DRAWS, len(sizes)))
    means = sums[:, drawn].sum(axis=2) / sizes[drawn].sum(axis=1)  # (num_rows, NUM_DRAWS)
    tail = expanded_tail(len(sizes))
    low, high = np.quantile(means, [tail, 1 - tail], axis=1)
    return [float(x) for x in low], [float(x) for x in high]


def expanded_tail(num: int) -> float:
    """The percentile that takes the place of 2.5 % in a bootstrap of the mean of `num` units, which
    is too narrow for few of them. Source: the expanded percentile interval of Hesterberg, "What
    Teachers Should Know About the Bootstrap", The American Statistician 69 (2015)."""
    return normal_cdf(-((num / (num - 1)) ** 0.5) * student_quantile(0.975, num - 1))
