"""`run.confirm`: the best again with other seeds, before a best is named."""

from __future__ import annotations

import json
import statistics
from typing import Any

import pytest

from sweep.account.constraints import Goal
from sweep.account.replicates import (
    Plan,
    best_trial,
    confirmed,
    original_of,
    replicated,
    wanted_numbers,
)
from sweep.storage.ledger import TrialRow
from tests.support.drivers import finish, start_driver
from tests.support.home import Home
from tests.support.sweep_ledgers import completed, trial
from trainer.contract.spec import UserError

GOAL = Goal("choice_accuracy")
PLAN = Plan(top=2, seeds=2)
CONFIRM = ("run.trials=5", "pruning.enabled=false", "run.confirm={top: 2, seeds: 2}")

ORIGINALS = [completed(0, 0.5), completed(1, 0.7), trial(2, "pruned"), completed(3, 0.6)]


def runs(**values: float | None) -> list[TrialRow]:
    """The originals and repeats as `n10001=0.65`; None: ended as not finite."""
    repeats = [
        trial(int(name[1:]), "pruned") if value is None else completed(int(name[1:]), value)
        for name, value in values.items()
    ]
    return [*ORIGINALS, *repeats]


def test_the_best_are_wanted_with_each_seed() -> None:
    assert wanted_numbers(ORIGINALS, GOAL, PLAN) == [10001, 10003, 20001, 20003]
    assert wanted_numbers(ORIGINALS, GOAL, Plan()) == []
    assert original_of(20003) == 3


def test_the_best_single_run_is_the_best_until_all_repeats_are_settled() -> None:
    rows = runs(n10001=0.1, n10003=0.9, n20001=0.1)
    assert confirmed(rows, GOAL, PLAN) is None
    best = best_trial(rows, GOAL, PLAN)
    assert best is not None and best.number == 1


def test_the_best_mean_over_the_seeds_wins_and_its_best_run_stands_for_it() -> None:
    rows = runs(n10001=0.5, n10003=0.68, n20001=0.6, n20003=0.64)
    first, second = replicated(rows, GOAL, PLAN)
    assert (first.original, second.original) == (3, 1)
    best = best_trial(rows, GOAL, PLAN)
    assert best is not None and best.number == 10003


def test_the_estimate_is_of_the_new_seeds_alone_and_the_ranking_of_all() -> None:
    rows = runs(n10001=0.5, n10003=0.54, n20001=0.6, n20003=0.6)
    first, second = replicated(rows, GOAL, PLAN)
    assert (first.original, first.first, first.values) == (1, 0.7, (0.5, 0.6))
    assert first.mean == pytest.approx(0.55)
    assert first.sd == pytest.approx(statistics.stdev([0.5, 0.6]))
    assert second.mean == pytest.approx(0.57)  # higher, but not with the run that it was picked by
    assert first.mean_of_all == pytest.approx(0.6) and second.mean_of_all == pytest.approx(0.58)


def test_without_a_completed_repeat_the_estimate_is_what_was_picked() -> None:
    (one,) = replicated([completed(0, 0.5), trial(10000, "failed")], GOAL, Plan(top=1, seeds=1))
    assert (one.values, one.mean, one.sd) == ((), 0.5, None)


def test_lower_is_better_for_a_loss() -> None:
    rows = runs(n10000=0.2, n10003=0.9)
    best = best_trial(rows, Goal("eval_loss"), Plan(top=2, seeds=1))
    assert best is not None and best.number == 10000


def test_a_configuration_that_blew_up_with_another_seed_is_last() -> None:
    rows = runs(n10001=None, n10003=0.3, n20001=0.9, n20003=0.3)
    assert [one.original for one in replicated(rows, GOAL, PLAN)] == [3, 1]


def test_a_repeat_that_failed_for_another_cause_is_left_out() -> None:
    rows = [*runs(n10003=0.9, n20001=0.7, n20003=0.9), trial(10001, "failed")]
    assert [one.values for one in confirmed(rows, GOAL, PLAN) or []][1] == (0.7,)


def test_a_configuration_without_a_completed_repeat_wins_over_none_that_has_one() -> None:
    rows = [*runs(n10003=0.5, n20003=0.4), trial(10001, "failed"), trial(20001, "failed")]
    first, last = confirmed(rows, GOAL, PLAN) or []
    assert (first.original, last.original) == (3, 1)  # by its one lucky seed, 0.7, it would be


# --- in a study


