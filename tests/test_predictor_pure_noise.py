"""What the predictor makes of signals that are nothing but noise: `benchmarks/pure_noise` has more
studies, and studies/LOG.md what it misses where nothing tells anything."""

from __future__ import annotations

import pytest

from benchmarks.pure_noise import shares, simulate


@pytest.mark.slow
@pytest.mark.parametrize("told_by_early_eval", [0.0, 0.7])
def test_a_signal_that_is_noise_changes_few_verdicts(told_by_early_eval: float):
    found = shares([simulate(seed, told_by_early_eval) for seed in range(100)])
    assert found["differ"] < 0.05
    if told_by_early_eval > 0:
        assert found["lost_best"] <= found["stated"]
