"""What is expected of a trial that is not finished, and which of them goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from predictor.gap.feasible import ALL_HELD, LIKELY, Feasible
from predictor.types import Settings

_LEAST_LEFT = 0.01  # of a trial's training


@dataclass(frozen=True, slots=True)
class GapForecast:
    """What is expected of a trial that is not finished, against the leader."""

    number: int
    share: float  # of the budget, where it was looked at last
    probability: float  # that it overtakes and holds every constraint
    improvement: float  # expected, 0 where it does not overtake or hold; in early spreads
    behind: float  # early spreads that it is expected to end behind the plan's reference; bent
    effects: Mapping[str, float]  # of each signal on `behind`
    overtakes: float  # P(ends better than the leader by min_gain x the spread); 1 without a leader
    feasible: Feasible = ALL_HELD


def choose(own: Sequence[GapForecast], settings: Settings, *, has_leader: bool) -> int | None:
    """The number of the one that goes on, as `predictor.gap.plan.plan` says; None: none is worth
    it. `has_leader`: a finished trial is feasible."""
    worth = [one for one in own if not one.probability < settings.risk]
    if not worth and math.fsum(f.probability for f in own) > settings.max_expected_misses:
        worth = own
    if not worth:
        return None
    if not has_leader:
        return min(worth, key=lambda f: (-min(f.probability, LIKELY), f.behind, f.number)).number
    return max(worth, key=lambda one: (one.improvement / _left(one), -one.number)).number


def _left(one: GapForecast) -> float:
    """Of its training, as a share; a look may be at its very end."""
    return max(_LEAST_LEFT, 1 - one.share)
