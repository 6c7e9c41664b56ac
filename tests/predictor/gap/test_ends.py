"""Where trials are expected to end, as samplers are shown it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from predictor.gap.ends import expected_ends
from predictor.gap.plan import plan
from predictor.types import CohortTrial, Settings, WindowSignals

SHARES = (0.1, 0.3)


def scouted(number: int, *evals: float | None, objective: float | None = None) -> CohortTrial:
    """A trial with a look for each evaluation."""
    first, *later = [WindowSignals(100 * (i + 1), 1.0, 1.0, None, e) for i, e in enumerate(evals)]
    config = {"learning_rate": 10.0 ** -(number % 5)}
    return CohortTrial(number, config, first, objective, looks=tuple(later))


COHORT = [scouted(i, 1.0 + 0.1 * i) for i in range(8)]
LED = [scouted(0, 1.0, 0.9, objective=0.7), *COHORT[1:]]


def test_while_none_is_finished_they_end_as_they_were_at_their_first_look() -> None:
    found = expected_ends(COHORT, SHARES)
    assert sorted(found, key=found.__getitem__) == list(range(8))
    assert found[0] == 0.0  # against the best there
    assert plan(COHORT, SHARES, Settings()).next == 0


def test_what_is_expected_is_what_the_plan_expects() -> None:
    forecasts = plan(LED, SHARES, Settings()).forecasts
    found = expected_ends(LED, SHARES)
    assert found == {0: 0.0} | {number: one.behind for number, one in forecasts.items()}


def test_finished_trials_stand_with_their_own_end_in_the_same_unit() -> None:
    """Median - best of the early evaluations is 0.35."""
    trials = [*LED[:-1], scouted(7, 1.7, 1.6, objective=0.7 + 0.35 / 2)]
    assert expected_ends(trials, SHARES)[7] == pytest.approx(0.5)
    far = [*LED[:-1], scouted(7, 1.7, 1.6, objective=0.7 + 0.35 * math.e)]
    assert expected_ends(far, SHARES)[7] == pytest.approx(2.0)  # bent


def test_of_a_finished_trial_its_end_is_enough() -> None:
    other = CohortTrial(9, {"learning_rate": 1.0}, None, 0.7 - 0.35 / 2)
    assert expected_ends([*LED, other], SHARES)[9] == pytest.approx(-0.5)
    assert 9 not in expected_ends([*COHORT, other], SHARES)  # to be compared with no end


def test_when_all_are_finished_only_their_ends_count() -> None:
    trials = [replace(trial, objective=2.0 - 0.1 * trial.number) for trial in COHORT]
    found = expected_ends(trials, SHARES)
    assert sorted(found, key=found.__getitem__) == list(range(7, -1, -1))


def test_without_early_evaluations_the_prior_stands_until_ends_have_a_unit() -> None:
    blind = [
        replace(scouted(i, None), window=WindowSignals(100, 1.0 + 0.1 * i, 1.0, None, None))
        for i in range(8)
    ]
    told = [replace(trial, objective=3.0 - 0.1 * trial.number) for trial in blind[:3]]
    for some in (blind, [*told[:2], *blind[2:]]):
        found = expected_ends(some, SHARES)
        assert sorted(found, key=found.__getitem__) == list(range(8))
    found = expected_ends([*told, *blind[3:]], SHARES)
    assert found.keys() == set(range(8)) and found[2] == 0.0 < found[1] < found[0]


def test_order_and_units_change_nothing_and_nothing_is_known_of_nothing() -> None:
    expected = expected_ends(LED, SHARES)
    assert expected_ends(LED[::-1], SHARES) == expected
    other = [
        scouted(
            trial.number,
            *(7 * (look.early_eval or 0) - 3 for look in (trial.window, *trial.looks) if look),
            objective=None if trial.objective is None else 7 * trial.objective - 3,
        )
        for trial in LED
    ]
    assert expected_ends(other, SHARES) == pytest.approx(expected)
    assert expected_ends([], SHARES) == {}
