"""A sample of a large study's runs, where what is asked takes more than one look at each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from predictor.recorded.runs import RecordedRun, RecordedStudy


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn of a group that has more runs than are looked at."""

    group: str  # its name
    num_runs: int  # that were drawn
    of: int  # as many runs as it has
    seed: int  # of the draw

    @property
    def text(self) -> str:
        """The sample in a sentence: how many runs of how many, and how they were drawn."""
        return (
            f"{self.group}: this is based on a sample of {self.num_runs:,} of its {self.of:,} runs "
            f"(seed {self.seed}), those of each kind of end in their share and the first run of "
            "every configuration before the second of any; --max-runs takes more, and longer."
        )


def sampled(
    studies: Sequence[RecordedStudy], most: int, seed: int
) -> tuple[list[RecordedStudy], list[Sample]]:
    """The studies with `most` runs each at most, in the order they had; and what was left out of
    those that had more."""
    found: list[RecordedStudy] = []
    samples: list[Sample] = []
    for study in studies:
        if len(study.runs) > most:
            samples.append(Sample(study.name, most, len(study.runs), seed))
            study = replace(study, runs=tuple(study.runs[i] for i in _chosen(study, most, seed)))
        found.append(study)
    return found, samples


def _chosen(study: RecordedStudy, most: int, seed: int) -> list[int]:
    """`most` indices of runs, ascending. How a run ended is its stratum; shares are rounded by
    largest remainders, and a stratum that is there at all has at least one run if `most` allows."""
    strata: dict[tuple[bool, str, str | None], list[int]] = defaultdict(list)
    for i, run in enumerate(study.runs):
        strata[run.is_finished, run.state, run.pruned_by].append(i)
    rng = np.random.default_rng([seed, len(study.runs)])
    shares = {end: most * len(own) / len(study.runs) for end, own in strata.items()}
    nums = {end: max(int(share), 1) for end, share in shares.items()}
    while sum(nums.values()) != most:
        step = 1 if sum(nums.values()) < most else -1
        nums[max(nums, key=lambda end: step * (shares[end] - nums[end]))] += step
    chosen: list[int] = []
    for end, own in strata.items():
        shuffled = [own[int(i)] for i in rng.permutation(len(own))]
        turns = _turns(study.runs[i] for i in shuffled)
        order = sorted(range(len(own)), key=turns.__getitem__)  # stable: shuffled within a turn
        chosen += [shuffled[i] for i in order[: nums[end]]]
    return sorted(chosen)


def _turns(runs: Iterable[RecordedRun]) -> list[int]:
    """Of each run, how many of its configuration came before it."""
    seen: dict[str, int] = defaultdict(int)
    turns: list[int] = []
    for run in runs:
        key = json.dumps(dict(run.config), sort_keys=True, default=str)
        turns.append(seen[key])
        seen[key] += 1
    return turns
