"""How many runs of a group the commands look at that look at each of them many times."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.recorded.runs import RecordedStudy
from predictor.replay.sample import Sample, sampled
from sweep.analysis.options import check_at_least

LEAST_RUNS = 20


def sample(
    studies: Sequence[RecordedStudy], max_runs: int, seed: int = 0
) -> tuple[list[RecordedStudy], list[Sample]]:
    """The studies with at most `max_runs` runs each, and what was left out, as
    predictor.replay.sample has them. UserError for `max_runs` that are too few to tell anything."""
    check_at_least(LEAST_RUNS, max_runs=max_runs)
    return sampled(studies, max_runs, seed)
