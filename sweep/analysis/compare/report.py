"""What `sweep compare` found: the report as Python has it and as `--json` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sweep.documents import Json
from sweep.report.gain import Gain
from sweep.report.study_types import BestReport
from sweep.report.trial_types import Direction

Transfer = Literal["same sign", "opposite signs", "one study alone", "unclear"]


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """One of the studies."""

    label: str
    """its folder's name, with a number where two have the same"""
    study: str
    """its name"""
    base_model: str
    """what it trains"""
    metric: str
    """what it optimizes"""
    direction: Direction
    """maximize or minimize"""
    base: float | None
    """the base model's value of it"""
    best: BestReport | None
    """null while no trial is completed that holds every constraint"""
    gain: Gain | None
    """by how much that is better than the base model; null where one of them is not known"""
    num_trials: int
    """begun, without replicates"""
    num_completed: int
    """of these trained to their end"""
    used_flops: float
    """compute used, all of it"""
    planned_flops: float
    """of training every trial to its end"""
    saved_share: float | None
    """of what was planned; null while nothing has ended"""


@dataclass(frozen=True, slots=True)
class QuestionDifference:
    """Something in which the studies do not ask the same."""

    key: str
    """of the study file, or what else is compared"""
    values: Mapping[str, Json]
    """by the study's label; null where it says nothing of it"""


@dataclass(frozen=True, slots=True)
class StudySignal:
    """What a signal told in one study: Spearman's correlation with the score, as maximized."""

    rho: float
    low: float | None
    """lower end of the 95 % interval; null of too few configurations"""
    high: float | None
    """upper end"""
    num_runs: int
    """finished runs that have it"""


@dataclass(frozen=True, slots=True)
class SignalTransfer:
    """Whether a signal of the early window told the same in all studies."""

    signal: str
    """early_eval, loss, grad_norm or grad_norm_noise_free"""
    studies: Mapping[str, StudySignal | None]
    """by the study's label; null where too few finished runs have it"""
    transfer: Transfer
    """of those whose interval excludes 0: whether they agree in their sign"""
    pooled: float | None
    """mean correlation, of three studies or more"""
    pooled_low: float | None
    """lower end of its 95 % interval"""
    pooled_high: float | None
    """upper end"""
    verdict: str
    """one sentence"""


@dataclass(frozen=True, slots=True)
class CompareReport:
    """What several studies say together: `sweep compare STUDY STUDY ...`."""

    answer: str
    """in sentences"""
    is_same_question: bool
    """whether metric, data, model and budget are the same in all, so that their values compare"""
    differences: tuple[QuestionDifference, ...]
    """in what the questions differ"""
    ahead: str | None
    """label of the study with the best value; null where they do not ask the same, or have none"""
    studies: tuple[ComparedStudy, ...]
    """in the order they were named"""
    signals: tuple[SignalTransfer, ...]
    """the early signals, one each"""
