"""Which samples a step sees, and how they are split."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.batches import Order, StepSampler, micro_batch_size, split
from trainer.measure import pad_rows


@given(rows=st.integers(1, 40), batch=st.integers(1, 50), steps=st.integers(1, 20))
def test_every_step_has_its_full_batch_and_every_epoch_all_rows(
    rows: int, batch: int, steps: int
) -> None:
    order = Order(rows, batch, seed=3)
    batches = [order.rows(step) for step in range(steps)]
    assert [len(each) for each in batches] == [batch] * steps
    drawn = [row for each in batches for row in each]
    for epoch in range(len(drawn) // rows):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
    spread = Counter(drawn)
    assert max(spread.values()) <= math.ceil(len(drawn) / rows)


def test_the_order_comes_from_seed_and_epoch() -> None:
    first, again, other = (Order(50, 50, seed) for seed in (1, 1, 2))
    assert first.rows(0) == again.rows(0) != other.rows(0)
    assert first.rows(0) != first.rows(1)


def test_a_resumed_sampler_goes_on_where_the_first_one_was() -> None:
    whole = list(StepSampler(Order(10, 4, 0), 0, 9))
    rest = StepSampler(Order(10, 4, 0), 5, 9)
    assert list(rest) == whole[5:]
    assert len(rest) == 9  # the library takes the schedule's length from it


@pytest.mark.parametrize(
    ("batch", "largest", "in_window", "size"),
    [
        (64, 8, True, 8),
        (16, 8, True, 4),  # four micro-batches at least
        (12, 8, True, 3),
        (20, 8, True, 5),
        (7, 8, True, 1),  # of one size: a divisor
        (4, 8, True, 1),
        (3, 8, True, 1),
        (1, 8, True, 1),
        (16, 2, True, 2),
        (16, 8, False, 8),
        (4, 8, False, 4),
        (9, 8, False, 5),  # 5 + 4
        (17, 8, False, 6),  # 6 + 6 + 5
        (1, 8, False, 1),
    ],
)
def test_micro_batch_size(batch: int, largest: int, in_window: bool, size: int) -> None:
    assert micro_batch_size(batch, largest, in_window) == size


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    size=st.integers(1, 12),
)
def test_a_split_keeps_every_token_and_drops_the_padding(lengths: list[int], size: int) -> None:
    ids = [np.arange(1, length + 1) for length in lengths]
    parts = split(pad_rows(ids, ids), size)
    assert sum(int(part["attention_mask"].sum()) for part in parts) == sum(lengths)
    for part in parts:
        assert bool(part["attention_mask"][:, -1].any())
        assert torch.equal(part["labels"] == -100, part["attention_mask"] == 0)
