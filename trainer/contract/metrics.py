"""Metrics by name: of what kind each is, which way is better, and what it is measured on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

EVAL_LOSS, CHOICE_ACCURACY, MT_BENCH = "eval_loss", "choice_accuracy", "mt_bench"
HARNESS = "lm_eval:"  # as lm_eval:TASK or lm_eval:TASK:SCORE
ALLOWED = f"{EVAL_LOSS}, {CHOICE_ACCURACY}, lm_eval:TASK, or PACKAGE.MODULE:FUNCTION of your own"

Kind = Literal["loss", "choices", "harness", "own"]

_DATA: Mapping[str, str] = {EVAL_LOSS: "eval", CHOICE_ACCURACY: "choices"}
_MARGIN = " margin"


class HarnessName(NamedTuple):
    """What is asked of the evaluation harness."""

    task: str  # a task or a group
    score: str | None  # which of its scores; None: the one that the benchmark is known by


def kind_of(metric: str) -> Kind | None:
    """The kind of a metric by its name; None of what is no metric's name."""
    if metric in _DATA:
        return "loss" if metric == EVAL_LOSS else "choices"
    if metric.startswith(HARNESS):
        return "harness" if re.fullmatch(r"lm_eval:[^\s:]+(:[^\s:]+)?", metric) else None
    return "own" if re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*", metric) else None


def harness_name(metric: str) -> HarnessName:
    """The task and the score that a metric of the kind "harness" names."""
    task, _, score = metric.removeprefix(HARNESS).partition(":")
    return HarnessName(task, score or None)


def higher_is_better(metric: str) -> bool:
    """Whether the larger value is the better one: of all but eval_loss."""
    return metric != EVAL_LOSS


def is_share(metric: str) -> bool:
    """Whether it is a share of what can be had, from 0 to 1, as an accuracy is."""
    return kind_of(metric) in ("choices", "harness") and not is_margin(metric)


def margin_of(metric: str) -> str:
    """The name of the margin that is measured beside a metric of questions."""
    return "choice_margin" if metric == CHOICE_ACCURACY else metric + _MARGIN


def is_margin(name: str) -> bool:
    """Whether the name is that of a margin (`margin_of`)."""
    return name == "choice_margin" or name.endswith(_MARGIN)


def part_of(metric: str) -> str | None:
    """The part of the prepared data that a metric is measured on, a table and a key of the facts:
    eval or choices; None of a benchmark and of a metric of one's own."""
    return _DATA.get(metric)


def units_at_look(metric: str, num: int, questions: int | None) -> int:
    """Rows or questions that a look measures a metric on: `num`, in place of which metrics that ask
    questions may have a number of their own; 0: none."""
    return num if questions is None or not num or metric == EVAL_LOSS else questions


class Extent(NamedTuple):
    """What one whole measurement of a metric takes."""

    units: int  # rows or questions
    input_tokens: int


def extent_of(metric: str, facts: Mapping[str, Any]) -> Extent | None:
    """How much a metric is measured on, from the facts of `prepare`; None where nothing was
    prepared for it."""
    part = part_of(metric)
    found = facts.get(part) if part else (facts.get("benchmarks") or {}).get(metric)
    if found is None:
        return None
    units = found["questions"] if "questions" in found else found["rows"]
    return Extent(units, found["input_tokens"])