def originals(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [trial for trial in document["trials"] if trial["confirms"] is None]


@pytest.mark.slow
def test_a_study_confirms_its_best(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert home.run(*CONFIRM) == 0
    document = home.document()
    best_two = sorted(originals(document), key=lambda t: t["objective"])[:2]
    repeats = [t for t in document["trials"] if t["confirms"] is not None]
    assert sorted(t["number"] for t in repeats) == sorted(
        10_000 * i + t["number"] for i in (1, 2) for t in best_two
    )
    assert {t["state"] for t in repeats} == {"completed"}
    for one in repeats:
        original = document["trials"][one["confirms"]]
        assert one["params"] == original["params"]
        spec = json.loads((home.out / "trials" / f"{one['number']}" / "spec.json").read_text())
        assert spec["seed"] == one["further_seed"]
        assert spec["learning_rate"] == original["params"]["learning_rate"]

    new = {
        t["number"]: [r["objective"] for r in repeats if r["confirms"] == t["number"]]
        for t in best_two
    }
    means = {t["number"]: statistics.fmean([t["objective"], *new[t["number"]]]) for t in best_two}
    best = document["best"]
    assert best["confirms"] == min(means, key=lambda number: means[number])
    assert best["mean"] == pytest.approx(statistics.fmean(new[best["confirms"]]))
    assert (best["num_seeds"], document["confirm"]["is_confirmed"]) == (2, True)
    shown = " ".join(capsys.readouterr().out.split())
    value = f"{best['mean']:.4f} ± {best['sd']:.4f} (mean ± sd of 2 new seeds)"
    assert f"trial {best['confirms']}: {document['metric']} {value}, better than the base" in shown
    change = best["mean"] - document["base"]["objective"]
    assert f"({change:+.4f}, " in shown
    picked = document["trials"][best["confirms"]]["objective"]
    assert f"; picked at {picked:.4f}" in shown
    assert "ranked by the mean of all seeds, the one picked by too" in shown
    assert "5 of 5 trials settled" in shown
    assert "4 of 4 replicates settled" in shown


@pytest.mark.slow
def test_the_weights_are_those_of_the_best_run_of_the_best_configuration(home: Home) -> None:
    home.run(*CONFIRM)
    document = home.document()
    best = document["best"]
    runs_of_it = [t for t in document["trials"] if best["confirms"] in (t["number"], t["confirms"])]
    assert best["objective"] == min(t["objective"] for t in runs_of_it)
    assert (home.out / "best" / "model.safetensors").read_text() == str(best["number"])
    assert best["model_dir"] == str(home.out / "best")
    assert not list(home.out.glob("trials/*/model"))
    card = (home.out / "best" / "README.md").read_text()
    assert f"trial {best['confirms']}" in card
    assert "The best 2 were trained again with 2 new seeds each" in card
    assert f"its best run, trial {best['number']}" in card


@pytest.mark.slow
def test_optuna_and_the_cohort_know_nothing_of_repeats(home: Home) -> None:
    home.run(*CONFIRM)
    assert len(home.optuna_trials()) == 5
    home.run("run.trials=9", "run.confirm={top: 2, seeds: 2}", "run.workers=1")
    assert len(home.optuna_trials()) == 9
    document = home.document()
    assert len(originals(document)) == 9
    for one in document["trials"]:
        if one["confirms"] is not None:
            assert one["verdict"]["kind"] == "none"
            assert f"confirms trial {one['confirms']}" in one["verdict"]["reason"]
        elif one["forecast"]:
            assert one["forecast"]["incumbent"] < 9


@pytest.mark.slow
def test_run_again_a_confirmed_study_changes_nothing(home: Home) -> None:
    home.run(*CONFIRM)
    before = home.document()
    home.run(*CONFIRM)
    assert home.document() == before


@pytest.mark.slow
def test_a_finished_study_may_be_confirmed_later(home: Home) -> None:
    home.run(*CONFIRM[:2])
    assert home.document()["best"]["confirms"] is None
    home.run(*CONFIRM)
    assert home.document()["confirm"]["is_confirmed"]
    assert any("run.confirm.top: was 0, is 2" in line for line in home.lines)


@pytest.mark.slow
def test_a_repeat_that_is_not_finite_ends_and_others_never_do(home: Home) -> None:
    home.run(*CONFIRM[:2])
    first, second = sorted(originals(home.document()), key=lambda t: t["objective"])[:2]
    bad, diverging = 10_000 + first["number"], 10_000 + second["number"]
    home.script({bad: "always nan", diverging: "always diverge"})
    home.run(*CONFIRM, "pruning.enabled=true")
    document = home.document()
    states = {t["number"]: t["state"] for t in document["trials"]}
    assert (states[bad], states[diverging]) == ("pruned", "completed")
    assert document["best"]["confirms"] == second["number"]


@pytest.mark.slow
def test_a_stopped_study_is_confirmed_as_well(home: Home) -> None:
    stop = ("run.trials=16", "run.workers=1", "pruning.risk=0.35", "pruning.stop=true")
    spend = "pruning.max_expected_misses=100"
    assert home.run(*stop, spend, "run.confirm={top: 2, seeds: 1}") == 0
    document = home.document()
    assert document["confirm"]["is_confirmed"]
    assert document["stopping"]["num_not_started"] == 16 - len(originals(document))


@pytest.mark.slow
def test_a_driver_killed_while_it_confirms_goes_on(home: Home) -> None:
    home.run(*CONFIRM[:2])
    for _ in range(3):
        driver = start_driver(home, *CONFIRM)
        assert driver.stdout is not None
        for line in driver.stdout:
            if " again, seed " in line:
                break
        driver.kill()
        driver.communicate()
    finish(home, *CONFIRM)
    document = home.document()
    assert document["confirm"]["is_confirmed"]
    assert len(document["trials"]) == 9
    assert {t["state"] for t in document["trials"]} == {"completed"}
    assert (home.out / "best" / "model.safetensors").read_text() == str(document["best"]["number"])
    assert not list(home.out.glob("trials/*/model"))


def test_more_than_there_are_trials_cannot_be_confirmed(home: Home) -> None:
    with pytest.raises(UserError, match=r"run.confirm.top: 9 trials cannot be confirmed"):
        home.run("run.confirm.top=9")
