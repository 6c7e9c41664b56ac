"""Gaps that `units.bend` has bent, in spreads again; without numpy, for reports."""

from __future__ import annotations

import math


def unbent(gap: float) -> float:
    """A gap in spreads: inverse of `predictor.gap.units.bend`."""
    size = abs(gap)
    return gap if size <= 1 else math.copysign(math.exp(size - 1), gap)
