"""The averaged regression, against the same models written out in full."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from predictor.gap.prior import Pooled, shipped_prior
from predictor.gap.regression import (
    CONFIG,
    LUCK_SD,
    NU,
    UNLIKE,
    Rows,
    beliefs,
    final_gaps,
)
from predictor.gap.units import SIGNALS, Units

Floats = NDArray[np.float64]
SHARE = 0.2
NO_OTHERS = frozenset({"others"})
UNITS = Units(1.0, {}, 1.0, 1.0, "grad_norm")


def rows(num: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows(rng.normal(size=(num, len(SIGNALS))), rng.normal(size=(num, 2)))


def written_out(
    finished: Rows, ends: Floats, asked: Rows, goal: float
) -> tuple[Floats, Floats, float]:
    """P(gap < goal), the expected gap and the silence: all ends are one multivariate Student-t."""
    log_weights, below, mean, is_silent = (
        list[float](),
        list[Floats](),
        list[Floats](),
        list[bool](),
    )
    n = len(ends)
    for signals, belief in beliefs(NO_OTHERS).items():
        pooled = shipped_prior().at(SHARE, signals)
        assert pooled is not None
        used = [i for i, name in enumerate(SIGNALS) if name in signals]
        num = len(used)
        unlike = Pooled(np.zeros(num), np.eye(num), pooled.noise)
        slopes = [(pooled, 1 - UNLIKE), (unlike, UNLIKE)] if num else [(pooled, 1.0)]
        for own, share in slopes:
            for has_config in (False, True):
                x = np.concatenate([finished.gaps, asked.gaps])[:, used]
                shape = LUCK_SD**2 + x @ own.covariance @ x.T + pooled.noise * np.eye(len(x))
                if has_config:
                    h = np.concatenate([finished.config, asked.config])
                    shape = shape + CONFIG * pooled.noise / h.shape[1] * (h @ h.T)
                centre, known = x @ own.mean, shape[:n, :n]
                seen = stats.multivariate_t(centre[:n], known, df=int(NU))
                log_weights.append(float(seen.logpdf(ends)) + np.log(belief * share))
                gain, left = shape[n:, :n] @ np.linalg.inv(known), ends - centre[:n]
                means = centre[n:] + gain @ left
                factor = (NU + left @ np.linalg.inv(known) @ left) / (NU + n)
                scales = np.sqrt(factor * np.diag(shape[n:, n:] - gain @ shape[:n, n:]))
                below.append(stats.t.cdf((goal - means) / scales, NU + n))
                mean.append(means)
                is_silent.append(num == 0)
    weights = np.exp(np.array(log_weights) - max(log_weights))
    weights /= weights.sum()
    return weights @ np.array(below), weights @ np.array(mean), float(weights @ is_silent)


@pytest.mark.parametrize("num", [1, 2, 7])
def test_it_is_the_mixture_of_all_its_models(num: int) -> None:
    finished, asked = rows(num, 0), rows(3, 1)
    ends = np.random.default_rng(2).normal(size=num)
    found = final_gaps(shipped_prior(), SHARE, finished, ends, asked, UNITS)
    assert found is not None
    below, mean, silent = written_out(finished, ends, asked, -0.1)
    assert found.below(-0.1)[0] == pytest.approx(below)
    assert found.mean == pytest.approx(mean)
    assert found.silent == pytest.approx(silent)
    assert found.weights.sum() == pytest.approx(1)


@pytest.mark.slow
def test_the_improvement_is_the_integral_of_the_probability() -> None:
    """E(max(0, goal - gap)) is the integral of P(gap < t) up to the goal."""
    finished, asked = rows(4, 0), rows(2, 1)
    found = final_gaps(shipped_prior(), SHARE, finished, np.zeros(4), asked, UNITS)
    assert found is not None
    grid = np.linspace(-300.0, 0.5, 100_001)
    expected = np.trapezoid([found.below(float(t))[0] for t in grid], grid, axis=0)
    assert found.below(0.5)[1] == pytest.approx(expected, rel=1e-3)


def test_without_early_evaluations_the_other_signals_are_used() -> None:
    finished, asked = rows(6, 0), rows(2, 1)
    ends = finished.gaps[:, SIGNALS.index("loss")].copy()  # the training loss tells all
    found = final_gaps(
        shipped_prior(), SHARE, finished, ends, asked, UNITS._replace(early_eval=math.nan)
    )
    assert found is not None
    assert found.slopes[0] == pytest.approx(0)
    assert found.slopes[SIGNALS.index("loss")] > 0.3


def test_many_finished_trials_are_no_trouble() -> None:
    finished, asked = rows(1000, 0), rows(2, 1)
    found = final_gaps(shipped_prior(), SHARE, finished, finished.gaps[:, 0], asked, UNITS)
    assert found is not None
    grid = np.linspace(-30.0, 0.5, 20_001)
    expected = np.trapezoid([found.below(float(t))[0] for t in grid], grid, axis=0)
    assert found.below(0.5)[1] == pytest.approx(expected, rel=1e-3)


def test_beliefs_add_up_whatever_is_missing() -> None:
    for missing in (frozenset[str](), NO_OTHERS, frozenset(SIGNALS)):
        own = beliefs(missing)
        assert sum(own.values()) == pytest.approx(1)
        assert not any(signals & missing for signals in own)


def test_the_more_evaluations_look_like_chance_the_less_is_any_number_believed() -> None:
    silent = [beliefs(NO_OTHERS, chance)[frozenset()] for chance in (0.0, 0.5, 1.0)]
    assert silent == sorted(silent)
    assert silent[-1] == 1.0
