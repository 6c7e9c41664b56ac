"""Where every trial of a cohort is expected to end, on one scale: what a sampler is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from predictor.gap.plan import behind_by_prior, plan
from predictor.gap.prior import GapPrior, shipped_prior
from predictor.gap.units import Units, bend
from predictor.target import best_and_spread
from predictor.types import CohortTrial, Settings


def expected_ends(
    trials: Sequence[CohortTrial], shares: Sequence[float], prior: GapPrior | None = None
) -> dict[int, float]:
    """The final gap of each trial by number: known of a finished one, else expected; lower is
    better. In early spreads behind the leader, bent as `predictor.gap.units.bend` does.

    `trials` and `shares` as for `predictor.gap.plan.plan`; of a finished trial the end alone is
    enough. While none that was looked at is finished, or nothing gives ends a unit, all are what
    the prior makes of their first look, against the best early evaluation there. A trial of which
    nothing is known is left out.
    """
    prior = prior or shipped_prior()
    seen = [t for t in trials if t.window is not None]
    if not seen:
        return {}
    units = Units.of([t.window for t in seen if t.window])
    found = plan(seen, shares, Settings(), prior)
    leader = next((t for t in seen if t.number == found.reference), None)
    is_told = bool(found.forecasts) or all(t.is_finished for t in seen)
    if leader is None or not is_told:
        return behind_by_prior(seen, shares[0], prior, units)
    assert leader.objective is not None
    finished = [t for t in trials if t.is_finished]
    ends = np.array([t.objective for t in finished], dtype=np.float64)
    unit = units.early_eval
    if not math.isfinite(unit):
        unit = best_and_spread(ends)[1] or 1.0
    behind = bend((ends - leader.objective) / unit).tolist()
    known = {t.number: gap for t, gap in zip(finished, behind, strict=True)}
    return {number: one.behind for number, one in found.forecasts.items()} | known
