"""Policies to replay: our own, and baselines that need no library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.judge import judge
from predictor.model import OURS
from predictor.prior import Prior
from predictor.rank import rank_rule
from predictor.recorded.runs import RecordedStudy
from predictor.regression import Family
from predictor.replay.replay import GO_ON, Answer, Policy, Session
from predictor.replay.sessions import FirstRuns, Looks, Rule, Scouts
from predictor.types import CohortTrial, Settings

Floats = NDArray[np.float64]

NO_DIRECTION = Prior(0.0)
# A replay always prunes, has only the guards of the recorded runs, and audits by its order's seed.
FIXED = ("enabled", "guards", "seed")
REPLAYED = tuple(one.name for one in fields(Settings) if one.name not in FIXED)
JUDGED = tuple(name for name in REPLAYED if name not in ("mode", "looks"))  # in mode stream

CONFIG_ONLY = replace(OURS, signal_sets=(frozenset(),), set_weights=(1.0,))
EARLY_EVAL_ONLY = replace(
    OURS,
    signal_sets=(frozenset({"early_eval"}),),
    set_weights=(1.0,),
    config_scales=(0.0,),
    config_weights=(),
    point_scales=(0.0,),
)


@dataclass(frozen=True, slots=True)
class WindowSetting:
    """Where the one look is."""

    share: float | None = None  # of the smallest horizon; None: as recorded, or 0.1
    min_steps: int | None = None  # of the largest batch; None: as recorded, or 8

    def close(self, study: RecordedStudy) -> float:
        """The position. Not given, it is where the early evaluations were taken."""
        if self.share is None and self.min_steps is None and study.recorded_window is not None:
            return study.recorded_window
        share = 0.1 if self.share is None else self.share
        return study.window_at(share, 8 if self.min_steps is None else self.min_steps)

    def to_json(self) -> dict[str, Any]:
        """The setting by the study file's keys, as JSON values; in words where neither is given."""
        if self.share is None and self.min_steps is None:
            return {"window": "as recorded, or 0.1"}
        named = {"window": self.share, "min_steps": self.min_steps}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class OneLook:
    """One look at each run, where the early window closes."""

    name: str
    rule: Rule
    window: WindowSetting = WindowSetting()
    shown: Mapping[str, Any] = field(default_factory=dict[str, Any])  # the rule's settings

    @property
    def settings(self) -> Mapping[str, Any]:
        """The window's keys and the rule's, as JSON values."""
        return {**self.window.to_json(), **self.shown}

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session that asks the rule where the study's window closes."""
        return Looks(study, self.window.close(study), self.rule, seed)


@dataclass(frozen=True, slots=True)
class Fewer:
    """A share of the runs, drawn at random, to their end; the others are never started."""

    share: float

    @property
    def name(self) -> str:
        """`keep all` for the whole, else the percentage."""
        return "keep all" if self.share == 1 else f"random {100 * self.share:.0f} %"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The share of the runs, as JSON values."""
        return {"share": self.share}

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session that starts that share of the runs, rounded, at least one."""
        return FirstRuns(max(1, round(self.share * len(study.runs))))


@dataclass(frozen=True, slots=True)
class TopByEarlyEval:
    """Every run to its window, then those of the lowest early evaluations to their end, one after
    the other: it takes checkpoints."""

    num_kept: int
    window: WindowSetting = WindowSetting()

    @property
    def name(self) -> str:
        """The policy's name, with how many runs it keeps."""
        return f"top {self.num_kept} by early eval"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The window's keys and how many runs are kept, as JSON values."""
        return {**self.window.to_json(), "top": self.num_kept}

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session that makes every run wait where the study's window closes."""
        return Scouts(study, self.window.close(study), self.num_kept)


def ours(
    settings: Settings,
    window: WindowSetting = WindowSetting(),
    name: str = "sft-sweep",
) -> OneLook:
    """The product's own policy in mode stream, `judge` itself. The audits' coins are those of the
    order's seed."""
    shown = {"mode": "stream"} | {name: getattr(settings, name) for name in JUDGED}
    return OneLook(name, Judge(settings), window, shown)


def baselines(window: WindowSetting = WindowSetting()) -> list[Policy]:
    """The policies that need no library, cheapest look first."""
    settings = Settings(audit=0.0)
    learned = {name: getattr(settings, name) for name in ("risk", "min_gain", "startup")}
    return [
        Fewer(1.0),
        *(Fewer(share) for share in (0.75, 0.5, 0.25)),
        *(TopByEarlyEval(top, window) for top in (3, 5)),
        OneLook("configuration only", Control(CONFIG_ONLY, settings), window, learned),
        OneLook("early eval only", Control(EARLY_EVAL_ONLY, settings), window, learned),
        OneLook("paper's sign", PaperSign(), window, {"startup": 5}),
    ]


@dataclass(frozen=True, slots=True)
class Judge:
    """The rule of the product itself, under these settings but with the seed of the order."""

    settings: Settings

    def __call__(self, trial: CohortTrial, seen: Sequence[CohortTrial], seed: int) -> Answer:
        """What `judge` decides, as an answer: an audit goes on."""
        verdict = judge(trial, seen, replace(self.settings, seed=seed))
        action = "stop" if verdict.action == "prune" else "go on"
        return Answer(action, verdict.probability, verdict.evidence.get("before"), verdict.reason)


@dataclass(frozen=True, slots=True)
class Control:
    """Our own rule with fewer models: what the others add is what they are worth."""

    family: Family
    settings: Settings

    def __call__(self, trial: CohortTrial, seen: Sequence[CohortTrial], seed: int) -> Answer:
        """What `rank_rule` decides with the family and no direction in its prior."""
        verdict = rank_rule(trial, seen, self.settings, NO_DIRECTION, self.family)
        action = "stop" if verdict.action == "prune" else "go on"
        return Answer(action, verdict.probability, verdict.evidence.get("before"))


@dataclass(frozen=True, slots=True)
class PaperSign:
    """The paper's direction, its sign hard-coded: low norm and HIGH loss are good.

    Once `startup` runs are finished it prunes whatever is in the worse half of all seen, by the
    rank of the norm less the rank of the loss. Source: Pareja et al., arXiv 2412.13337.
    """

    startup: int = 5

    def __call__(self, trial: CohortTrial, seen: Sequence[CohortTrial], seed: int) -> Answer:
        """Stop where the trial's rank of norm less rank of loss is above the median of all seen."""
        if sum(t.is_finished for t in seen) < self.startup:
            return GO_ON
        windows = [t.window for t in (trial, *seen) if t.window is not None]
        norms = _ranks([w.grad_norm for w in windows])
        losses = _ranks([w.loss for w in windows])
        scores = norms - losses
        return Answer("stop" if scores[0] > np.median(scores) else "go on")


def _ranks(values: Sequence[float | None]) -> Floats:
    """Ranks from 1, of ties their mean, as scipy.stats.rankdata; what is missing comes last."""
    column = np.array([math.inf if v is None or math.isnan(v) else v for v in values])
    ordered = np.sort(column)
    num_below = np.searchsorted(ordered, column, side="left")
    return (num_below + 1 + np.searchsorted(ordered, column, side="right")) / 2
