"""How many runs of a study the commands look at that look at each of them many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from predictor.recorded.runs import RecordedStudy
from predictor.replay.sample import Sample, sampled
from trainer.contract.spec import UserError

LEAST_RUNS = 20


def sample(
    studies: Sequence[RecordedStudy], most: int, seed: int = 0
) -> tuple[list[RecordedStudy], list[Sample]]:
    """As predictor.replay.sample. UserError for `most` that is too few to tell anything."""
    if most < LEAST_RUNS:
        raise UserError(f"--max-runs: is {most}; must be at least {LEAST_RUNS}")
    return sampled(studies, most, seed)


def sample_part(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """For a document."""
    return [asdict(one) for one in samples]
