"""What the predictor reads and says: observations, window signals, trials of a cohort, verdicts."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, Literal

Action = Literal["continue", "prune", "audit", "park"]
Kind = Literal["guard", "rank", "none"]
Mode = Literal["scout", "stream"]
LOOKS = (0.1, 0.2, 0.3, 0.5)  # shares of the smallest budget
UNSAID_MODE: Mode = "stream"  # of what earlier versions stored, which knew no other
SCOUTING = ("mode", "looks")  # the settings that act where a driver scouts, and nowhere else


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
    early_eval: float | None  # the objective on the early samples, minimized: LOWER IS BETTER
    phase: int = 0  # that the window closed in; training losses compare only within one
    # What else was measured on the early samples, by name (a metric, choice_margin), minimized.
    early_others: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    early_eval_stderr: float | None = None  # of an early_eval that is a mean over questions


@dataclass(frozen=True, slots=True)
class CohortTrial:
    """A trial as the predictor sees it. `objective` is minimized: lower is better."""

    number: int
    config: Mapping[str, Any]
    window: WindowSignals | None = None
    objective: float | None = None  # only of a trial that was trained to its end
    warmup_steps: int = 0
    expected_miss: float = 0.0  # the probability stated when it was pruned by rank, unaudited
    looks: tuple[WindowSignals, ...] = ()  # those after the window, in their order
    # By how far constraints are held, by name: 0 or more is held, below 0 broken. At each look,
    # from the window on, as the end would have it, with a standard error; and at the end.
    early_slacks: tuple[Mapping[str, tuple[float, float]], ...] = ()
    slacks: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def is_feasible(self) -> bool:
        """Whether it was found to hold every constraint at its end, or there is none."""
        return all(slack >= 0 for slack in self.slacks.values())

    @property
    def is_finished(self) -> bool:
        """Whether it was trained to its end and the objective there is finite."""
        return self.objective is not None and isfinite(self.objective)


_BOUNDS = {  # by pydantic's names, which the study file reads as they are
    "gt": ("greater than", operator.gt),
    "ge": ("at least", operator.ge),
    "lt": ("less than", operator.lt),
    "le": ("at most", operator.le),
}
_MOST = {"ge": 0, "le": 1e6}  # of an amount: far beyond what anybody means


def _about(sentence: str, unit: str = "", **bounds: float) -> dict[str, Any]:
    """What there is to know of a setting beside its name, type and default.

    The keys are keyword arguments of `pydantic.Field`.
    """
    return {"description": sentence, "json_schema_extra": {"unit": unit}, **bounds}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the predictor goes by: the one place where a setting is defined.

    The study file's `pruning` section, `sweep replay --set`, `sweep tune` and the Optuna adapter
    take names, types, defaults, bounds and sentences from the fields; a setting added here is
    known to all of them. (Which of them `sweep tune` searches, `tuning/design.py` says.)
    """

    enabled: bool = field(
        default=True, metadata=_about("stop trials that do badly in their early window")
    )
    startup: int = field(
        default=3,
        metadata=_about(
            "with mode stream: trials trained to the end before any is pruned by rank",
            "trials",
            ge=1,
            le=2**31 - 1,
        ),
    )
    risk: float = field(
        default=0.1,
        metadata=_about(
            "prune by rank only below this probability of beating the best trial so far",
            "probability",
            gt=0,
            lt=1,
        ),
    )
    min_gain: float = field(
        default=0.05,
        metadata=_about(
            "by how much to beat it, as a share of median - best of the trials' ends",
            "share of median - best",
            **_MOST,
        ),
    )
    max_expected_misses: float = field(
        default=1.0,
        metadata=_about(
            "most that the probabilities of all prunes by rank may add up to, audited ones left "
            "out",
            "trials",
            **_MOST,
        ),
    )
    audit: float = field(
        default=0.1,
        metadata=_about(
            "share of the prunes that go on to the end, as a check", "share of prunes", ge=0, le=1
        ),
    )
    prior_strength: float = field(
        default=1.0,
        metadata=_about(
            "with mode stream: trials that the prior counts for, what the paper found as a "
            "direction; 0: none",
            "trials",
            **_MOST,
        ),
    )
    guards: bool = field(default=True, metadata=_about("stop trials whose loss diverges"))
    mode: Mode = field(
        default="scout",
        metadata=_about(
            "scout: all trials to their window first, then the most promising go on, look by look; "
            "stream: each is judged once, at its window, and goes on or ends"
        ),
    )
    looks: tuple[float, ...] = field(
        default=LOOKS,
        metadata=_about(
            "with mode scout: where trials are looked at; those before the window are the window",
            "shares of the smallest budget",
            min_length=1,
            max_length=20,
        ),
    )
    seed: int = field(default=0, metadata=_about("of the audits", ge=0))

    @property
    def has_looks(self) -> bool:
        """Whether trials are looked at after their window: with pruning off that is only
        recorded."""
        return self.mode == "scout"

    @property
    def scouts(self) -> bool:
        """Whether trials are parked at their looks, and the most promising go on."""
        return self.enabled and self.has_looks

    @staticmethod
    def checked(values: Mapping[str, Any]) -> Settings:
        """The settings with these values in place of defaults.

        ValueError for a name that is none of a setting's, and for a value out of bounds.
        """
        known = {one.name: one.metadata for one in fields(Settings)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"{name} is not a setting; there are {', '.join(known)}")
            for bound in _BOUNDS.keys() & known[name].keys():
                words, holds = _BOUNDS[bound]
                if not holds(value, known[name][bound]):  # also where it is NaN
                    raise ValueError(f"{name} is {value!r}; must be {words} {known[name][bound]:g}")
        return Settings(**values)

    def to_json(self) -> dict[str, Any]:
        """JSON values by name; what scouting alone goes by only where it is the mode."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        if self.mode == UNSAID_MODE:
            return {name: value for name, value in values.items() if name not in SCOUTING}
        return {**values, "looks": list(self.looks)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Settings:
        """Inverse of `to_json`, for what earlier versions wrote as well."""
        given: dict[str, Any] = {"mode": UNSAID_MODE, **values}
        given["looks"] = tuple(values.get("looks", LOOKS))
        return Settings(**given)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision on one trial, with a reason that a person can check."""

    action: Action
    kind: Kind
    reason: str
    probability: float | None = None  # P(beats the incumbent), where the rule states one
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])  # JSON values only
