"""Batches of sequences of similar length, and how the processes of a trial share them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trainer.evaluation.batching import batches, run_in_batches, shared
from trainer.model.team import Team


class Teammate(Team):
    """One of several, alone in this test."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_all_processes_get_as_many_batches_and_together_all(size: int) -> None:
    """Weights that are sharded come together for each forward, in every process."""
    lengths = np.random.default_rng(0).integers(1, 60, 50).tolist()
    whole = list(batches(lengths, 100))
    shares = [list(shared(whole, Teammate(rank, size))) for rank in range(size)]
    assert len({len(share) for share in shares}) == 1
    seen = {int(row) for share in shares for batch in share for row in batch}
    assert seen == set(range(50))


def test_a_batch_has_the_longest_first_and_no_more_tokens_than_fit() -> None:
    lengths = np.random.default_rng(1).integers(1, 60, 50).tolist()
    found = list(batches(lengths, 100))
    assert found[0][0] == int(np.argmax(lengths)) or lengths[found[0][0]] == max(lengths)
    for batch in found:
        longest = max(lengths[row] for row in batch)
        assert longest * len(batch) <= 100 or len(batch) == 1
    assert sorted(int(row) for batch in found for row in batch) == list(range(50))


@pytest.mark.parametrize("size", [1, 2])
def test_it_says_that_it_lives_as_often_in_every_process(size: int) -> None:
    model: Any = torch.nn.Linear(1, 1)
    said = []
    for rank in range(size):
        times: list[int] = []
        run_in_batches(
            model, [5] * 7, lambda rows: None, lambda t=times: t.append(1), Teammate(rank, size), 10
        )
        said.append(len(times))
    assert len(set(said)) == 1 and said[0] == -(-4 // size)
