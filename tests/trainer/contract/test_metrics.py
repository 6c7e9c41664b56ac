"""Metrics by name."""

from __future__ import annotations

import pytest

from trainer.contract.metrics import (
    Extent,
    HarnessName,
    extent_of,
    harness_name,
    higher_is_better,
    is_margin,
    is_share,
    kind_of,
    margin_of,
    units_at_look,
)


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        ("eval_loss", "loss"),
        ("choice_accuracy", "choices"),
        ("lm_eval:arc_easy", "harness"),
        ("lm_eval:arc_easy:acc", "harness"),
        ("mypackage.module:function", "own"),
        ("module:function", "own"),
        ("lm_eval:", None),
        ("lm_eval:two words", None),
        ("lm_eval:a:b:c", None),
        ("accuracy", None),
        ("mypackage.module", None),
        ("my-package:function", None),
        ("", None),
    ],
)
def test_the_name_says_the_kind(metric: str, kind: str | None) -> None:
    assert kind_of(metric) == kind


def test_a_harness_metric_names_a_task_and_may_name_a_score() -> None:
    assert harness_name("lm_eval:mmlu") == HarnessName("mmlu", None)
    assert harness_name("lm_eval:arc_easy:acc") == HarnessName("arc_easy", "acc")


def test_a_loss_alone_is_better_lower() -> None:
    metrics = ("eval_loss", "choice_accuracy", "lm_eval:mmlu", "m:f")
    assert [higher_is_better(metric) for metric in metrics] == [False, True, True, True]


def test_what_has_questions_is_a_share_and_has_a_margin_which_is_none() -> None:
    for metric in ("choice_accuracy", "lm_eval:mmlu"):
        assert is_share(metric) and not is_margin(metric)
        assert is_margin(margin_of(metric)) and not is_share(margin_of(metric))
    assert not is_share("eval_loss") and not is_share("m:f")


def test_the_facts_say_how_much_there_is_to_measure() -> None:
    facts = {
        "eval": {"rows": 5, "input_tokens": 70},
        "choices": {"questions": 3, "input_tokens": 20},
        "benchmarks": {"lm_eval:mmlu": {"questions": 9, "input_tokens": 400}},
    }
    assert extent_of("eval_loss", facts) == Extent(5, 70)
    assert extent_of("choice_accuracy", facts) == Extent(3, 20)
    assert extent_of("lm_eval:mmlu", facts) == Extent(9, 400)
    assert extent_of("lm_eval:arc_easy", facts) is None
    assert extent_of("lm_eval:arc_easy", {"benchmarks": None}) is None


def test_questions_may_have_a_number_of_their_own_at_a_look_where_anything_is_measured() -> None:
    assert [units_at_look(metric, 16, 200) for metric in ("eval_loss", "m:f")] == [16, 200]
    assert units_at_look("lm_eval:mmlu", 16, None) == 16
    assert units_at_look("lm_eval:mmlu", 0, 200) == 0
