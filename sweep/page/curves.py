"""Curves of all trials on one axis of samples, thinned to what a page can hold."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from predictor.types import Observation
from sweep.page.page_types import Curve, Curves

MOST_POINTS = 20_000  # of one kind, all trials together
FEWEST, MOST = 40, 400  # points of a trial
SMOOTHED = 8  # steps that a noise-free norm is estimated from: one alone is mostly noise

Seen = Mapping[int, Sequence[Observation]]


def curves_of(observations: Iterable[tuple[int, Sequence[Observation]]], num: int) -> Curves:
    """The curves of trials that come by number; `num`: how many there will be.

    Where all their steps together have more distinct counts of samples than the page can hold for
    each trial, the axis is cut into as many equal parts, and a point is the mean of a trial's steps
    in one. What is not finite is left out.
    """
    seen = {number: own for number, own in observations if own}
    room = max(FEWEST, min(MOST, MOST_POINTS // max(num, 1)))
    counts = sorted({one.samples_seen for own in seen.values() for one in own})
    if len(counts) <= room:
        axis, ends = list(map(float, counts)), list(map(float, counts))
    else:
        width = counts[-1] / room
        ends = [width * (i + 1) for i in range(room)]
        axis = [round(end - width / 2, 1) for end in ends]
    most = 1
    found: dict[int, Curve] = {}
    for number, own in seen.items():
        places = [min(bisect_left(ends, one.samples_seen), len(ends) - 1) for one in own]
        most = max(most, *Counter(places).values())
        found[number] = _curve(own, places, len(axis))
    return Curves(axis, found, most)


def _curve(own: Sequence[Observation], places: Sequence[int], num_points: int) -> Curve:
    tokens = [after - before for before, after in pairwise((0, *(o.loss_tokens_seen for o in own)))]
    steps = list(zip(places, own, tokens, strict=True))
    return Curve(
        loss=_means(((at, one.loss, num) for at, one, num in steps), num_points),
        grad_norm=_means(((at, one.grad_norm, 1) for at, one, _ in steps), num_points),
        noise_free=_noise_free(steps, num_points),
    )


def _means(values: Iterable[tuple[int, float, float]], num_points: int) -> list[float | None]:
    """Weighted means of (place, value, weight) by place; None where there is no finite one."""
    sums, weights = [0.0] * num_points, [0.0] * num_points
    for at, value, weight in values:
        if math.isfinite(value):
            sums[at] += weight * value
            weights[at] += weight
    return [s / w if w else None for s, w in zip(sums, weights, strict=True)]


def _noise_free(
    steps: Sequence[tuple[int, Observation, int]], num_points: int
) -> list[float | None]:
    """At each step that measured it, of the last ones together: the mean of squares may be
    negative, then the noise hides it."""
    found: list[float | None] = [None] * num_points
    last: list[float] = []
    for at, one, _ in steps:
        square = one.grad_sq_noise_free
        if square is not None and math.isfinite(square):
            last = [*last[1 - SMOOTHED :], square]
            mean = math.fsum(last) / len(last)
            found[at] = math.sqrt(mean) if mean > 0 and len(last) == SMOOTHED else None
    return found
