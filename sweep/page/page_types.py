"""What the page shows beyond a study's report, as types. Losses are in nats per token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.report.study_types import StudyReport
from sweep.report.trial_types import DecisionReport
from sweep.storage.ledger import Decision

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Curve:
    """A trial's training, at the samples of `Curves.samples`; None where it has no step."""

    loss: Values
    """training loss, nats per loss-bearing token"""
    grad_norm: Values
    """global gradient norm before clipping"""
    noise_free: Values
    """the same without the noise of the batch, of the last steps together; None where that hides
    it, and where no step measured it"""


@dataclass(frozen=True, slots=True)
class Curves:
    """The training of all trials on one axis."""

    samples: Sequence[float]
    """the axis, ascending"""
    trials: Mapping[int, Curve]
    """by number, of each trial that has made a step"""
    steps_a_point: int
    """the most steps that a point is the mean of; 1: every step is shown"""


@dataclass(frozen=True, slots=True)
class Band:
    """Where an unfinished trial is expected to end, in the metric's own direction and unit."""

    low: float
    """below it ends 1 in 10"""
    end: float
    """the expectation"""
    high: float
    """above it ends 1 in 10"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision by rank on whether a trial goes on or is given up; the page asks again at another
    risk."""

    round: int
    """those of one round were decided together"""
    trial: int
    step: int
    probability: float
    """P as it was stated then"""
    given_up: bool
    """whether it was pruned, or audited: pruned but for the check"""
    audited: bool
    """whether it was audited, or would have been if it were given up: the coin is known"""
    halves: bool
    """with mode stream: whether the early signals at least halved P0, without which none is
    pruned"""
    together: float | None
    """with mode scout: the sum of P over all that were not finished then"""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the slider goes by."""

    asked: Sequence[Asked]
    """in the order they were taken"""
    risk: float
    """as it was last set (pruning.risk)"""
    limit: float
    """pruning.max_expected_misses"""
    share_of_rest: float | None
    """with mode stream: the share of what is left of the limit that one prune may take"""


@dataclass(frozen=True, slots=True)
class PageReport:
    """All that the page shows."""

    study: StudyReport
    decisions: Mapping[int, Sequence[DecisionReport]]
    """by trial, in the order they were taken"""
    curves: Curves
    bands: Mapping[int, Band]
    """by trial, of those that scouting looked at and that are not finished"""
    what_if: WhatIf | None
    """None of a study without a decision by rank"""
    data: Sequence[str]
    """lines on the prepared data"""
    environment: Mapping[str, str]
    """machine, versions of libraries, sources of data"""
    command: str
    """what runs the study again"""


Decisions = Mapping[int, Sequence[Decision]]
