"""What a window's signals are: which steps they read, how they average, when they are missing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.signals import window_signals, window_steps
from predictor.types import Observation


def steps(
    losses: list[float],
    norms: list[float] | None = None,
    *,
    batch: int = 10,
    tokens: list[int] | None = None,
    grad_sq: list[float | None] | None = None,
) -> list[Observation]:
    """A trial's first steps: `batch` samples each, `tokens` loss-bearing tokens each."""
    totals = np.cumsum(tokens or [100] * len(losses))
    return [
        Observation(
            step=i + 1,
            samples_seen=batch * (i + 1),
            input_tokens_seen=3 * int(totals[i]),
            loss_tokens_seen=int(totals[i]),
            loss=losses[i],
            grad_norm=norms[i] if norms else 1.0,
            lr=1e-4,
            seconds=0.1,
            grad_sq_noise_free=grad_sq[i] if grad_sq else None,
        )
        for i in range(len(losses))
    ]


@pytest.mark.parametrize(
    ("batch", "samples", "late"),
    [
        (10, 10, [1]),  # a single step is the window and its last third
        (100, 10, [1]),  # a batch larger than the window
        (10, 20, [2]),
        (10, 30, [3]),
        (10, 60, [5, 6]),
        (10, 80, [6, 7, 8]),  # a step counts if it ends in the last third
        (10, 55, [4, 5, 6]),  # the step that closes the window may overshoot it
    ],
)
def test_the_loss_reads_the_last_third_of_the_window_in_samples(batch, samples, late):
    trial = steps([float(2**i) for i in range(1, 12)], batch=batch)
    assert window_signals(trial, samples, None).loss == np.mean([2**step for step in late])


@pytest.mark.parametrize(
    ("norms", "median"),
    [([9, 9, 9, 9, 1, 3], 2.0), ([9] * 6, 9.0), ([9, 9, 9, 9, math.inf, math.inf], math.inf)],
)
def test_the_raw_norm_is_the_median_of_the_same_steps(norms, median):
    assert window_signals(steps([1.0] * 6, norms), 60, None).grad_norm == median


def test_the_loss_weighs_every_token_the_same():
    trial = steps([9.0, 9.0, 9.0, 9.0, 2.0, 4.0], tokens=[5, 5, 5, 5, 30, 10])
    assert window_signals(trial, 60, None).loss == 2.5


