"""Gaps that `units.bend` has bent, in spreads again and in words; without numpy, for reports."""

from __future__ import annotations

import math
from collections.abc import Mapping

WORDS: Mapping[str, str] = {  # of `units.SIGNALS`
    "early_eval": "early evaluation",
    "others": "other evaluations",
    "loss": "training loss",
    "grad_norm": "gradient norm",
}


def unbent(gap: float) -> float:
    """A gap in spreads: inverse of `predictor.gap.units.bend`."""
    size = abs(gap)
    return gap if size <= 1 else math.copysign(math.exp(size - 1), gap)


def parts_in_words(gap: float, effects: Mapping[str, float]) -> str:
    """The signals' parts of a bent gap, in spreads and in proportion, those that round to 0.1 or
    more: ` (early evaluation 0.8, training loss 0.1 of it)`; empty where there are none."""
    scale = unbent(gap) / gap if gap else 1.0
    parts = [
        f"{WORDS[name]} {effect * scale:.1f}"
        for name, effect in effects.items()
        if abs(effect * scale) >= 0.05
    ]
    return f" ({', '.join(parts)} of it)" if parts else ""
