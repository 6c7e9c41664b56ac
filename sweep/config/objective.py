"""What is optimised, measured beside it, and kept from getting worse: `objective` of a study."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    model_validator,
)

from sweep.config.entries import AtLeast0, Count, Count0, Part
from sweep.config.kinds import AutoOrCount, Text
from trainer.contract.metrics import ALLOWED, EVAL_LOSS, MT_BENCH, kind_of

_BASE = re.compile(r"base(?:\s*([+-])\s*(\d+(?:\.\d*)?|\.\d+))?")
_JSON_TEXT = PlainSerializer(str, when_used="json")


class Bound(NamedTuple):
    """A number, or so much above or below what the base model has."""

    amount: float
    is_of_base: bool

    def __str__(self) -> str:
        if not self.is_of_base:
            return f"{self.amount:g}"
        sign = "-" if self.amount < 0 else "+"
        return f"base {sign} {abs(self.amount):g}" if self.amount else "base"

    def at(self, base: float) -> float:
        """The bound as a number, where the base model has `base`."""
        return self.amount + base if self.is_of_base else self.amount


def _bound(value: Any) -> Bound:
    if isinstance(value, Bound):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Bound(float(value), is_of_base=False)
    if isinstance(value, str) and (found := _BASE.fullmatch(value.strip())):
        sign, amount = found.groups()
        return Bound(float(f"{sign or ''}{amount or 0}"), is_of_base=True)
    if isinstance(value, str):
        try:
            return Bound(float(value), is_of_base=False)
        except ValueError:
            pass
    raise ValueError("must be a number, base, or as in: base - 0.01")


def _metric(value: Any) -> Any:
    if isinstance(value, list | tuple):
        few = [str(one) for one in cast("list[Any]", value)]
        others = ", ".join(few[1:]) or "the others"
        raise ValueError(
            f"one metric is optimised at a time: give {few[0] if few else EVAL_LOSS}, and hold "
            f"{others} by objective.constraints, as {{metric: ..., at_least: base - 0.01}}"
        )
    return value


def _known(value: str) -> str:
    if value == MT_BENCH:
        raise ValueError(
            "mt_bench takes a judge and is measured for the best few alone: objective.final"
        )
    if kind_of(value) is None:
        raise ValueError(f"allowed: {ALLOWED}")
    return value


def _final(value: str) -> str:
    return value if value == MT_BENCH else _known(value)


Metric = Annotated[str, BeforeValidator(_metric), AfterValidator(_known)]
Metrics = Annotated[tuple[Metric, ...], Strict(False), Field(max_length=100)]
Final = Annotated[
    tuple[Annotated[str, AfterValidator(_final)], ...], Strict(False), Field(max_length=100)
]
_AnyBound = Annotated[Bound, PlainValidator(_bound), _JSON_TEXT]


class Constraint(Part):
    """What a trial must hold to be the best: a metric of it, and the least or the most."""

    metric: Metric
    """what must not get worse, as lm_eval:mmlu; it is measured of every trial"""
    at_least: _AnyBound | None = None
    """the least allowed: a number, or as in base - 0.01; this or at_most"""
    at_most: _AnyBound | None = None
    """the most allowed, as of eval_loss"""
    margin: AtLeast0 = 0.0
    """by how much the 95 % interval may reach beyond the bound"""

    @model_validator(mode="after")
    def _has_one_of_two(self) -> Constraint:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("must have exactly one of at_least and at_most")
        return self

    @property
    def bound(self) -> Bound:
        """That of at_least, or of at_most."""
        bound = self.at_most if self.at_least is None else self.at_least
        assert bound is not None
        return bound

    def __str__(self) -> str:
        return f"{self.metric} at {'least' if self.at_most is None else 'most'} {self.bound}"


class Early(Part):
    """What is asked at each look."""

    questions: AutoOrCount = "auto"
    """questions of each benchmark and of choice_accuracy; auto: as pruning.early_eval"""


class Judge(Part):
    """The model that rates answers, behind an OpenAI-compatible endpoint."""

    base_url: Annotated[Text, Field(pattern=r"^https?://")]
    """where it is, as http://127.0.0.1:8000/v1"""
    model: Text
    """its name there; a study's answers are rated by one judge"""
    key_env: Annotated[Text, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None
    """the environment variable that holds the key; the key itself is never written anywhere"""
    workers: Annotated[Count, Field(le=256)] = 8
    """requests at a time"""
    timeout_s: AtLeast0 = 120
    """seconds that an answer may take"""
    retries: Annotated[Count0, Field(le=100)] = 5
    """further tries of a request that failed for a passing cause"""
    parameters: dict[str, Any] = Field(default={})
    """what a request holds beside model and messages, in place of temperature 0 and max_tokens
    2048; null takes one of these out"""
    price_in: AtLeast0 = 0.0
    """dollars per million tokens read, for the cost that is shown"""
    price_out: AtLeast0 = 0.0
    """dollars per million tokens written"""


class Objective(Part):
    """What is optimised, and what else is measured."""

    metric: Metric = "eval_loss"
    """eval_loss (nats per token), choice_accuracy, lm_eval:TASK (a task or group of the evaluation
    harness or of `tasks`; lm_eval:TASK:acc for another of its scores), or PACKAGE.MODULE:FUNCTION,
    which returns a number, higher is better"""
    data: Text | None = None
    """multiple choice rows, or those that a function of your own is called with; data.eval where
    not given"""
    shape: Literal["auto", "chat", "text"] = "auto"
    """what questions are asked in: chat, a turn of the user's and each choice as the reply;
    text, by data.template; auto: as the rows to train on, and benchmarks as text"""
    also: Metrics = ()
    """measured as well"""
    constraints: Annotated[tuple[Constraint, ...], Strict(False), Field(max_length=20)] = ()
    """what the best must hold, a list of {metric: ..., at_least: base - 0.01}"""
    tasks: Text | None = None
    """a folder of your own tasks: task files (YAML), and NAME.jsonl of {prompt, choices, answer,
    group} rows, which is the task NAME"""
    fewshot: dict[str, Annotated[Count0, Field(le=100)]] = Field(default={}, max_length=1_000)
    """examples before each question, by task or group, as {mmlu: 5}; else what the task says"""
    early: Early = Early()
    """what is asked at each look"""
    final: Final = ()
    """measured of the best few alone, at the end: mt_bench, or any metric"""
    top: Annotated[Count, Field(le=1_000)] = 3
    """how many of the best trials `final` is measured of"""
    judge: Judge | None = None
    """who rates the answers of mt_bench, as {base_url: ..., model: ...}"""

    @property
    def final_top(self) -> int:
        """How many of the best trials `final` is measured of; 0 where it asks for nothing."""
        return self.top if self.final else 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """All that every trial is measured by, the objective first."""
        constrained = (one.metric for one in self.constraints)
        return tuple(dict.fromkeys((self.metric, *self.also, *constrained)))
