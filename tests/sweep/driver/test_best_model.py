"""Whose weights stay where a study has constraints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.account.constraints import Goal
from sweep.account.replicates import Plan, best_trial
from sweep.config.study import Study as StudyFile
from sweep.driver.best_model import KeptModels
from sweep.driver.roster import Roster
from sweep.driver.trial import State, Trial
from sweep.storage.ledger import TrialRow
from sweep.storage.paths import StudyPaths, best_kept
from tests.support.sweep_ledgers import trial

MMLU = "lm_eval:mmlu"
GOAL = Goal.of(
    {"metric": "choice_accuracy", "constraints": [{"metric": MMLU, "at_least": 0.4}]}, {}
)
WHOLE: dict[str, Any] = {
    "name": "x",
    "model": {"base": "x"},
    "data": {"train": "x", "eval": "y"},
    "budget": {"epochs": 1},
    "search": {"space": {"learning_rate": 1e-4, "batch_size": 8}},
}


class Study:
    """Trials that end one after the other, each with its weights."""

    def __init__(self, folder: Path, keep: str = "best") -> None:
        self.paths, self.roster = StudyPaths(folder), Roster(GOAL)
        config = StudyFile.model_validate({**WHOLE, "run": {"keep": keep}})
        self.models = KeptModels(self.paths, self.roster, Plan(), config)

    def ends(self, number: int, objective: float, mmlu: float) -> None:
        measured = {"choice_accuracy": objective, MMLU: mmlu}
        found = {name: {"value": value, "num": 100} for name, value in measured.items()}
        row = trial(number, "completed", objective=objective, measurements=found)
        self.paths.trial_model(number).mkdir(parents=True)
        (self.paths.trial_model(number) / "weights").touch()
        spec: Any = type("Spec", (), {"warmup_steps": 0, "window_steps": 1, "num_steps": 10})()
        self.roster.add(Trial(row, spec))
        self.models.settle([row], self.best)

    @property
    def best(self) -> TrialRow | None:
        return best_trial(self.roster.contenders, GOAL, Plan())

    @property
    def kept(self) -> list[int]:
        there = [int(one.parent.parent.name) for one in self.paths.trials.glob("*/model/weights")]
        return sorted(there)


def test_while_none_is_feasible_the_nearest_keeps_its_weights_and_is_not_called_the_best(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    study.ends(0, 0.9, mmlu=0.30)
    assert (study.kept, best_kept(study.paths)) == ([0], None)
    study.ends(1, 0.9, mmlu=0.35)
    assert (study.kept, best_kept(study.paths)) == ([1], None)
    study.ends(2, 0.9, mmlu=0.20)
    assert (study.kept, best_kept(study.paths)) == ([1], None)


def test_the_first_feasible_trial_takes_its_place(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.ends(0, 0.9, mmlu=0.39)
    study.ends(1, 0.5, mmlu=0.41)
    assert (study.kept, best_kept(study.paths)) == ([], 1)
    study.ends(2, 0.95, mmlu=0.399)  # better, and not feasible
    assert (study.kept, best_kept(study.paths)) == ([], 1)
    study.ends(3, 0.6, mmlu=0.41)
    assert (study.kept, best_kept(study.paths)) == ([], 3)


@pytest.mark.parametrize(("keep", "kept"), [("all", [0, 1]), ("none", [])])
def test_what_is_kept_else_is_kept_as_before(tmp_path: Path, keep: str, kept: list[int]) -> None:
    study = Study(tmp_path, keep)
    study.ends(0, 0.9, mmlu=0.30)
    study.ends(1, 0.5, mmlu=0.20)
    assert (study.kept, best_kept(study.paths)) == (kept, None)


def test_infeasible_ends_are_compared_with_none(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.ends(0, 0.9, mmlu=0.30)
    study.ends(1, 0.5, mmlu=0.41)
    assert len(study.roster.objectives) == 1
    cohort = study.roster.cohort_of(study.roster.trials[1])
    assert [one.is_finished for one in sorted(cohort, key=lambda one: one.number)] == [False, True]
    assert study.roster.count(State.COMPLETED) == 2
