"""No trial is trained twice: not by TPE, nor by any other sampler, queue or restart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import optuna
import pytest

from sweep.config.load import load_study
from sweep.driver.optuna_study import OptunaStudy
from sweep.driver.sameness import identity
from sweep.storage.states import State
from tests.support.home import Home
from trainer.contract.spec import ModelSpec, TrialSpec

pytestmark = pytest.mark.slow

TWO_RATES = "search.space.learning_rate={choices: [1e-4, 1e-3]}"  # with two batch sizes: 4 points
SPEC = TrialSpec(
    number=0, seed=0, model=ModelSpec("base"), data_dir="", trial_dir="", batch_size=8,
    budget_samples=80, window_samples=0, metrics=("eval_loss",), early_eval=0, learning_rate=1e-3,
)  # fmt: skip


def points(home: Home) -> list[str]:
    return [str(trial["params"]) for trial in home.document()["trials"]]


@pytest.mark.parametrize(
    ("sampler", "workers"), [("tpe", 1), ("tpe", 2), ("random", 2), ("qmc", 1), ("grid", 2)]
)
def test_a_small_space_is_tried_once_and_then_it_is_said_that_it_is_exhausted(
    home: Home, sampler: str, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ways = (f"search.sampler={sampler}", TWO_RATES, f"run.workers={workers}")
    assert home.run(*ways, "run.trials=9", "pruning.enabled=false") == 0
    assert len(points(home)) == len(set(points(home))) == 4
    assert home.document()["state"] == "done"
    said = " ".join(capsys.readouterr().out.split())
    assert "Ended after 4 of 9 trials: every configuration of the space has been tried" in said
    assert [t.state.name for t in home.optuna_trials()] == ["COMPLETE"] * 4
    assert home.run(*ways, "run.trials=9", "pruning.enabled=false") == 0
    assert len(points(home)) == 4


def test_tpe_goes_on_with_other_points_where_it_prefers_one(home: Home) -> None:
    """Twelve trials on sixteen points: without a check TPE takes its favourite again and again."""
    rates = "search.space.learning_rate={choices: [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1]}"
    ways = ("search.sampler=tpe", rates, "run.workers=1", "pruning.enabled=false")
    home.run(*ways, "run.trials=8")
    home.run(*ways, "run.trials=12")
    assert len(points(home)) == len(set(points(home))) == 12


def test_a_countless_space_whose_points_all_train_alike_is_exhausted(home: Home) -> None:
    """40 or 80 steps: up to a fortieth of warmup is one step, or two of 80."""
    sampling = "search.space={learning_rate: 1e-3, batch_size: {choices: [4, 8]}, warmup_ratio: "
    ways = (sampling + "{low: 0.001, high: 0.024}}", "run.trials=9", "pruning.enabled=false")
    assert home.run(*ways, "search.sampler=random") == 0
    found = {
        (
            t["params"]["batch_size"],
            -(-t["params"]["warmup_ratio"] * 320 // t["params"]["batch_size"]),
        )
        for t in home.document()["trials"]
    }
    assert len(found) == len(points(home)) == 3


def test_recipes_that_round_to_one_training_are_one(home: Home) -> None:
    sampling = (
        "search.space={learning_rate: {low: 1e-5, high: 1e-1}, batch_size: 8,"
        " warmup_ratio: {choices: [0.01, 0.03, 0.06]}}"
    )
    ways = (sampling, "search.recipes=[lab, tulu]", "budget.samples=264", "pruning.enabled=false")
    assert home.run(*ways, "run.trials=3", "pruning.min_steps=4") == 0
    document = home.document()
    assert [trial["recipe"] for trial in document["trials"]] == ["lab", None, None]
    assert "recipe tulu is the same as a trial before it" in document["notes"]
    assert len(home.optuna_trials()) == 3


def test_what_is_queued_by_hand_is_trained_once_and_looks_like_no_second_result(home: Home) -> None:
    home.run("run.trials=1", "run.workers=1")
    study = optuna.load_study(study_name="fake", storage=f"sqlite:///{home.out / 'study.db'}")
    new = {"learning_rate": 1e-3, "batch_size": 4}
    for point in (study.trials[0].params, new, new):
        study.enqueue_trial(point)
    home.run("run.trials=3", "run.workers=1", "pruning.enabled=false")
    trials = home.document()["trials"]
    assert [trial["number"] for trial in trials] == [0, 2, 4]
    assert trials[1]["params"]["learning_rate"] == 1e-3
    told = home.optuna_trials()
    assert [t.state.name for t in told] == ["COMPLETE", "FAIL", "COMPLETE", "FAIL", "COMPLETE"]
    assert all("same as an earlier trial" in told[n].user_attrs["reason"] for n in (1, 3))


def test_repeats_with_other_seeds_are_no_duplicates(home: Home) -> None:
    confirm = "run.confirm={top: 1, seeds: 2}"
    assert home.run("search.sampler=tpe", TWO_RATES, "run.trials=4", confirm) == 0
    assert len(home.document()["trials"]) == 6


def test_draws_are_the_samplers_own_where_nothing_was_tried(home: Home) -> None:
    """Seeing to it that nothing is tried twice changes no draw that is new."""
    study = load_study(str(home.file), ["search.sampler=tpe", "run.trials=9"]).study
    drawn: list[list[dict[str, Any]]] = []
    for name in ("one", "two"):
        asker = OptunaStudy(study, f"sqlite:///{home.folder / name}.db")
        params: list[dict[str, Any]] = []
        for value in range(8):
            if name == "one":
                asked = asker.ask(False, lambda point: False)
                assert asked is not None
                params.append(asked.params)
                number = asked.number
            else:
                from sweep.driver import sampling

                asker.optuna.sampler = sampling.make_sampler(study, value, False)
                trial = asker.optuna.ask()
                params.append(sampling.suggest(trial, study))
                number = trial.number
            asker.tell(number, State.COMPLETED, float(value % 3))
        drawn.append(params)
        asker.close()
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"warmup_ratio": 0.01}, {"warmup_ratio": 0.1}, True),  # of 10 steps: one either way
        ({"warmup_ratio": 0.1}, {"warmup_ratio": 0.11}, False),
        ({"budget_samples": 73}, {"budget_samples": 80}, True),  # whole steps of 8
        ({"budget_samples": 72}, {"budget_samples": 80}, False),
        ({"schedule": "linear"}, {"schedule": "cosine"}, False),
        ({"schedule": "linear", "warmup_ratio": 0.9}, {"warmup_ratio": 0.9}, True),
        (
            {"schedule": "linear", "warmup_ratio": 0.8},
            {"schedule": "cosine", "warmup_ratio": 0.8},
            True,
        ),
        ({"schedule": "linear", "warmup_ratio": 0.8}, {"warmup_ratio": 0.8}, False),
        ({"clip": 1}, {"clip": 1.0}, True),
        ({"learning_rate": 1e-3}, {"learning_rate": 1e-3 + 1e-19}, True),  # the same float
        ({"learning_rate": 1e-3}, {"learning_rate": 1.0000001e-3}, False),
        ({"seed": 0}, {"seed": 1}, False),
        ({"number": 0, "num_threads": 1}, {"number": 1, "num_threads": 2}, True),
        ({"model": ModelSpec("base", weights="bfloat16")}, {}, False),
    ],
)
def test_trials_are_the_same_as_the_training_sees_them(
    one: dict[str, Any], other: dict[str, Any], is_same: bool
) -> None:
    first, second = replace(SPEC, **one), replace(SPEC, **other)
    assert (identity(first) == identity(second)) is is_same


@pytest.mark.parametrize("left_steps", [0, 1, 2, 3])
def test_schedules_are_the_same_exactly_where_their_rates_are(left_steps: int) -> None:
    """Against transformers' own schedules."""
    import torch
    from transformers import get_scheduler

    from trainer.training.config import SCHEDULES

    def rates(spec: TrialSpec) -> list[float]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=spec.learning_rate)
        scheduler = get_scheduler(
            SCHEDULES[spec.schedule],
            optimizer,
            num_warmup_steps=spec.warmup_steps,
            num_training_steps=spec.num_steps,
        )
        found: list[float] = []
        for _ in range(spec.num_steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    specs = [
        replace(SPEC, schedule=schedule, warmup_ratio=(10 - left_steps) / 10)
        for schedule in ("constant", "linear", "cosine")
    ]
    for one in specs:
        for other in specs:
            assert (identity(one) == identity(other)) == (rates(one) == rates(other))
