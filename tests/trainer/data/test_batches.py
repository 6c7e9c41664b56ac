"""Which samples a step sees, and how they are split."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.batches import (
    Phased,
    Stacked,
    StepSampler,
    collate,
    concatenate,
    micro_batch_size,
    num_loss_tokens,
    pad_rows,
    split,
)


@given(rows=st.integers(1, 40), batch=st.integers(1, 50), steps=st.integers(1, 20))
def test_every_step_has_its_full_batch_and_every_epoch_all_rows(
    rows: int, batch: int, steps: int
) -> None:
    order = Stacked(rows, batch, seed=3)
    batches = [order.rows(step) for step in range(steps)]
    assert [len(each) for each in batches] == [batch] * steps
    drawn = [row for each in batches for row in each]
    for epoch in range(len(drawn) // rows):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
    spread = Counter(drawn)
    assert max(spread.values()) <= math.ceil(len(drawn) / rows)


def test_the_order_comes_from_seed_and_epoch() -> None:
    first, again, other = (Stacked(50, 50, seed) for seed in (1, 1, 2))
    assert first.rows(0) == again.rows(0) != other.rows(0)
    assert first.rows(0) != first.rows(1)


def test_a_resumed_sampler_goes_on_where_the_first_one_was() -> None:
    whole = list(StepSampler(Stacked(10, 4, 0), 0, 9))
    rest = StepSampler(Stacked(10, 4, 0), 5, 9)
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
    assert micro_batch_size(batch, 1, largest, in_window) == size


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    size=st.integers(1, 12),
    by_length=st.booleans(),
)
def test_a_split_keeps_every_token_and_drops_the_padding(
    lengths: list[int], size: int, by_length: bool
) -> None:
    ids = [np.arange(1, length + 1) for length in lengths]
    parts = split(pad_rows(ids, ids), size, by_length)
    assert [len(part["labels"]) for part in parts[:-1]] == [size] * (len(parts) - 1)
    widths = [part["labels"].shape[1] for part in parts]
    assert not by_length or widths == sorted(widths, reverse=True)
    assert sum(int(part["attention_mask"].sum()) for part in parts) == sum(lengths)
    for part in parts:
        assert bool(part["attention_mask"][:, -1].any())
        assert torch.equal(part["labels"] == -100, part["attention_mask"] == 0)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_a_step_without_changing_it(processes: int) -> None:
    order = Stacked(50, 16, seed=0)
    shares = [list(StepSampler(order, 2, 5, rank, processes)) for rank in range(processes)]
    for step in range(3):
        together = [row for share in shares for row in share[step]]
        assert together == order.rows(2 + step)


def test_in_the_window_the_micro_batches_are_the_same_on_any_number_of_processes() -> None:
    for batch in (8, 16, 64):
        assert len({micro_batch_size(batch, count, 4, True) for count in (1, 2, 4)}) == 1
    # As many over all processes as one alone needs, and all of a process's own of one size.
    assert micro_batch_size(16, 4, 8, True) == 4
    assert micro_batch_size(12, 2, 8, True) == 3
    assert micro_batch_size(16, 2, 8, False) == 8


SIZES = [30, 10, 60]


def phase_of(row: int) -> int:
    return 1 + sum(row >= end for end in np.cumsum(SIZES)[:-1])


def test_phases_come_one_after_the_other_each_for_its_share() -> None:
    order = Phased(SIZES, 4, 25, seed=0, replay=0.0)
    phases = [order.phase(step) for step in range(25)]
    assert phases == sorted(phases)
    assert [phases.count(phase) for phase in (1, 2, 3)] == [8, 2, 15]
    drawn = [[phase_of(row) for row in order.rows(step)] for step in range(25)]
    assert all(set(each) == {phase} for each, phase in zip(drawn, phases, strict=True))
    first = [row for step in range(7) for row in order.rows(step)]
    assert len(set(first)) == 28  # no row twice before all have been seen


def test_a_share_of_each_later_phase_is_drawn_from_those_before() -> None:
    order = Phased(SIZES, 4, 25, seed=0, replay=0.25)
    drawn = [(order.phase(step), phase_of(row)) for step in range(25) for row in order.rows(step)]
    for phase in (1, 2, 3):
        own = [found for now, found in drawn if now == phase]
        earlier = sum(found < phase for found in own)
        assert earlier == (0 if phase == 1 else len(own) // 4)
        assert not any(found > phase for found in own)
    assert {found for now, found in drawn if now == 3} == {1, 2, 3}


def test_any_step_of_a_phased_run_can_be_told_without_those_before() -> None:
    make = lambda: Phased(SIZES, 4, 25, seed=3, replay=0.1)  # noqa: E731
    order = make()
    whole = [order.rows(step) for step in range(25)]
    assert [make().rows(step) for step in reversed(range(25))] == whole[::-1]


@given(
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=5),
    batch=st.integers(1, 8),
    steps=st.integers(1, 30),
    replay=st.floats(0, 0.9),
)
def test_every_phased_step_has_its_full_batch(
    sizes: list[int], batch: int, steps: int, replay: float
) -> None:
    order = Phased(sizes, batch, steps, 0, replay)
    phases = [order.phase(step) for step in range(steps)]
    assert phases == sorted(phases)
    if steps >= len(sizes):
        assert set(phases) == set(range(1, len(sizes) + 1))
    for step in range(steps):
        rows = order.rows(step)
        assert len(rows) == batch and all(0 <= row < sum(sizes) for row in rows)


def test_concatenated_samples_keep_their_labels_and_lose_none_to_their_neighbours() -> None:
    ids = [np.array([5, 6, 7]), np.array([8]), np.array([9, 10])]
    labels = [np.array([5, 6, 7]), np.array([8]), np.array([-100, 10])]
    batch = collate(list(zip(ids, labels, strict=True)))
    row = concatenate(batch, with_lengths=True)
    assert row["input_ids"].tolist() == [[5, 6, 7, 8, 9, 10]]
    assert row["position_ids"].tolist() == [[0, 1, 2, 0, 0, 1]]
    # No first token is predicted from the sample before it.
    assert row["labels"].tolist() == [[-100, 6, 7, -100, -100, 10]]
    assert num_loss_tokens(row) == num_loss_tokens(batch) == 3
    assert row["cu_seq_lens_q"].tolist() == [0, 3, 4, 6]
    assert row["max_length_q"] == 3


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("loss_on", ["completion", "turns", "all"])
def test_the_loss_of_a_concatenation_is_that_of_its_samples_one_by_one(
    tiny_model: Path, attention: str, loss_on: str
) -> None:
    from transformers import AutoModelForCausalLM

    from trainer.model.head import scoring_head

    model = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation=attention)
    model.eval()
    rng = np.random.default_rng(0)
    rows = []
    for length in (9, 3, 14, 2, 6):
        ids = rng.integers(1, 257, length)
        labels = ids.copy()
        if loss_on == "completion":
            labels[: length // 2] = -100
        elif loss_on == "turns":
            labels[np.arange(length) % 4 < 2] = -100
        rows.append((ids, labels))
    with scoring_head(model) as base, torch.no_grad():
        together = base(**concatenate(collate(rows), False), fused_lm_head=True).log_probs
        alone = [base(**collate([row]), fused_lm_head=True).log_probs for row in rows]
    found = together[0][together[0] != 0]
    expected = torch.cat([part[0][part[0] != 0] for part in alone])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
