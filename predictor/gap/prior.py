"""What past studies say of gaps, as data: the fits of `prior.json`, pooled when they are read.

The file has each study's own fits, so that any may be left out: a study that the prior was made
from is never judged by it.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.gap.units import SIGNALS, Signals, columns_of

Floats = NDArray[np.float64]

LEAST_VARIANCE = 0.02  # of a slope between studies
LEAST_NOISE = 1e-4


class Fit(NamedTuple):
    """One model at one look of one study."""

    slopes: Floats  # (k,): final gap per gap, k signals in the order of SIGNALS
    noise: float  # variance of what the slopes leave of a final gap


@dataclass(frozen=True, slots=True)
class StudyFits:
    """What one past study says. Studies of one family share a base model, or a lab."""

    family: str
    name: str
    fits: Mapping[tuple[Signals, float], Fit]  # by signals, and share of the budget


class Pooled(NamedTuple):
    """One model at one look, over past studies. k signals, in the order of SIGNALS."""

    mean: Floats  # (k,): of the slopes, final gap per gap
    covariance: Floats  # (k, k): of the slopes, between studies
    noise: float  # variance of what the slopes leave of a final gap


@dataclass(frozen=True, slots=True, eq=False)
class GapPrior:
    """Slopes and noise of each set of signals, at the shares of the budget where they are known."""

    models: Mapping[Signals, Mapping[float, Pooled]]
    families: tuple[str, ...] = ()  # of the studies that it was pooled from

    @staticmethod
    def of(studies: Sequence[StudyFits]) -> GapPrior:
        """The prior of past studies, each family counting as much as any other.

        Over studies: the slopes' mean and covariance, and the geometric mean of the noise.
        ValueError where there is none.
        """
        if not studies:
            raise ValueError("no past study is of use, so nothing is known of gaps")
        families = Counter(study.family for study in studies)
        found: dict[tuple[Signals, float], list[tuple[float, Fit]]] = {}
        for study in studies:
            for key, fitted in study.fits.items():
                found.setdefault(key, []).append((1 / families[study.family], fitted))
        models: dict[Signals, dict[float, Pooled]] = {}
        for (signals, share), weighted in found.items():
            models.setdefault(signals, {})[share] = _pooled(weighted)
        return GapPrior(models, tuple(families))

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


@cache
def shipped_prior(without: frozenset[str] = frozenset()) -> GapPrior:
    """The prior that comes with the package, of all families but those `without`.

    How it was made: studies/experiments/gap_prior.py.
    """
    return GapPrior.of([study for study in shipped_fits() if study.family not in without])


@cache
def prior_for(study: str) -> GapPrior:
    """The shipped prior without the family of that study, where it was made from it."""
    own = {fits.family for fits in shipped_fits() if fits.name == study}
    return shipped_prior(frozenset(own))


@cache
def shipped_fits() -> tuple[StudyFits, ...]:
    """The fits that come with the package."""
    text = Path(__file__).with_name("prior.json").read_text(encoding="utf-8")
    return from_json(json.loads(text))


def from_json(documents: Sequence[Mapping[str, Any]]) -> tuple[StudyFits, ...]:
    """Inverse of `to_json`."""
    return tuple(_read(document) for document in documents)


def to_json(studies: Sequence[StudyFits]) -> list[dict[str, Any]]:
    """The fits as JSON values, six digits of each number."""
    return [
        {
            "family": study.family,
            "name": study.name,
            "fits": [
                {
                    "signals": [SIGNALS[i] for i in columns_of(signals)],
                    "share": share,
                    "slopes": [_rounded(slope) for slope in fitted.slopes],
                    "noise": _rounded(fitted.noise),
                }
                for (signals, share), fitted in study.fits.items()
            ],
        }
        for study in studies
    ]


def _read(document: Mapping[str, Any]) -> StudyFits:
    fits = {
        (frozenset[str](one["signals"]), float(one["share"])): Fit(
            np.array(one["slopes"], dtype=np.float64), float(one["noise"])
        )
        for one in document["fits"]
    }
    return StudyFits(document["family"], document["name"], fits)


def _pooled(weighted: Sequence[tuple[float, Fit]]) -> Pooled:
    weights = np.array([weight for weight, _ in weighted])
    weights /= weights.sum()
    slopes = np.array([one.slopes for _, one in weighted])
    noise = np.array([max(one.noise, LEAST_NOISE) for _, one in weighted])
    mean = weights @ slopes
    centred = slopes - mean
    covariance = (weights[:, None] * centred).T @ centred + LEAST_VARIANCE * np.eye(len(mean))
    return Pooled(mean, covariance, math.exp(float(weights @ np.log(noise))))


def _between(low: Pooled, high: Pooled, weight: float) -> Pooled:
    return Pooled(
        (1 - weight) * low.mean + weight * high.mean,
        (1 - weight) * low.covariance + weight * high.covariance,
        math.exp((1 - weight) * math.log(low.noise) + weight * math.log(high.noise)),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
