"""What `sweep replay` found: the report as Python has it and as `--json` prints it.

Compute is a share of training every run to its end. Regret is the best objective kept less the best
of all, as a share of median - best. Intervals are at 95 %, by resampling groups (of one or two
groups: their orders), the same ones for all policies; None where there is nothing to resample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from predictor.replay.sample import Sample

OURS = "sft-sweep"
UNAUDITED = f"{OURS}, audit 0"
OTHER_MODE = {"stream": f"{OURS}, stream", "scout": f"{OURS}, scout"}  # audits off

Settings = Mapping[
    str, str | float | list[float] | None
]  # by the study file's keys, or a baseline's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What one policy did, on average over replays; groups weigh the same."""

    compute: float  # share of training every run to its end
    compute_low: float | None  # lower end of its 95 % interval
    compute_high: float | None  # upper end
    regret_mean: float  # best kept less best of all, a share of median - best
    regret_low: float | None  # lower end of its 95 % interval
    regret_high: float | None  # upper end
    regret_p90: float  # over replays
    lost_best: float  # share of the replays with a regret above 0.05
    config_regret: float | None  # by seed means of configurations; None where each has one seed
    wall: float  # duration, in full runs of mean length
    random_regret: float  # expected of as many random runs as this compute trains to their end
    num_pruned: float  # runs a replay
    stated_misses: float | None  # a replay: the sum of P over its prunes; None: states none
    misses: float  # a replay: pruned runs that would have beaten the best of that moment
    replays: int  # groups times orders


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult(Measures):
    """A policy over all groups."""

    name: str  # of the policy
    settings: Settings  # that it was replayed with
    groups: int  # that it was replayed on


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult(Measures):
    """A policy on one group."""

    group: str  # its name
    workload: str  # base model and training data
    policy: str  # its name


@dataclass(frozen=True, slots=True)
class Group:
    """What there was to replay of one group."""

    group: str  # its name
    workload: str  # base model and training data
    runs: int  # that were replayed
    finished: int  # of these, trained to their end with a finite objective
    guarded: int  # of these, ended by a guard, and so under every policy
    left_out: int  # failed or pruned by rank when recorded: how they would have ended is not known
    window: float  # where the one look is, in samples or steps
    windows: int  # runs with steps up to there, which can be judged
    evaluations: float  # of a run, the median
    floor: float  # least compute of one look: one run in full (mode stream: startup), then windows


@dataclass(frozen=True, slots=True)
class PolicyGain:
    """What another policy takes more than ours, paired by group or order."""

    over: str  # the other policy
    compute: float  # its compute less ours
    compute_low: float | None  # lower end of the 95 % interval
    compute_high: float | None  # upper end
    regret: float  # its mean regret less ours
    regret_low: float | None  # lower end of the 95 % interval
    regret_high: float | None  # upper end


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What our policy and others would have done on recorded runs."""

    policies: tuple[PolicyResult, ...]  # ours, ours without audits, then what they are against
    per_group: tuple[GroupResult, ...]  # a row for each group and policy
    groups: tuple[Group, ...]  # in the order of the sources
    groups_without_end: tuple[str, ...]  # not replayed: no run was trained to its end
    gains: tuple[PolicyGain, ...]  # one for each policy but ours
    floor: float  # mean over groups
    settings: Settings  # of our policy
    orders: int  # shuffled orders in which each group was replayed
    workers: int  # trials that ran side by side
    points: int | None  # of a curve, for baselines that look more than once; None: there are none
    seed: int  # of orders and audits
    samples: tuple[Sample, ...]  # groups of which only a sample of the runs was replayed
    verdict: tuple[str, ...] = ()  # sentences: what it comes to
    cautions: tuple[str, ...] = ()  # sentences: why the numbers may mean little