@pytest.mark.parametrize(
    ("grad_sq", "expected"),
    [
        ([4.0, 4.0, 4.0], 2.0),
        ([3.0, 4.0, 5.0], 2.0),  # standard error 0.58
        ([-1.0, 9.0, 4.0], None),  # standard error 2.9: under two of them
        ([-4.0, -4.0, -4.0], None),  # certain, but no norm
        ([0.0, 0.0, 0.0], None),
        ([4.0, None, None], None),  # one step has no standard error
        ([4.0, None, 4.0], 2.0),  # steps that did not measure it are left out
        ([None, None, None], None),
    ],
)
def test_the_noise_free_norm_is_missing_unless_two_standard_errors_above_zero(grad_sq, expected):
    assert window_signals(steps([1.0] * 3, grad_sq=grad_sq), 30, None).grad_norm_noise_free == (
        expected
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_noise_free_norm_that_is_not_finite_is_nan_and_not_missing(bad):
    signals = window_signals(steps([1.0] * 3, grad_sq=[4.0, bad, 4.0]), 30, None)
    assert signals.grad_norm_noise_free is not None
    assert math.isnan(signals.grad_norm_noise_free)


def test_nan_in_nan_out():
    signals = window_signals(steps([1.0, 1.0, math.nan], [1.0, 1.0, math.nan]), 30, math.nan)
    assert math.isnan(signals.loss)
    assert signals.grad_norm is not None and math.isnan(signals.grad_norm)
    assert signals.early_eval is not None and math.isnan(signals.early_eval)


def test_a_nan_before_the_last_third_does_not_reach_loss_and_raw_norm():
    signals = window_signals(steps([math.nan, 1.0, 2.0], [math.nan, 1.0, 3.0]), 30, None)
    assert (signals.loss, signals.grad_norm) == (2.0, 3.0)


def test_an_infinite_loss_makes_the_mean_infinite():
    assert window_signals(steps([1.0] * 5 + [math.inf]), 60, None).loss == math.inf


def test_no_loss_bearing_token_makes_the_loss_nan():
    assert math.isnan(window_signals(steps([1.0], tokens=[0]), 10, None).loss)


@pytest.mark.parametrize("early_eval", [0.41, None])
def test_the_early_evaluation_and_the_samples_are_passed_through(early_eval):
    signals = window_signals(steps([1.0] * 3), 25, early_eval)
    assert (signals.samples, signals.early_eval) == (25, early_eval)


@pytest.mark.parametrize("num_steps", [0, 2])
def test_a_window_that_is_still_open_is_refused(num_steps):
    with pytest.raises(ValueError, match=rf"window of 30 samples is still open: {10 * num_steps}"):
        window_signals(steps([1.0] * num_steps), 30, None)


def in_phases(trial: list[Observation], *phases: int) -> list[Observation]:
    return [replace(o, phase=phase) for o, phase in zip(trial, phases, strict=True)]


@pytest.mark.parametrize(
    ("phases", "late"),
    [
        ([1, 1, 1, 1, 1, 1], [5, 6]),
        ([1, 1, 2, 2, 2, 2], [5, 6]),
        ([1, 1, 1, 1, 1, 2], [6]),  # step 5 is late too, but its loss is on other data
    ],
)
def test_the_late_steps_are_those_of_the_phase_in_which_the_window_closes(phases, late):
    trial = in_phases(steps([float(2**i) for i in range(1, 7)], [1.0, 2, 3, 4, 5, 6]), *phases)
    signals = window_signals(trial, 60, None)
    assert signals.phase == phases[-1]
    assert signals.loss == np.mean([2**step for step in late])
    assert signals.grad_norm == np.median(late)


def test_a_later_phase_does_not_name_the_window():
    assert window_signals(in_phases(steps([1.0] * 4), 1, 1, 2, 2), 20, None).phase == 1


@st.composite
def trials(draw):
    num_steps = draw(st.integers(1, 20))

    def floats(low):
        value = st.floats(low, 100.0)
        return draw(st.lists(value, min_size=num_steps, max_size=num_steps))

    trial = steps(
        floats(0.0),
        floats(0.0),
        batch=draw(st.integers(1, 50)),
        tokens=draw(st.lists(st.integers(1, 30), min_size=num_steps, max_size=num_steps)),
        grad_sq=floats(-5.0),
    )
    return trial, draw(st.integers(1, trial[-1].samples_seen))


@settings(deadline=None)
@given(trials())
def test_signals_equal_brute_force_over_samples_and_tokens(trial_and_samples):
    trial, samples = trial_and_samples
    batch, num_steps = trial[0].samples_seen, math.ceil(samples / trial[0].samples_seen)
    window = trial[:num_steps]
    late = [o for o in window if o.step * batch > samples * 2 / 3]
    tokens = np.diff([0, *(o.loss_tokens_seen for o in window)])
    per_token = [o.loss for o in late for _ in range(tokens[o.step - 1])]
    squares = np.array([o.grad_sq_noise_free for o in window])

    signals = window_signals(trial, samples, None)

    assert signals.loss == pytest.approx(np.mean(per_token))
    assert signals.grad_norm == np.median([o.grad_norm for o in late])
    if signals.grad_norm_noise_free is None:
        limit = 2 * np.std(squares, ddof=1) / math.sqrt(num_steps) if num_steps > 1 else math.inf
        assert squares.mean() <= 0 or squares.mean() < limit
    else:
        assert signals.grad_norm_noise_free == pytest.approx(math.sqrt(squares.mean()))


@settings(deadline=None)
@given(trials(), st.integers(-8, 8))
def test_signals_scale_with_the_units_of_loss_and_gradient(trial_and_samples, exponent):
    trial, samples = trial_and_samples
    c = 2.0**exponent
    scaled = [
        replace(
            o,
            loss=c * o.loss,
            grad_norm=c * o.grad_norm,
            grad_sq_noise_free=c**2 * (o.grad_sq_noise_free or 0.0),
        )
        for o in trial
    ]
    before, after = window_signals(trial, samples, None), window_signals(scaled, samples, None)
    assert after.loss == pytest.approx(c * before.loss)
    assert after.grad_norm == pytest.approx(c * before.grad_norm)
    if before.grad_norm_noise_free is None:
        assert after.grad_norm_noise_free is None
    else:
        assert after.grad_norm_noise_free == pytest.approx(c * before.grad_norm_noise_free)


@settings(deadline=None)
@given(trials())
def test_what_comes_after_the_window_is_not_read(trial_and_samples):
    trial, samples = trial_and_samples
    window = list(window_steps(trial, samples))
    assert window[-1].samples_seen >= samples
    assert all(o.samples_seen < samples for o in window[:-1])
    spoiled = [replace(o, loss=math.nan, grad_norm=math.inf) for o in trial[len(window) :]]
    signals = window_signals(trial, samples, None)
    assert window_signals(window + spoiled, samples, None) == signals
