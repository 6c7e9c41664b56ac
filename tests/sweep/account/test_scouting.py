"""Who is compared with whom where trials are scouted, and at which looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from predictor.gap.bent import unbent
from predictor.gap.units import bend
from sweep.account.constraints import Goal
from sweep.account.scouting import scouted
from sweep.storage.ledger import TrialRow
from tests.support.sweep_ledgers import completed, trial

GOAL = Goal("choice_accuracy")


def look(samples: int, early_eval: float = 0.4, **changes: Any) -> dict[str, Any]:
    seen = {"loss": 2.0, "grad_norm": 3.0, "grad_norm_noise_free": None, "phase": 0}
    place = {"samples": samples, "share": samples / 640, "early_eval": early_eval}
    return {**seen, **place, "early_eval_num": 64, **changes}


def parked(number: int, *looks: dict[str, Any], state: str = "parked", **more: Any) -> TrialRow:
    return trial(number, state, window=looks[0], looks=list(looks[1:]) or None, **more)


def numbers(*rows: TrialRow, guarded: frozenset[int] = frozenset()) -> list[int]:
    return [one.number for one in scouted(rows, GOAL, guarded).trials]


def test_each_trial_is_seen_at_the_looks_that_it_has_reached() -> None:
    best = completed(0, 0.7)
    best.window, best.looks = look(64), [look(128), look(320)]
    found = scouted([parked(1, look(64, 0.3), look(128, 0.5)), best], GOAL, ())
    assert found.shares == (0.1, 0.2, 0.5)
    first, second = found.trials
    assert (first.number, first.is_finished, len(first.looks)) == (0, True, 2)
    assert second.window is not None and second.objective is None
    evals = [one.early_eval for one in (second.window, *second.looks)]
    assert evals == [1 - 0.3 + 1 / 128, 1 - 0.5 + 1 / 128]  # minimized: lower is better


def test_what_failed_was_ended_by_a_guard_or_repeats_another_is_left_out() -> None:
    others = [
        parked(1, look(64), state="failed"),
        parked(2, look(64), state="pruned"),
        parked(10_000, look(64)),
        trial(3, "running", window=None),
    ]
    assert numbers(parked(0, look(64)), *others, guarded=frozenset({2})) == [0]
    assert numbers(parked(0, look(64)), *others) == [0, 2]  # given up: it still tells of the others
    assert numbers(*others[2:]) == []


def test_a_window_elsewhere_than_the_latest_is_not_compared() -> None:
    assert numbers(parked(0, look(64)), parked(1, look(128)), parked(2, look(128))) == [1, 2]


def test_looks_elsewhere_end_what_is_compared_of_a_trial() -> None:
    rows = [
        parked(0, look(64), look(192), look(320)),
        parked(1, look(64), look(128), look(320)),
        parked(2, look(64), look(128)),
    ]
    found = scouted(rows, GOAL, ())
    assert found.shares == (0.1, 0.2, 0.5)
    assert [len(one.looks) for one in found.trials] == [0, 2, 1]


def test_an_early_evaluation_of_other_samples_is_none() -> None:
    others = {"eval_loss": {"value": 2.0, "num": 9, "stderr": 0.1}}
    few = look(64, early_eval_num=32, early_others=others)
    rows = [parked(0, few), parked(1, look(64, early_others=others))]
    windows = [one.window for one in scouted(rows, GOAL, ()).trials if one.window]
    assert [one.early_eval for one in windows] == [None, 1 - 0.4 + 1 / 128]
    assert [one.early_others for one in windows] == [{}, {"eval_loss": 2.0}]


def test_trials_from_before_scouting_count_where_their_window_was_the_same() -> None:
    before = completed(0, 0.7)
    before.window = {**look(64)}
    del before.window["share"]
    assert numbers(before, parked(1, look(64))) == [0, 1]
    assert scouted([before], GOAL, ()).shares == ()  # nothing is scouted


@pytest.mark.parametrize("gap", [-9.0, -1.0, -0.3, 0.0, 0.5, 1.0, 4.0])
def test_a_gap_is_told_without_its_bend(gap: float) -> None:
    assert unbent(float(bend(np.array([gap]))[0])) == pytest.approx(gap)
