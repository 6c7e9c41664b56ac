"""What the predictor makes of signals that are nothing but noise.

`studies/experiments/pure_noise` has a thousand studies of each kind, studies/LOG.md what
came out.
"""

from __future__ import annotations

import pytest

from predictor.stats import clopper_pearson
from tests.support.noise import shares, simulate

NUM_STUDIES = 100


@pytest.mark.slow
@pytest.mark.parametrize("told_by_early_eval", [0.0, 0.7])
def test_signals_that_are_noise_change_few_verdicts_and_lose_no_more_than_stated(
    told_by_early_eval: float,
):
    """As far as so many studies can tell: where nothing tells anything it is a near thing."""
    found = shares([simulate(seed, told_by_early_eval) for seed in range(NUM_STUDIES)])
    assert found["differ"] < 0.05
    low, _ = clopper_pearson(found["lost_best"] * NUM_STUDIES, NUM_STUDIES)
    assert low <= found["stated"]
    if told_by_early_eval > 0:
        assert found["lost_best"] <= found["stated"]
