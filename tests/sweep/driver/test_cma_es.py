"""CMA-ES told of all trials anew for each draw: what it draws, and of which parameters."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.driver.cma_es import ReplayedCmaEs

pytest.importorskip("cmaes")

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-6, 1e-2, log=True),
    "batch": CategoricalDistribution((32, 4, 16, 8)),
    "rank": IntDistribution(1, 64, log=True),
    "word": CategoricalDistribution(("constant", "cosine")),
    "one": FloatDistribution(0.1, 0.1),
}


def run(num: int, space: dict[str, BaseDistribution] = SPACE, sign: int = 1) -> list[Any]:
    """A study whose best is a rate of 1e-3 at batch 8."""
    study = optuna.create_study(direction="minimize" if sign == 1 else "maximize")
    for number in range(num):
        study.sampler = ReplayedCmaEs(space, seed=number, n_startup_trials=5)
        trial = study.ask(space)
        far = abs(math.log10(trial.params["rate"]) + 3) + abs(math.log2(trial.params["batch"]) - 3)
        study.tell(trial, sign * far)
    return [trial.params for trial in study.trials]


def test_it_ends_up_where_it_was_good() -> None:
    params = run(80)
    late = params[60:]
    assert sum(abs(math.log10(p["rate"]) + 3) for p in late) / 20 < 0.4  # chance: 1.2
    assert sum(p["batch"] == 8 for p in late) > 10  # chance: 5
    assert run(80, sign=-1) == params  # the direction is the study's


def test_draws_are_of_the_space_and_words_of_any_kind() -> None:
    params = run(60)
    assert {p["word"] for p in params[20:]} == {"constant", "cosine"}
    assert all(1e-6 <= p["rate"] <= 1e-2 and p["one"] == 0.1 for p in params)
    assert {type(p["rank"]) for p in params} == {type(p["batch"]) for p in params} == {int}


def test_a_restart_changes_no_draw_as_nothing_is_kept() -> None:
    assert run(30)[:20] == run(20)
    study = optuna.create_study()
    study.sampler = ReplayedCmaEs(SPACE, 0, 0)
    study.ask(SPACE)
    assert study.trials[0].system_attrs == {}


def test_words_alone_are_drawn_at_random() -> None:
    space = {"word": SPACE["word"]}
    study = optuna.create_study(sampler=ReplayedCmaEs(space, 0, 0))
    assert study.ask(space).params["word"] in ("constant", "cosine")
