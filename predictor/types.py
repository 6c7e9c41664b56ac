"""What the predictor reads and says: observations, window signals, trials of a cohort, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

Action = Literal["continue", "prune", "audit"]
Kind = Literal["guard", "rank", "none"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One optimizer step, over the whole effective batch.

    Counts are totals since the trial's first step, attempts before a resume included.
    `grad_sq_*` are squared norms (per loss-bearing token, like `loss`) and exist only inside the
    window and only when the step was made of two micro-batches or more. They are unbiased, so a
    single step's `grad_sq_noise_free` may be negative: average before taking a root or a log.
    Source: McCandlish et al., arXiv 1812.06162, appendix A, for token-weighted micro-batches.
    """

    step: int  # 1 is the first
    samples_seen: int
    input_tokens_seen: int  # non-padding, prompt included
    loss_tokens_seen: int  # tokens that carry loss
    loss: float  # nats per loss-bearing token
    grad_norm: float  # global L2 norm before clipping
    lr: float  # the rate used in this step
    seconds: float  # wall time of this step
    grad_sq_noise_free: float | None = None  # |G|^2 estimated, the batch's noise out
    grad_sq_noise: float | None = None  # the rest of |g_B|^2
    phase: int = 0  # of the data, counted from 1; 0: all together. Losses compare within one


@dataclass(frozen=True, slots=True)
class WindowSignals:
    """A trial's early window in a few numbers. NaN and infinity are allowed; None: not measured."""

    samples: int  # where the window closed
    loss: float  # nats per loss-bearing token
    grad_norm: float | None  # raw: it reads out the batch size as well
    grad_norm_noise_free: float | None
    early_eval: float | None  # the objective on the early samples, turned so that LOWER IS BETTER
    phase: int = 0  # that the window closed in; training losses compare only within one


@dataclass(frozen=True, slots=True)
class CohortTrial:
    """A trial as the predictor sees it. `objective` is turned so that lower is better."""

    number: int
    config: Mapping[str, Any]
    window: WindowSignals | None = None
    objective: float | None = None  # only of a trial that was trained to its end
    warmup_steps: int = 0
    expected_miss: float = 0.0  # the probability stated when it was pruned by rank, unaudited

    @property
    def is_finished(self) -> bool:
        """Whether it was trained to its end and the objective there is finite."""
        return self.objective is not None and isfinite(self.objective)


@dataclass(frozen=True, slots=True)
class Settings:
    """The study's `pruning` section, as far as the predictor acts on it."""

    enabled: bool = True
    guards: bool = True
    startup: int = 3  # trials trained to the end before any is pruned by rank
    audit: float = 0.1  # share of the prunes that go on to the end, to check on the predictor
    seed: int = 0  # the study's
    risk: float = 0.1  # prune only below this probability of beating the incumbent
    min_gain: float = 0.05  # by how much, as a share of median - best of the finished trials
    max_expected_misses: float = 1.0  # what the probabilities of all unaudited prunes may add up to
    prior_strength: float = 1.0  # pseudo-trials that the prior counts for; 0: no direction


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision on one trial, with a reason that a person can check."""

    action: Action
    kind: Kind
    reason: str
    probability: float | None = None  # P(beats the incumbent), where the rule states one
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])  # JSON values only
