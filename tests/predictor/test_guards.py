"""When a trial ends without being compared with any other: not finite at once, divergence late."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from predictor.guards import check_guards, is_not_finite
from predictor.types import Observation, Settings

ON = Settings()
OFF = [Settings(enabled=False), Settings(guards=False), Settings(enabled=False, guards=False)]


def steps(losses: list[float], norm: float = 1.0) -> list[Observation]:
    return [
        Observation(
            step=i + 1,
            samples_seen=8 * (i + 1),
            input_tokens_seen=300 * (i + 1),
            loss_tokens_seen=100 * (i + 1),
            loss=loss,
            grad_norm=norm,
            lr=1e-4,
            seconds=0.1,
        )
        for i, loss in enumerate(losses)
    ]


def test_no_observation_trips_no_guard():
    assert check_guards([], 0, ON) is None


@pytest.mark.parametrize("settings", [ON, *OFF])
@pytest.mark.parametrize(
    ("loss", "norm", "said"),
    [
        (math.nan, 1.0, "not finite: the loss is nan at step 3"),
        (math.inf, 1.0, "not finite: the loss is inf at step 3"),
        (1.0, math.nan, "not finite: the gradient norm is nan at step 3"),
        (math.nan, math.inf, "not finite: the loss is nan and the gradient norm is inf at step 3"),
    ],
)
def test_not_finite_ends_the_trial_at_once_and_under_any_settings(settings, loss, norm, said):
    trial = steps([2.0, 2.0, 2.0])
    trial[-1] = replace(trial[-1], loss=loss, grad_norm=norm)
    hit = check_guards(trial, 100, settings)
    assert hit is not None and (hit.name, hit.reason) == ("not finite", said)
    json.dumps(hit.evidence, allow_nan=False)


def test_an_estimate_that_overflows_is_not_a_trial_that_does():
    assert not is_not_finite(replace(steps([2.0])[0], grad_sq_noise_free=math.inf))


@pytest.mark.parametrize(
    ("losses", "warmup_steps", "diverged"),
    [
        ([2.0] + [3.1] * 13, 0, True),  # 14 steps: ten medians of five
        ([2.0] + [3.1] * 12, 0, False),  # too few
        ([2.0] + [3.0] * 20, 0, False),  # at 1.5 x, not above
        ([2.0] + [3.1] * 20, 11, True),  # steps 12 to 21 are after the warmup
        ([2.0] + [3.1] * 20, 12, False),  # step 12 is still in it
        ([2.0] * 10 + [3.1] * 11, 0, False),  # the median rises 2 steps late
        ([2.0] * 10 + [3.1] * 12, 0, True),
        ([2.0] + [3.1] * 20 + [1.0] * 2, 0, True),  # two good batches do not move a median of five
        ([2.0] + [3.1] * 20 + [1.0] * 3, 0, False),  # it has recovered
        ([2.0] + [3.1, 3.1, 1.0] * 7, 0, True),
        ([2.0] + [9.0, 9.0, 1.0, 1.0] * 7, 0, False),
        ([4.0 - 0.1 * i for i in range(30)], 0, False),  # learning
    ],
)
def test_divergence_is_ten_medians_of_five_in_a_row_above_the_line(losses, warmup_steps, diverged):
    hit = check_guards(steps(losses), warmup_steps, ON)
    assert (hit is not None) == diverged
    if hit is not None:
        assert hit.name == "divergence"
        assert hit.evidence["first_loss"] == losses[0]
        json.dumps(hit.evidence, allow_nan=False)


def test_divergence_says_why():
    hit = check_guards(steps([2.0] + [3.1] * 20), 5, ON)
    assert hit is not None
    assert hit.reason == (
        "diverged: for 10 steps the 5-step median loss was above 1.5 x the first step's "
        "(3.1 against 2 at step 21)"
    )


def in_phases(trial: list[Observation], lengths: list[int]) -> list[Observation]:
    phases = [phase for phase, length in enumerate(lengths, 1) for _ in range(length)]
    return [replace(o, phase=phase) for o, phase in zip(trial, phases, strict=True)]


@pytest.mark.parametrize(
    ("losses", "lengths", "diverged"),
    [
        ([2.0] + [3.1] * 13, [14], True),
        ([1.0] * 20 + [5.0] * 30, [20, 30], False),  # the next data are harder, no more
        ([1.0] * 20 + [5.0] + [9.0] * 13, [20, 14], True),
        ([1.0] * 20 + [5.0] + [9.0] * 12, [20, 13], False),  # 14 steps of the phase are needed
        ([9.0] * 20 + [2.0] * 7 + [3.1] * 21, [20, 7, 21], False),
        ([9.0] * 20 + [2.0] * 7 + [1.0] + [3.1] * 20, [20, 7, 21], True),
    ],
)
def test_divergence_is_told_within_one_phase(losses, lengths, diverged):
    hit = check_guards(in_phases(steps(losses), lengths), 0, ON)
    assert (hit is not None) == diverged
    if hit is not None:
        assert hit.evidence["phase"] == len(lengths)
        assert f"the first step's of phase {len(lengths)} (" in hit.reason


@pytest.mark.parametrize("settings", OFF)
def test_divergence_counts_only_with_pruning_and_guards_on(settings):
    assert check_guards(steps([2.0] + [9.0] * 30), 0, settings) is None


@hypothesis_settings(deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0]), min_size=1, max_size=40),
    st.integers(0, 10),
    st.integers(-8, 8),
)
def test_divergence_equals_its_definition_over_the_whole_history(losses, warmup_steps, exponent):
    medians = {
        step: statistics.median(losses[step - 5 : step]) for step in range(5, len(losses) + 1)
    }
    last_ten = range(len(losses) - 9, len(losses) + 1)
    expected = all(
        step > warmup_steps and step in medians and medians[step] > 1.5 * losses[0]
        for step in last_ten
    )
    assert (check_guards(steps(losses), warmup_steps, ON) is not None) == expected
    scaled = steps([loss * 2.0**exponent for loss in losses])  # another unit of the loss
    assert (check_guards(scaled, warmup_steps, ON) is not None) == expected


def test_only_the_first_and_the_last_14_observations_are_read():
    trial = steps([2.0] + [9.0] * 100)
    unreadable: list[Any] = [None] * (len(trial) - 15)
    assert check_guards([trial[0], *unreadable, *trial[-14:]], 0, ON) is not None
