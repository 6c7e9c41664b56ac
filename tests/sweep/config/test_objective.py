"""What is optimised, measured beside it, and constrained."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sweep.config.objective import Bound, Objective


def objective(**keys: Any) -> Objective:
    return Objective.model_validate(keys)


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        (0.6, Bound(0.6, is_of_base=False)),
        ("0.6", Bound(0.6, is_of_base=False)),
        ("base", Bound(0.0, is_of_base=True)),
        ("base - 0.01", Bound(-0.01, is_of_base=True)),
        ("base+.5", Bound(0.5, is_of_base=True)),
    ],
)
def test_a_bound_is_a_number_or_stands_to_the_base(given: Any, bound: Bound) -> None:
    found = objective(constraints=[{"metric": "lm_eval:mmlu", "at_least": given}])
    assert found.constraints[0].bound == bound


def test_a_bound_is_read_back_as_it_is_written() -> None:
    found = objective(
        metric="lm_eval:arc_easy",
        constraints=[
            {"metric": "lm_eval:mmlu", "at_least": "base - 0.01", "margin": 0.005},
            {"metric": "eval_loss", "at_most": 2.5},
        ],
    )
    assert Objective.model_validate(found.model_dump(mode="json")) == found
    assert [str(one) for one in found.constraints] == [
        "lm_eval:mmlu at least base - 0.01",
        "eval_loss at most 2.5",
    ]


def test_a_bound_of_the_base_moves_with_it() -> None:
    assert Bound(-0.01, is_of_base=True).at(0.5) == pytest.approx(0.49)
    assert Bound(0.3, is_of_base=False).at(0.5) == 0.3


@pytest.mark.parametrize("given", ["base * 2", "mmlu - 1", "base -", True, None, [0.1]])
def test_what_is_no_bound_is_refused_with_what_would_be(given: Any) -> None:
    with pytest.raises(ValidationError, match=r"base - 0\.01|exactly one"):
        objective(constraints=[{"metric": "lm_eval:mmlu", "at_least": given}])


def test_every_constrained_metric_is_measured_once() -> None:
    found = objective(
        metric="lm_eval:gsm8k",
        also=["eval_loss", "lm_eval:mmlu"],
        constraints=[{"metric": "lm_eval:mmlu", "at_least": "base"}],
    )
    assert found.metrics == ("lm_eval:gsm8k", "eval_loss", "lm_eval:mmlu")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"metric": ["lm_eval:gsm8k", "lm_eval:mmlu"]}, "hold lm_eval:mmlu by objective.constrai"),
        ({"metric": "mt_bench"}, "objective.final"),
        ({"metric": "perplexity"}, "lm_eval:TASK"),
        ({"final": ["best"]}, "lm_eval:TASK"),
        ({"constraints": [{"metric": "eval_loss"}]}, "exactly one of at_least and at_most"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        objective(**keys)
