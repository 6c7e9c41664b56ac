"""Successive halving that parks and promotes, at the looks of scouting."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from predictor.recorded.runs import RecordedStudy
from predictor.replay.asha import Asha
from predictor.replay.looking import closes_of
from predictor.replay.policies import WindowSetting
from predictor.replay.product import product
from predictor.replay.replay import replay
from predictor.replay.scouting import Scouting
from predictor.types import LOOKS, Settings
from tests.support.tuning_studies import tells_at_once

NO_AUDITS = Settings(audit=0.0)


def evaluated_at(study: RecordedStudy, *shares: float) -> RecordedStudy:
    """The study without evaluations elsewhere than there, and at the end."""
    runs = []
    for run in study.runs:
        kept = np.isclose(run.evals[:, [0]] / run.horizon, [*shares, 1.0]).any(axis=1)
        runs.append(replace(run, evals=run.evals[kept]))
    return replace(study, runs=tuple(runs))


@pytest.mark.parametrize("eta", [2, 3])
def test_of_each_rung_a_share_goes_on_and_one_ends(eta: int) -> None:
    told = tells_at_once("a", 16)
    found = replay(told, Asha(eta), seed=0)
    shares = [prune.share for prune in found.prunes]
    at = [share for share in LOOKS if share in shares]
    reached = [sum(share >= look for share in shares) + len(found.kept) for look in at]
    assert reached[0] == 16
    for more, fewer in pairwise(reached):
        assert fewer >= more // eta
    assert len(found.kept) >= 1
    assert found.compute < 0.5
    assert not found.states_risk


def test_the_best_by_early_evaluation_is_kept() -> None:
    assert replay(tells_at_once("a", 16), Asha(2), seed=0).regret == 0


def test_a_run_alone_is_trained_to_its_end() -> None:
    alone = tells_at_once("a", 16)
    found = replay(replace(alone, runs=alone.runs[:1]), Asha(2), seed=0)
    assert (found.compute, len(found.kept)) == (1.0, 1)


def test_looks_without_evaluations_are_none() -> None:
    told = tells_at_once("a", 8)
    everywhere = closes_of(told, WindowSetting(0.1, 1), LOOKS)
    first, *later = everywhere
    horizon = min(run.horizon for run in told.runs)
    assert later == pytest.approx([0.2 * horizon, 0.3 * horizon, 0.5 * horizon])
    once = evaluated_at(told, first / horizon)
    assert closes_of(once, WindowSetting(0.1, 1), LOOKS) == (first,)
    never = evaluated_at(told)
    assert closes_of(never, WindowSetting(0.1, 1), LOOKS) == everywhere


def test_the_product_scouts_or_judges_each_alone_as_its_settings_say() -> None:
    told = tells_at_once("a", 16)
    scout = replay(told, product(NO_AUDITS, WindowSetting()), seed=0)
    assert scout.compute == replay(told, Scouting(NO_AUDITS), seed=0).compute
    stream = product(replace(NO_AUDITS, mode="stream"), WindowSetting())
    assert stream.settings["mode"] == "stream"
    assert replay(told, stream, seed=0).compute > scout.compute
