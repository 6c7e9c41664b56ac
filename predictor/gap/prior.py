"""What past studies say of gaps, as data: `prior.json` beside this file."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.gap.units import SIGNALS

Floats = NDArray[np.float64]
Signals = frozenset[str]  # which of SIGNALS a model uses


class Pooled(NamedTuple):
    """One model at one look, over past studies. k signals, in the order of SIGNALS."""

    mean: Floats  # (k,): of the slopes, final gap per gap
    covariance: Floats  # (k, k): of the slopes, between studies
    noise: float  # variance of what the slopes leave of a final gap


@dataclass(frozen=True, slots=True)
class GapPrior:
    """Slopes and noise of each set of signals, at the shares of the budget where they are known."""

    models: Mapping[Signals, Mapping[float, Pooled]]
    families: tuple[str, ...] = ()  # of the studies that it was pooled from

    def at(self, share: float, signals: Signals) -> Pooled | None:
        """The model at that share of the budget, between two known ones on a scale of logarithms
        and beyond them as at the nearest; None where nothing is known of these signals."""
        known = self.models.get(signals)
        if not known:
            return None
        shares = sorted(known)
        after = bisect_right(shares, share)
        if after == 0 or after == len(shares):
            return known[shares[max(0, after - 1)]]
        low, high = shares[after - 1], shares[after]
        weight = math.log(share / low) / math.log(high / low)
        return _between(known[low], known[high], weight)

    def to_json(self) -> dict[str, Any]:
        """The prior as JSON values, six digits of each number."""
        return {
            "families": list(self.families),
            "models": {
                " ".join(name for name in SIGNALS if name in signals): {
                    f"{share:g}": {
                        "mean": _rounded(one.mean),
                        "covariance": _rounded(one.covariance),
                        "noise": _rounded(np.array(one.noise)),
                    }
                    for share, one in sorted(known.items())
                }
                for signals, known in self.models.items()
            },
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> GapPrior:
        """The prior that `to_json` gave."""
        models = {
            frozenset(names.split()): {
                float(share): Pooled(
                    np.array(one["mean"], dtype=np.float64),
                    np.array(one["covariance"], dtype=np.float64).reshape(2 * [len(one["mean"])]),
                    float(one["noise"]),
                )
                for share, one in known.items()
            }
            for names, known in document["models"].items()
        }
        return GapPrior(models, tuple(document["families"]))


@cache
def shipped_prior() -> GapPrior:
    """The prior that comes with the package. How it was made: studies/experiments/gap_prior.py."""
    text = Path(__file__).with_name("prior.json").read_text(encoding="utf-8")
    return GapPrior.from_json(json.loads(text))


def _between(low: Pooled, high: Pooled, weight: float) -> Pooled:
    return Pooled(
        (1 - weight) * low.mean + weight * high.mean,
        (1 - weight) * low.covariance + weight * high.covariance,
        math.exp((1 - weight) * math.log(low.noise) + weight * math.log(high.noise)),
    )


def _rounded(values: Floats) -> Any:
    return np.vectorize(lambda x: float(f"{x:.6g}"), otypes=[float])(values).tolist()
