"""Curves of all trials on one axis of samples, thinned to what a page can hold."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from predictor.types import Observation
from sweep.page.page_types import Curve, Curves

MOST_POINTS = 20_000  # of one kind, all trials together
FEWEST, MOST = 40, 400  # points of a trial
SMOOTHED = 8  # steps that a noise-free norm is estimated from: one alone is mostly noise

Values = list[float | None]


@dataclass(frozen=True, slots=True)
class _Steps:
    """A trial's steps, small enough to hold millions. NaN: not there."""

    samples: array[int]
    tokens: array[int]  # that bear loss, of each step
    loss: array[float]
    grad_norm: array[float]
    squares: array[float]  # of the norm, without noise

    @staticmethod
    def of(own: Sequence[Observation]) -> _Steps:
        squares = (o.grad_sq_noise_free for o in own)
        return _Steps(
            array("q", (o.samples_seen for o in own)),
            array("q", (b - a for a, b in pairwise((0, *(o.loss_tokens_seen for o in own))))),
            array("d", (o.loss for o in own)),
            array("d", (o.grad_norm for o in own)),
            array("d", (math.nan if square is None else square for square in squares)),
        )


def curves_of(observations: Iterable[tuple[int, Sequence[Observation]]], num: int) -> Curves:
    """The curves of trials that come by number; `num`: how many there will be.

    Where all their steps together have more distinct counts of samples than the page can hold for
    each trial, the axis is cut into as many equal parts, and a point is the mean of a trial's steps
    in one. What is not finite is left out.
    """
    seen = {number: _Steps.of(own) for number, own in observations if own}
    room = max(FEWEST, min(MOST, MOST_POINTS // max(num, 1)))
    counts = sorted({samples for own in seen.values() for samples in own.samples})
    if len(counts) <= room:
        axis = ends = list(map(float, counts))
    else:
        width = counts[-1] / room
        ends = [width * (i + 1) for i in range(room)]
        axis = [round(end - width / 2, 1) for end in ends]
    most = 1
    found: dict[int, Curve] = {}
    for number, own in seen.items():
        places = [min(bisect_left(ends, samples), len(ends) - 1) for samples in own.samples]
        most = max(most, *Counter(places).values())
        found[number] = Curve(
            loss=_means(places, own.loss, own.tokens, len(axis)),
            grad_norm=_means(places, own.grad_norm, [1] * len(places), len(axis)),
            noise_free=_noise_free(places, own.squares, len(axis)),
        )
    return Curves(axis, found, most)


def _means(
    places: Iterable[int], values: Iterable[float], weights: Iterable[int], num_points: int
) -> Values:
    """Weighted means by place; None where there is no finite value."""
    sums, totals = [0.0] * num_points, [0] * num_points
    for at, value, weight in zip(places, values, weights, strict=True):
        if math.isfinite(value):
            sums[at] += weight * value
            totals[at] += weight
    return [s / total if total else None for s, total in zip(sums, totals, strict=True)]


def _noise_free(places: Iterable[int], squares: Iterable[float], num_points: int) -> Values:
    """At each step that measured it, of the last ones together: the mean of squares may be
    negative, then the noise hides it."""
    found: Values = [None] * num_points
    last: list[float] = []
    for at, square in zip(places, squares, strict=True):
        if math.isfinite(square):
            last = [*last[1 - SMOOTHED :], square]
            mean = math.fsum(last) / len(last)
            found[at] = math.sqrt(mean) if mean > 0 and len(last) == SMOOTHED else None
    return found
