"""What measuring a model gives: a value, what it rests on, and its parts row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Measurement:
    """A metric, measured. `num` is what it is a mean over: loss-bearing tokens, or questions.

    A margin is smooth where an accuracy counts: by how much, in nats per token, the right choice
    scores above the best wrong one. What is not finite in the model is not finite here.
    """

    value: float
    num: int
    input_tokens: int
    seconds: float
    groups: Mapping[str, float] = field(default_factory=dict)
    stderr: float | None = None  # of the value, over rows or questions; None: of fewer than two
    margin: float | None = None  # the questions' mean; None: not of choices
    margin_stderr: float | None = None
    group_stderrs: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    over_base: float | None = None  # value - the base model's on the same rows or questions
    over_base_stderr: float | None = None  # of that difference, paired


@dataclass(frozen=True, slots=True)
class Scores:
    """A measurement row by row, or question by question: its value is the weighted mean of these.

    float32 as bytes, little-endian. Always in the same order, so that two models' can be paired.
    """

    scores: bytes  # (num,)
    weights: bytes = b""  # (num,); empty: all alike
