"""The noise scale and its error. Against single samples: tests/trainer/training/test_observe.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.noise import gradient_noise_scale, squared_norm_estimate
from predictor.types import Observation


def steps(free: list[float], noise: list[float]) -> list[Observation]:
    return [
        Observation(step, 8 * step, 80 * step, 40 * step, 2.0, 1.0, 1e-3, 0.1, signal, rest)
        for step, (signal, rest) in enumerate(zip(free, noise, strict=True), start=1)
    ]


def test_noise_equal_to_the_signal_at_the_batch_gives_the_batch() -> None:
    found = gradient_noise_scale(steps([2.0, 2.0, 2.0], [2.0, 2.0, 2.0]), batch_size=8)
    assert found == (8.0, 0.0)


def test_its_error_is_that_of_repeated_draws() -> None:
    rng = np.random.default_rng(0)
    draws, stated = [], []
    for _ in range(400):
        free, noise = rng.normal(2, 0.5, 40), rng.normal(6, 2, 40)
        found = gradient_noise_scale(steps(free.tolist(), noise.tolist()), batch_size=4)
        assert found is not None
        draws.append(found.value)
        stated.append(found.standard_error)
    assert np.mean(draws) == pytest.approx(12, rel=0.02)
    assert np.mean(stated) == pytest.approx(np.std(draws), rel=0.1)


@pytest.mark.parametrize(
    "free", [[2.0, 2.0], [1.0, -1.0, 0.5], [-1.0, -2.0, -1.5], [math.nan, 1.0, 1.0]]
)
def test_a_ratio_to_what_may_be_nothing_is_missing(free: list[float]) -> None:
    assert gradient_noise_scale(steps(free, [1.0] * len(free)), 8) is None


def test_steps_that_measured_nothing_do_not_count() -> None:
    seen = steps([2.0, 2.5, 1.5], [1.0, 1.0, 1.0])
    seen.append(Observation(4, 32, 320, 160, 2.0, 1.0, 1e-3, 0.1))
    assert squared_norm_estimate(seen) == squared_norm_estimate(seen[:3])
    assert squared_norm_estimate(seen[3:]) is None
