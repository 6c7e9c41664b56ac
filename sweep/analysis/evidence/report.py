"""What `sweep evidence` found: the report as Python has it and as `--json` prints it.

Scores are objectives as maximized: higher is better, early evaluations too. Densities are in nats
a run. Windows are in samples, or in steps where samples are not known. Intervals are at 95 %. What
cannot be told is None or NaN here and null in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from predictor.evidence.evidence import StudyEvidence
from predictor.evidence.pooling import Pooled
from predictor.evidence.reliability import Bin, MissRate
from predictor.replay.sample import Sample
from sweep.analysis.evidence.sentences import Statement

SCORE = "the objective as maximized: higher is better"

MissRates = Mapping[str, MissRate]  # by what was to prune: rank, guard; only those with audits


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvidence(StudyEvidence):
    """The evidence of one group: the studies of one name, or a group of a recorded set."""

    num_repeats: int  # replicates of the best configurations, with new seeds; they are left out
    answer: str  # does the paper's finding hold here, and does it add anything? Two sentences
    verdict: tuple[Statement, ...]  # a sentence a signal, then one on what they add together
    limits: tuple[str, ...]  # sentences: what the numbers are not over
    audits: MissRates | None  # None: no run says what its audit found


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledSignal(Pooled):
    """One signal's correlation over all groups."""

    given_config: bool  # of what the configuration leaves of the ranks, not of the signal alone
    verdict: str  # one sentence


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the default settings would have pruned, by the probability of a miss they stated."""

    risk: float  # the default: most that may be stated of a run that is pruned
    min_gain: float  # the default: a miss is better than the best by that share of median - best
    orders: int  # shuffled orders in which every run was judged
    num_judged: int  # windows at which a probability could be stated
    num_prunes: int  # of these
    bins: tuple[Bin, ...]  # by the stated probability; empty ones are left out


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """What the early dynamics were worth: alone, beyond the configuration, and when pruned by."""

    answer: str  # over all groups, in sentences
    studies: tuple[GroupEvidence, ...]  # in the order of the sources
    pooled: tuple[PooledSignal, ...]  # empty below three groups
    reliability: Reliability | None  # None: no group has runs enough to judge prunes
    audits: MissRates | None  # of all groups; None: no run says what its audit found
    samples: tuple[Sample, ...]  # groups of which only a sample of the runs was looked at
    score: str = SCORE  # what correlations and predictions are with
