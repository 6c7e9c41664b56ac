"""What is known of a study's judging, as types: `--json` prints their fields as they are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.documents import INLINE, Json
from sweep.judging.record import Judged


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A model that answered MT-Bench."""

    number: int | None
    """the trial; null: the base model"""
    params: Mapping[str, Json]
    """its hyperparameters; empty of the base model"""
    objective: float | None
    """what the study optimizes, of this model"""
    judged: Judged = field(metadata=INLINE)
    """its score; the keys are among the others"""


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """MT-Bench of a study's best few trials: `sweep judge STUDY --json`."""

    study: str
    """its name"""
    metric: str
    """what it optimizes"""
    judge: str | None
    """the model that rates; null before any answer was rated"""
    models: tuple[JudgedModel, ...]
    """the base model first, then trials by their score, the best first"""
    not_kept: tuple[int, ...]
    """trials among the best that were asked for and could not be measured: their weights are not
    kept"""
    doubtful: tuple[int, ...]
    """questions whose reference answer, which the judge is shown, is wrong in one turn or both"""
    out: str
    """the folder of answers and ratings"""
