"""How many samples a look measures: so few that all looks of a trial cost little."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.account.early_eval import FEWEST, MOST_SHARE, early_share, early_size
from sweep.config.study import Study

# Rows and questions of 100 tokens, four choices a question.
FACTS: dict[str, Any] = {
    "num_params": 1_000_000,
    "train": {"rows": 5_000, "input_tokens": 500_000},
    "eval": {"rows": 1_000, "input_tokens": 100_000},
    "choices": {"questions": 500, "input_tokens": 200_000},
}


def study(samples: int = 10_000, tuning: str = "full", **sections: Any) -> Study:
    document: dict[str, Any] = {
        "name": "t",
        "model": {"base": "org/base", "tuning": tuning},
        "data": {"train": "org/train", "eval": "org/eval"},
        "budget": {"samples": samples},
        "search": {"space": {"learning_rate": {"low": 1e-5, "high": 1e-3}, "batch_size": 8}},
    }
    return Study.model_validate(document | sections)


STREAM, SCOUT = {"mode": "stream"}, {"mode": "scout"}
BOTH = {"metric": "choice_accuracy", "data": "org/choices", "also": ["eval_loss"]}


@pytest.mark.parametrize(
    ("of", "num"),
    [
        (study(pruning=STREAM), 900),  # 0.03 x 3 x 10,000: a forward pass is a third of a step
        (study(pruning=SCOUT), 225),  # at four looks
        (study(tuning="lora", pruning=SCOUT), 150),  # whose steps cost two passes
        (study(pruning=SCOUT, objective=BOTH), 45),  # a row and four choices each
        (study(100_000, pruning=SCOUT), 1_000),  # all there are
        (study(500, pruning=SCOUT), FEWEST),
        (study(pruning={"early_eval": 7}), 7),
        (study(pruning={"early_eval": 0}), 0),
    ],
)
def test_looks_cost_three_percent_of_a_trial_at_most_and_are_worth_looking_at(
    of: Study, num: int
) -> None:
    assert early_size(of, FACTS) == num


@pytest.mark.parametrize("samples", [500, 1_000, 3_000, 10_000])
def test_the_share_is_of_all_looks_and_above_the_limit_only_for_the_fewest(samples: int) -> None:
    own = study(samples, pruning=SCOUT, objective=BOTH)
    num = early_size(own, FACTS)
    share = early_share(own, FACTS, num)
    assert share == pytest.approx(4 * num * 5 / (3 * samples))
    assert share <= MOST_SHARE or num == FEWEST


def test_a_small_set_is_measured_whole() -> None:
    assert early_size(study(500), FACTS | {"eval": {"rows": 9, "input_tokens": 900}}) == 9


def test_a_study_keeps_the_size_that_it_was_made_with() -> None:
    known = FACTS | {"early_eval": 33}
    assert early_size(study(pruning=SCOUT), known) == early_size(study(), known) == 33
    assert early_size(study(pruning={"early_eval": 7}), known) == 7
