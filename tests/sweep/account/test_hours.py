"""How many scouts a number of hours has room for, and what is kept for finishing."""

from __future__ import annotations

import json

import pytest

from sweep.account.hours import FEWEST_SCOUTS, KEY, MARGIN, Hours, Pace, kept_s, room
from sweep.account.terms import Terms

PACE = Pace(num=3, scout_s=60.0, rest_s=600.0)
H = 3600.0


def test_the_pace_is_the_mean_of_the_scouts_measured() -> None:
    found = Pace().measured(10.0, 100.0).measured(20.0, 300.0)
    assert found == Pace(2, 15.0, 200.0)


@pytest.mark.parametrize(
    ("workers", "num_ended", "replicates", "seconds"),
    [
        (1, 0, 0, 3 * 600),  # three from their first look to their ends
        (2, 0, 0, 2 * 600),  # two at a time
        (8, 0, 0, 600),
        (1, 2, 0, 600),  # two have ended
        (1, 9, 0, 600),  # one is always kept
        (2, 0, 3, 2 * 600 + 2 * 660),  # replicates are whole runs
    ],
)
def test_what_is_kept_for_finishing(
    workers: int, num_ended: int, replicates: int, seconds: float
) -> None:
    assert kept_s(PACE, workers, num_ended, replicates) == pytest.approx(MARGIN * seconds)


@pytest.mark.parametrize(
    ("workers", "seconds", "num"), [(1, H, 60), (4, H, 240), (1, 59, 0), (3, -5, 0)]
)
def test_how_many_scouts_fit(workers: int, seconds: float, num: int) -> None:
    assert room(PACE, workers, seconds) == num


def test_nothing_fits_while_no_scout_has_told_how_long_it_takes() -> None:
    assert room(Pace(), 4, H) == 0


def test_what_was_decided_is_on_record_with_the_facts() -> None:
    hours = Hours(34, 12.5, PACE, 8.0, "why")
    facts = {"num_params": 1, KEY: json.loads(json.dumps(hours.to_json()))}
    assert Hours.of(facts) == hours
    assert Hours.of({}).trials == FEWEST_SCOUTS


def test_how_many_trials_there_will_be_is_what_was_decided_last() -> None:
    facts = {KEY: Hours(34).to_json()}
    assert Terms.of({"run": {"trials": "auto"}}, facts).num_trials == 34
    assert Terms.of({"run": {"trials": "auto"}}).num_trials == FEWEST_SCOUTS
    assert Terms.of({"run": {"trials": 16}}, facts).num_trials == 16  # given after all
    assert Terms.of({}, facts).num_trials is None
