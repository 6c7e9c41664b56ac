"""The lines of the ledger's tables as Python holds them."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from predictor.types import Observation, Settings, Verdict
from trainer.contract.measurement import Scores
from trainer.contract.spec import UserError


@dataclass(slots=True)
class TrialRow:
    """A line of `sweep_trials`; see there."""

    number: int
    state: str
    params: dict[str, Any]
    num_steps: int
    planned_flops: float
    recipe: str | None = None
    attempts: int = 0
    failures: int = 0
    window: dict[str, Any] | None = None
    looks: list[dict[str, Any]] | None = None
    measurements: dict[str, Any] | None = None
    objective: float | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and when it was taken; a line of `sweep_decisions`."""

    trial: int
    # window: the first look; look 1, 2, ...: later ones; parked: given up, or audited, as none was
    # worth going on; divergence, not finite: guards; end: final evaluation
    moment: str
    step: int
    verdict: Verdict
    predictor: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Cost:
    """What an attempt of a trial used for one purpose; a line of `sweep_costs`."""

    trial: int
    attempt: int
    what: str  # train | early_eval | eval | final
    input_tokens: int
    seconds: float
    flops: float


def packed(scores: Scores) -> dict[str, bytes]:
    """The columns of `sweep_scores` that hold them."""
    return {"scores": zlib.compress(scores.scores), "weights": zlib.compress(scores.weights)}


def unpacked(scores: bytes, weights: bytes) -> Scores:
    """The inverse of `packed`. UserError where the storage is damaged."""
    try:
        return Scores(zlib.decompress(scores), zlib.decompress(weights))
    except zlib.error:
        raise UserError("the storage is damaged: scores in it cannot be read") from None


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A line of `sweep_studies`; see there."""

    name: str
    document: dict[str, Any]
    facts: dict[str, Any]
    predictor: str
    created_s: float = field(default_factory=time.time)


def observation_of(row: Sequence[Any]) -> Observation:
    """Of its fields, in their order; the storage has no NaN."""
    seen = Observation(*row)
    if seen.loss is not None and seen.grad_norm is not None:  # pyright: ignore[reportUnnecessaryComparison]
        return seen
    return replace(seen, loss=_or_nan(seen.loss), grad_norm=_or_nan(seen.grad_norm))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
