"""Whether stated risks were kept: stated probabilities against shares, and misses among audits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from predictor.model import forecast
from predictor.prior import Prior, paper_prior
from predictor.rank import halves
from predictor.recorded.runs import RecordedStudy
from predictor.stats import clopper_pearson
from predictor.target import beats
from predictor.types import CohortTrial, Settings

Floats = NDArray[np.float64]

EDGES = (0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 1.0)  # of the bins; each holds its lower edge


@dataclass(frozen=True, slots=True)
class Moment:
    """One trial at its window: what was stated, and how it would have ended.

    A miss ended better than the incumbent of that moment by min_gain x spread or more.
    """

    run: str  # unique over studies: several orders judge one run again and again
    stated: float  # P
    p0: float
    is_miss: bool
    random_miss: float  # the share of misses among all that could have been pruned at that moment
    would_prune: bool = False  # the rule, an endless max_expected_misses given
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Shares are weighted; the 95 % interval is Clopper and Pearson's."""

    low: float  # of the stated probability
    high: float  # upper edge
    num: int  # moments
    num_runs: int  # different ones
    num_misses: int  # of the moments
    mean_stated: float  # P
    mean_before: float  # P0
    share: float  # of misses
    share_low: float  # lower end of its 95 % interval
    share_high: float  # upper end
    random_share: float  # of random prunes at the same moments


@dataclass(frozen=True, slots=True)
class Audit:
    """A trial that was to be pruned and went on to the end instead."""

    share: float  # the probability of its audit
    stated: float | None  # P; None: a guard states none
    is_miss: bool | None  # None: not at its end yet

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(
                f"the probability of an audit is {self.share!r}; of one that took place it is "
                "above 0 and at most 1"
            )


@dataclass(frozen=True, slots=True)
class MissRate:
    """The misses among all that was to be pruned, from its audits; a 95 % interval as Clopper and
    Pearson's."""

    num_audits: int  # in all
    num_finished: int  # of these, at their end
    num_misses: int  # of the finished
    rate: float | None  # None: no audit is at its end
    low: float  # lower end of the 95 % interval
    high: float  # upper end
    mean_stated: float | None  # P of those finished, where it was stated


def reliability(moments: Sequence[Moment], edges: Sequence[float] = EDGES) -> list[Bin]:
    """One row for each bin of the stated probability that is not empty.

    Weights act on shares and means. An interval counts different runs, not moments: judging a run
    again in another order is hardly new evidence. Known weakness: runs of one study share their
    incumbents, so they are not independent either and intervals are somewhat too narrow.
    """
    found: list[Bin] = []
    for low, high in pairwise(edges):
        last = high == edges[-1]
        inside = [m for m in moments if low <= m.stated and (m.stated < high or last)]
        if inside:
            found.append(_bin(low, high, inside))
    return found


def audit_miss_rate(audits: Sequence[Audit]) -> MissRate:
    """Misses / finished audits, each weighted by one over the probability of its audit.

    Pooled over studies by giving the audits of all. With equal probabilities the plain share;
    otherwise the interval is that of Kish's effective number.
    """
    ended = [audit for audit in audits if audit.is_miss is not None]
    weights = np.array([1 / audit.share for audit in ended])
    misses = np.array([audit.is_miss is True for audit in ended], dtype=np.float64)
    stated = [audit.stated for audit in ended if audit.stated is not None]
    rate, low, high = None, 0.0, 1.0
    if ended:
        rate = float(weights @ misses / weights.sum())
        num = _effective(weights)
        low, high = clopper_pearson(rate * num, num)
    return MissRate(
        len(audits),
        len(ended),
        int(misses.sum()),
        rate,
        low,
        high,
        math.fsum(stated) / len(stated) if stated else None,
    )


def judged_moments(
    study: RecordedStudy,
    settings: Settings,
    *,
    orders: int,
    window: float = 0.1,
    min_steps: int = 1,
    on_order: Callable[[], None] = lambda: None,
) -> list[Moment]:
    """Every run at its window, in `orders` shuffled orders, all before it trained to their end.

    Not only those that a policy would prune, and nothing is pruned, so this is the reliability of
    P itself. The incumbent is that of the moment. Runs that a guard ended have no window or do not
    beat anything; runs without an objective for another reason are not judged. `random_miss` is
    over the runs not yet judged, this one included. Of the settings startup, min_gain,
    prior_strength (of the paper's prior) and seed (of the orders) act.
    """
    prior = paper_prior(settings.prior_strength)
    close = study.recorded_window or study.window_at(window, min_steps)
    trials = study.trials(close)
    known = [i for i, run in enumerate(study.runs) if run.is_finished or run.pruned_by == "guard"]
    rng = np.random.default_rng(settings.seed)
    moments: list[Moment] = []
    for _ in range(orders):
        order = [known[int(i)] for i in rng.permutation(len(known))]
        for place, index in enumerate(order):
            earlier, left = [trials[i] for i in order[:place]], [trials[i] for i in order[place:]]
            moment = _judged(earlier, left, settings, prior)
            if moment is not None:
                name = f"{study.name}: {study.runs[index].name}"
                moments.append(Moment(name, *moment))
        on_order()
    return moments


def _judged(
    earlier: Sequence[CohortTrial], left: Sequence[CohortTrial], settings: Settings, prior: Prior
) -> tuple[float, float, bool, float, bool] | None:
    """(P, P0, is it a miss, the share of misses in `left`, would it be pruned) of the first that is
    left; None where nothing can be stated."""
    trial = left[0]
    own = trial.window
    if own is None:
        return None
    cohort = [t for t in earlier if t.window is not None and t.window.phase == own.phase]
    ends = [t.objective for t in cohort if t.objective is not None]
    finished = [end for end in ends if math.isfinite(end)]
    if len(finished) < settings.startup:
        return None
    found = forecast(
        trial, cohort, min_gain=settings.min_gain, startup=settings.startup, prior=prior
    )
    if found is None:
        return None
    misses = [beats(t.objective, finished, settings.min_gain) for t in left if t.window is not None]
    prunes = found.probability < settings.risk and halves(found)
    return found.probability, found.p0, misses[0], sum(misses) / len(misses), prunes


def _bin(low: float, high: float, inside: Sequence[Moment]) -> Bin:
    weights = np.array([moment.weight for moment in inside])
    share = weights / weights.sum()

    def mean(values: Sequence[float]) -> float:
        return float(share @ np.array(values, dtype=np.float64))

    missed = mean([moment.is_miss for moment in inside])
    num_runs = len({moment.run for moment in inside})
    num = min(_effective(weights), float(num_runs))
    return Bin(
        low,
        high,
        len(inside),
        num_runs,
        sum(moment.is_miss for moment in inside),
        mean([moment.stated for moment in inside]),
        mean([moment.p0 for moment in inside]),
        missed,
        *clopper_pearson(missed * num, num),
        mean([moment.random_miss for moment in inside]),
    )


def _effective(weights: Floats) -> float:
    return float(weights.sum() ** 2 / (weights @ weights))
