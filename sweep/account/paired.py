"""Two trials compared on the same rows or questions: their difference, and whether it is noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweep.account.constraints import Z95
from sweep.storage.ledger import BASE
from trainer.contract.measurement import Scores

NEXT = 3  # of the trials after the best, that it is compared with


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of one trial less that of another, paired over rows or questions.

    The interval is of what other rows or questions would give; other seeds are in none of it, and a
    trial that was picked as the best looks better than it is.
    """

    metric: str
    """what was measured"""
    number: int
    """the trial"""
    other: int | None
    """whom it is compared with; null: the base model"""
    value: float
    """the trial's value less the other's"""
    stderr: float | None
    """standard error of that; null of fewer than two rows or questions"""
    low: float
    """lower end of the 95 % interval"""
    high: float
    """upper end of it"""
    num: int
    """rows or questions"""
    is_within_noise: bool
    """whether the interval has 0 inside, so that either may be the better one"""


def difference(metric: str, number: int, other: int, scores: Mapping[int, Scores]) -> Difference:
    """The difference of two trials whose scores are of the same rows, `other` may be BASE; the
    first one's weights count. KeyError where the scores of one are not there."""
    import numpy as np  # of no use to a study without scores

    from predictor.stats import mean_stderr

    def read(packed: bytes) -> np.ndarray:
        return np.frombuffer(packed, "<f4").astype(float)

    own, others = scores[number], scores[other]
    mine, theirs = read(own.scores), read(others.scores)
    weights = read(own.weights) if own.weights else np.ones(len(mine))
    with np.errstate(invalid="ignore", over="ignore"):
        pairs = mine - theirs
        value = float((pairs * weights).sum() / weights.sum())
    stderr = mean_stderr(pairs, weights)
    half = Z95 * (stderr or 0.0)
    to = None if other == BASE else other
    low, high = value - half, value + half
    is_noise = low <= 0 <= high
    return Difference(metric, number, to, value, stderr, low, high, len(mine), is_noise)


def differences(
    metric: str, number: int, others: Iterable[int], scores: Mapping[int, Scores]
) -> tuple[Difference, ...]:
    """The trial against the base model and each of `others`; those whose scores are not there, are
    of other rows or are not finite left out."""
    found: list[Difference] = []
    for other in (BASE, *others):
        if number in scores and other in scores:
            if len(scores[number].scores) != len(scores[other].scores):
                continue
            one = difference(metric, number, other, scores)
            if math.isfinite(one.value):
                found.append(one)
    return tuple(found)
