"""Scouting as a policy: all to the first look, then those that promise most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictor.replay.policies import TopByEarlyEval
from predictor.replay.replay import replay
from predictor.replay.scouting import Scouting
from predictor.types import LOOKS, Settings
from tests.support.tuning_studies import noise, study, tells_at_once

NO_AUDITS = Settings(audit=0.0)


@pytest.mark.slow
def test_where_an_early_evaluation_tells_all_little_more_than_the_scouts_is_trained() -> None:
    told = [tells_at_once(name, 16) for name in ("a", "b", "c", "d")]
    found = [replay(one, Scouting(NO_AUDITS), seed=0) for one in told]
    assert all(one.regret == 0 for one in found)
    assert sum(one.compute for one in found) / 4 < 0.4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a", "b", "c", "d", "e", "f"])
def test_a_prior_of_the_wrong_sign_is_overruled(name: str) -> None:
    """Where the worse early evaluation is the better end, some eight runs tell that."""
    told = tells_at_once(name, 24)
    runs = [
        replace(run, evals=np.column_stack([run.evals[:, 0], 4 - run.evals[:, 1]]))
        for run in told.runs
    ]
    found = replay(replace(told, runs=tuple(runs)), Scouting(NO_AUDITS), seed=0)
    assert found.regret == 0
    assert len(found.kept) <= 8


@pytest.mark.slow
def test_where_no_early_number_tells_anything_nearly_all_is_trained() -> None:
    found = [replay(noise(name, 16), Scouting(NO_AUDITS), seed=0) for name in ("a", "b", "c", "d")]
    blind = [replay(noise(name, 16), TopByEarlyEval(3), seed=0) for name in ("a", "b", "c", "d")]
    assert sum(one.compute for one in found) > sum(one.compute for one in blind)
    assert sum(one.regret for one in found) < sum(one.regret for one in blind)


def test_of_what_is_given_up_the_probability_is_stated() -> None:
    found = replay(tells_at_once("a", 16), Scouting(NO_AUDITS), seed=0)
    assert found.states_risk
    assert found.prunes
    stated = [prune.probability for prune in found.prunes]
    assert all(p is not None and p < NO_AUDITS.risk for p in stated)
    assert sum(p or 0.0 for p in stated) <= NO_AUDITS.max_expected_misses


def test_every_run_is_scouted_and_parked_at_a_look() -> None:
    found = replay(tells_at_once("a", 16), Scouting(NO_AUDITS), seed=0)
    assert {prune.share for prune in found.prunes} <= set(LOOKS)
    assert len(found.prunes) + len(found.kept) == 16


def test_audited_runs_go_on_to_their_ends() -> None:
    told = tells_at_once("a", 16)
    plain = replay(told, Scouting(NO_AUDITS), seed=0)
    audited = replay(told, Scouting(replace(NO_AUDITS, audit=1.0)), seed=0)
    assert plain.prunes and not audited.prunes
    assert set(plain.kept) < set(audited.kept)


@pytest.mark.parametrize("num_workers", [2, 5])
def test_several_workers_take_less_time_and_lose_no_more(num_workers: int) -> None:
    told = tells_at_once("a", 16)
    one = replay(told, Scouting(NO_AUDITS), seed=0)
    several = replay(told, Scouting(NO_AUDITS), seed=0, num_workers=num_workers)
    assert several.regret == one.regret == 0
    assert several.wall < one.wall


def test_what_lies_beyond_a_look_changes_nothing_before_it() -> None:
    whole, scouting = study("a", 0.2, 16), Scouting(replace(NO_AUDITS, looks=()))
    runs = [replace(run, evals=run.evals[run.evals[:, 0] <= 10]) for run in whole.runs]
    cut = replace(whole, runs=tuple(runs))
    assert replay(cut, scouting, seed=0).prunes == replay(whole, scouting, seed=0).prunes
