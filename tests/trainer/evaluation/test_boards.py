"""Leaderboards as one number, worked by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from lm_eval.api.metrics import mean

from trainer.contract.spec import UserError
from trainer.evaluation import boards
from trainer.evaluation.benchmark_scores import group_tree, strict_scores
from trainer.evaluation.score_tree import (
    Mean,
    Score,
    above_chance,
    leaves,
    value_of,
    weights_of,
)
from trainer.evaluation.tasks import Loaded


def task(name: str, metric: str, num_choices: int = 4) -> Any:
    return SimpleNamespace(
        task_name=name,
        aggregation=lambda: {metric: mean},
        higher_is_better=lambda: {metric: True},
        _filters=[SimpleNamespace(name="none")],
        task_docs=[None],
        doc_to_choice=lambda _: ["x"] * num_choices,
    )


class Group:
    def __init__(self, name: str, metric: str | None, members: list[Any]) -> None:
        self.name, self._members = name, members
        one = SimpleNamespace(metric=metric, weight_by_size=True)
        self.aggregate_metric_list = [one] if metric else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._members)

    def get_all_tasks(self) -> list[Any]:
        return list(self._members)


@pytest.fixture
def second() -> Loaded:
    """The second version's tasks, with two of BBH and of MATH."""
    bbh = [task("bbh_two", "acc_norm", 2), task("bbh_five", "acc_norm", 5)]
    gpqa = [task("gpqa_main", "acc_norm"), task("gpqa_diamond", "acc_norm")]
    math = [task("math_algebra", "exact_match"), task("math_geometry", "exact_match")]
    musr = [task(f"musr_{name}", "acc_norm") for name in boards._MUSR]
    alone = [task("leaderboard_mmlu_pro", "acc"), task("leaderboard_ifeval", "prompt")]
    groups = {
        "leaderboard_bbh": Group("leaderboard_bbh", "acc_norm", bbh),
        "leaderboard_gpqa": Group("leaderboard_gpqa", "acc_norm", gpqa),
        "leaderboard_math_hard": Group("leaderboard_math_hard", "exact_match", math),
        "leaderboard_musr": Group("leaderboard_musr", "acc_norm", musr),
    }
    tasks = {one.task_name: one for one in (*bbh, *gpqa, *math, *musr, *alone)}
    return Loaded(tasks, groups)


def answers(right: int, of: int) -> np.ndarray:
    return np.array([1.0] * right + [0.0] * (of - right))


SCORES = {
    "bbh_two": answers(8, 10),  # (0.8 - 0.5) / 0.5 = 0.6
    "bbh_five": answers(1, 10),  # below 0.2: 0
    "gpqa_main": answers(5, 10),
    "gpqa_diamond": answers(2, 4),  # together 7/14: (0.5 - 0.25) / 0.75 = 1/3
    "math_algebra": answers(1, 10),
    "math_geometry": answers(2, 5),  # together 3/15
    "musr_murder_mysteries": answers(6, 8),  # 0.5
    "musr_object_placements": answers(1, 10),  # below 0.2: 0
    "musr_team_allocation": answers(2, 3),  # 0.5
    "leaderboard_mmlu_pro": answers(19, 100),  # 0.1
    "leaderboard_ifeval": np.array([0.4, 0.2]),
}


def test_the_second_version_counts_what_lies_above_chance(second: Loaded) -> None:
    tree = boards.second(None, second)
    scores = above_chance(tree, SCORES)
    parts = [0.3, (0.6 + 0) / 2, 0.2, 1 / 3, (0.5 + 0 + 0.5) / 3, 0.1]
    assert value_of(tree, scores) == pytest.approx(np.mean(parts))
    assert isinstance(tree, Mean)
    assert [value_of(part, scores) for part in tree.parts] == pytest.approx(parts)


def test_raw_is_without(second: Loaded) -> None:
    tree = boards.second("raw", second)
    assert above_chance(tree, SCORES).keys() == SCORES.keys()
    parts = [0.3, (0.8 + 0.1) / 2, 0.2, 0.5, (0.75 + 0.1 + 2 / 3) / 3, 0.19]
    assert value_of(tree, above_chance(tree, SCORES)) == pytest.approx(np.mean(parts))
    with pytest.raises(UserError, match="it has raw"):
        boards.second("acc", second)


def test_the_value_is_the_weighted_mean_of_the_questions(second: Loaded) -> None:
    tree = boards.second(None, second)
    scores = above_chance(tree, SCORES)
    weights = weights_of(tree, scores)
    total = sum(weights[name] * own.sum() for name, own in scores.items())
    assert total == pytest.approx(value_of(tree, scores))
    assert sum(weights[name] * len(own) for name, own in scores.items()) == pytest.approx(1)


def test_what_was_not_asked_does_not_count(second: Loaded) -> None:
    tree = boards.second(None, second)
    few = {"bbh_two": SCORES["bbh_two"], "leaderboard_mmlu_pro": SCORES["leaderboard_mmlu_pro"]}
    assert value_of(tree, above_chance(tree, few)) == pytest.approx((0.6 + 0.1) / 2)


def test_the_first_version_has_the_boards_six_and_their_shots(tmp_path: Path) -> None:
    boards.write_first(tmp_path)
    group = yaml.safe_load((tmp_path / "openllm.yaml").read_text())
    shots = {member["task"]: member["num_fewshot"] for member in group["task"]}
    assert shots == {
        "arc_challenge": 25,
        "hellaswag": 10,
        "truthfulqa_mc2": 0,
        "mmlu": 5,
        "winogrande": 5,
        "gsm8k": 5,
    }


def test_a_group_that_adds_nothing_up_is_the_mean_of_its_members() -> None:
    mmlu = Group("mmlu", "acc", [task("law", "acc"), task("art", "acc")])
    board = Group("openllm", None, [task("arc_challenge", "acc_norm"), mmlu])
    tree = group_tree(board)
    scores = {"arc_challenge": answers(1, 2), "law": answers(1, 1), "art": answers(0, 3)}
    assert value_of(tree, scores) == pytest.approx((0.5 + 0.25) / 2)
    assert [leaf.metric for leaf in leaves(tree)] == ["acc_norm", "acc", "acc"]


def test_ifeval_is_the_mean_of_its_two_strict_accuracies() -> None:
    followed = [[True], [True, False, False], [False, True]]
    samples = [
        {"prompt_level_strict_acc": all(each), "inst_level_strict_acc": each} for each in followed
    ]
    assert strict_scores(samples).mean() == pytest.approx((1 / 3 + 3 / 6) / 2)


def test_below_chance_is_none_of_a_model_that_is_not_finite() -> None:
    tree = Score("t", "acc", "none", chance=0.5)
    assert np.isnan(above_chance(tree, {"t": np.array([np.nan, 0.0])})["t"]).any()
