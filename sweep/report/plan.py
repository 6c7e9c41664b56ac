"""What a study would do and need, as types: `sweep run --dry-run` says it (plan_text.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.config.recipes import FittedRecipe
from sweep.documents import Json


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of the resolved study file."""

    path: str
    value: Json
    origin: str  # default, the file, --set


@dataclass(frozen=True, slots=True)
class StepsOfBatch:
    """How many optimizer steps a trial of one batch size has."""

    batch_size: int
    fewest: int  # with the smallest budget of the space
    most: int  # with the largest
    window: int  # when the window closes


@dataclass(frozen=True, slots=True)
class PlannedFlops:
    """FLOPs of all runs together, if none is pruned."""

    training: float
    evaluations: float  # at the end of each run, and of the base model
    early_evaluations: float

    @property
    def total(self) -> float:
        """The FLOPs of training and all evaluations."""
        return self.training + self.evaluations + self.early_evaluations


@dataclass(frozen=True, slots=True)
class NeededMemory:
    """The memory of one process before activations, in GB of 10^9 bytes."""

    weights: float
    gradients: float
    moments: float

    @property
    def total(self) -> float:
        """GB of all parts together."""
        return self.weights + self.gradients + self.moments

    def shared_by(self, processes: int) -> NeededMemory:
        """The memory of each process where each has a part of all (FSDP)."""
        parts = (self.weights, self.gradients, self.moments)
        return NeededMemory(*(part / processes for part in parts))


@dataclass(frozen=True, slots=True)
class PlannedMemory:
    """The memory that a trial needs, and what there is."""

    needed_gb: NeededMemory
    available_gb: float  # for one process
    of: str  # one GPU, or this machine
    sharing: int  # processes that share it
    processes: int  # of a trial
    fits: bool
    advice: str | None  # what would fit, where it does not


@dataclass(frozen=True, slots=True)
class NeededParking:
    """The checkpoints of parked trials, in GB of 10^9 bytes."""

    num: int  # trials that are parked at a time, at most
    each: float
    most: float  # that they may take together; beyond it the least promising have none

    @property
    def taken(self) -> float:
        """GB of all that are kept."""
        return min(self.num * self.each, self.most)


@dataclass(frozen=True, slots=True)
class NeededDisk:
    """At the most full moment, in GB of 10^9 bytes."""

    checkpoints: float  # of running trials
    models: float
    parked: NeededParking | None = None  # None: no trial is parked

    @property
    def total(self) -> float:
        """GB of all that is written."""
        parked = 0.0 if self.parked is None else self.parked.taken
        return self.checkpoints + self.models + parked


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a study would do and need: `sweep run STUDY --dry-run`."""

    study: str
    source: str  # where it was read from
    values: Sequence[Setting]
    data: Mapping[str, Json]  # what was prepared: see data_text.py
    trials: int  # 1 where `hours` decide how many there are
    hours: float | None  # that there are as many trials as fit into; None: their number is given
    replicates: int  # of the best, with other seeds
    begun: str | None  # how far it is, where it is made already
    history: str | None  # the prior from past studies, in words
    prunes: bool  # with pruning off, the window is only recorded
    stop: bool  # it ends earlier when further trials are unlikely to help
    workers: int
    searched: Sequence[str]  # hyperparameters
    points: int | None  # of the space; None: it is continuous
    recipes: Sequence[FittedRecipe]
    smallest_samples: int  # that a trial is trained on
    largest_samples: int
    window_samples: int
    scouts: bool  # all are trained to their window first, then the most promising go on
    looks: Sequence[int]  # then, after so many samples
    early_eval: int  # rows or questions of each metric that a look measures
    early_questions: int | None  # in place of it, of metrics that ask questions
    early_share: float  # what all looks of a trial cost, of its training compute
    steps: Sequence[StepsOfBatch]
    tokens_per_trial: int
    total_tokens: int  # of all runs, if none is pruned
    flops: PlannedFlops
    memory: PlannedMemory
    cautions: Sequence[str]
    disk_gb: NeededDisk

    @property
    def window_share(self) -> float:
        """The early window as a share of the smallest budget."""
        return self.window_samples / self.smallest_samples
