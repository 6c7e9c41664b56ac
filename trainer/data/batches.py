"""Which samples a step sees, and how they are split into micro-batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from trainer.data.store import list_column, open_table
from trainer.data.tokenise import IGNORED

MIN_MICRO_BATCHES = 4  # per step inside the window, where the batch allows it

Batch = dict[str, torch.Tensor]  # each (num_rows, longest)


class Rows(torch.utils.data.Dataset[tuple[np.ndarray, np.ndarray]]):
    """The prepared rows, memory-mapped: (input_ids, labels), each (length,) int32."""

    def __init__(self, folder: Path) -> None:
        table = open_table(folder)
        self._input_ids = list_column(table, "input_ids")
        self._labels = list_column(table, "labels")
        phases = table["phase"].to_numpy()  # (num_rows,), ascending
        self.phase_sizes: list[int] = np.unique_counts(phases).counts.tolist()

    def __len__(self) -> int:
        return len(self._input_ids)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._input_ids[index], self._labels[index]

    def longest(self) -> int:
        """The row with the most tokens."""
        return int(np.argmax([len(ids) for ids in self._input_ids]))


class Order(Protocol):
    """The samples of each step (0 is the first). Any step's can be told without those before."""

    def rows(self, step: int) -> list[int]:
        """Indices of the rows of a step's samples: batch_size of them."""
        ...

    def phase(self, step: int) -> int:
        """The phase that a step belongs to, counted from 1; 0: all phases together."""
        ...


class Shuffled:
    """Positions to rows [first, first + num_rows): a fresh permutation for each time through."""

    def __init__(self, first: int, num_rows: int, key: Sequence[int]) -> None:
        self._first, self._num_rows, self._key = first, num_rows, key
        self._epoch, self._permutation = -1, np.zeros(0, dtype=np.int64)

    def row(self, position: int) -> int:
        """The row at a position of the endless shuffled sequence."""
        epoch, place = divmod(position, self._num_rows)
        if epoch != self._epoch:
            self._epoch = epoch
            self._permutation = np.random.default_rng([*self._key, epoch]).permutation(
                self._num_rows
            )
        return self._first + int(self._permutation[place])


class Stacked:
    """All rows together, in the order of (seed, epoch); batches run across the border of epochs."""

    def __init__(self, num_rows: int, batch_size: int, seed: int) -> None:
        self._batch_size = batch_size
        self._shuffled = Shuffled(0, num_rows, [seed])

    def rows(self, step: int) -> list[int]:
        """The next batch_size rows of the shuffled sequence."""
        start = step * self._batch_size
        return [self._shuffled.row(start + place) for place in range(self._batch_size)]

    def phase(self, step: int) -> int:
        """Always 0: all phases together."""
        return 0


class Phased:
    """One phase after the other, each for its share of the steps by its number of rows.

    From the second phase on, `replay` of the samples are drawn from all earlier phases (as LAB
    does, arXiv 2403.01081; Orca, arXiv 2306.02707, trains in phases without). A step belongs to one
    phase. Every phase gets at least one step where there are as many.
    """

    def __init__(
        self, sizes: Sequence[int], batch_size: int, num_steps: int, seed: int, replay: float
    ) -> None:
        self._batch_size, self._seed, self._replay = batch_size, seed, replay
        starts = [0, *np.cumsum(sizes).tolist()]
        self._ends = _phase_ends(sizes, num_steps)
        self._fresh = [
            Shuffled(start, size, [seed, phase, 0])
            for phase, (start, size) in enumerate(zip(starts, sizes, strict=False), start=1)
        ]
        self._earlier = [
            Shuffled(0, max(1, start), [seed, phase, 1])
            for phase, start in enumerate(starts[:-1], start=1)
        ]

    def phase(self, step: int) -> int:
        """The phase that a step belongs to, counted from 1."""
        return 1 + sum(step >= end for end in self._ends[:-1])

    def rows(self, step: int) -> list[int]:
        """Rows of the step's phase, `replay` of them from all earlier phases, in a random order."""
        index = self.phase(step) - 1
        began = self._ends[index - 1] if index else 0
        share = self._replay if index else 0.0
        rows: list[int] = []
        for place in range(self._batch_size):
            position = (step - began) * self._batch_size + place
            replayed, then = (_whole(share * position), _whole(share * (position + 1)))
            if then > replayed:
                rows.append(self._earlier[index].row(replayed))
            else:
                rows.append(self._fresh[index].row(position - replayed))
        # Replayed samples come at even distances: without this the micro-batches of a step would
        # differ in what they hold, and the noise-free norm takes them for draws of one kind.
        return np.random.default_rng([self._seed, step, 2, 0]).permutation(rows).tolist()


def _whole(number: float) -> int:
    return int(number + 1e-9)  # 0.1 * 30 is 3


def _phase_ends(sizes: Sequence[int], num_steps: int) -> list[int]:
    """The step with which each phase ends, exclusive."""
    total, count = sum(sizes), len(sizes)
    ends = [round(num_steps * int(end) / total) for end in np.cumsum(sizes)]
    for index in range(count):  # a step each, if there are enough
        ends[index] = max(ends[index], min(index + 1, num_steps))
    for index in reversed(range(count - 1)):
        ends[index] = min(ends[index], max(0, ends[index + 1] - 1))
    return ends


class StepSampler(torch.utils.data.Sampler[list[int]]):
    """A batch sampler that starts at `first_step`, for the `rank`-th of `processes` equal parts of
    each step's samples. Its length is always that of the whole run."""

    def __init__(
        self, order: Order, first_step: int, num_steps: int, rank: int = 0, processes: int = 1
    ) -> None:
        self._order, self._first_step, self._num_steps = order, first_step, num_steps
        self._rank, self._processes = rank, processes

    def __len__(self) -> int:
        return self._num_steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self._first_step, self._num_steps):
            rows = self._order.rows(step)
            assert len(rows) % self._processes == 0
            part = len(rows) // self._processes
            yield rows[self._rank * part : (self._rank + 1) * part]


def collate(rows: list[tuple[np.ndarray, np.ndarray]]) -> Batch:
    """The rows padded to the longest of them: each (num_rows, longest) int64."""
    return pad_rows([ids for ids, _ in rows], [labels for _, labels in rows])


def micro_batch_size(batch_size: int, processes: int, largest: int, in_window: bool) -> int:
    """Samples per micro-batch; the last one of a step may hold fewer, but not inside the window.

    Inside it all are of one size, and at least four over all processes if the batch allows: the
    noise-free norm is an estimate from the split.
    """
    own = batch_size // processes
    if not in_window:
        num_micro_batches = -(-own // largest)
        return -(-own // num_micro_batches)
    if batch_size < MIN_MICRO_BATCHES:
        return 1
    largest = min(largest, batch_size // MIN_MICRO_BATCHES)
    return max(size for size in range(1, largest + 1) if own % size == 0)


def split(batch: Batch, size: int, by_length: bool) -> list[Batch]:
    """Micro-batches of `size` samples, each without the padding it does not need.

    `by_length`: samples of like length together, the longest first (memory fails at once). Not for
    the noise-free norm, which needs micro-batches that were drawn alike.
    """
    lengths = batch["attention_mask"].sum(1)
    order = torch.arange(len(lengths))
    if by_length:
        order = torch.sort(lengths, descending=True, stable=True).indices
    return [
        {name: tensor[part, : int(lengths[part].max())] for name, tensor in batch.items()}
        for part in order.split(size)
    ]


def concatenate(batch: Batch, with_lengths: bool) -> Batch:
    """The samples one after the other without padding: each (1, num_tokens).

    `position_ids` begin at 0 again with each sample, from which the attention knows the borders; no
    sample's first token is predicted from the sample before. `with_lengths`: and the borders as
    flash attention takes them, so that it need not find them (a wait for the device).
    """
    lengths = batch["attention_mask"].sum(1).tolist()
    parts = [
        {"input_ids": ids[:length], "labels": labels[:length].clone()}
        for ids, labels, length in zip(batch["input_ids"], batch["labels"], lengths, strict=True)
    ]
    for part in parts:
        part["labels"][0] = IGNORED
    row: dict[str, torch.Tensor] = {
        name: torch.cat([part[name] for part in parts])[None] for name in ("input_ids", "labels")
    }
    row["position_ids"] = torch.cat([torch.arange(length) for length in lengths])[None]
    if with_lengths:
        borders = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
        row |= {"cu_seq_lens_q": borders, "cu_seq_lens_k": borders}
        longest = max(end - start for start, end in pairwise(borders.tolist()))
        row |= {"max_length_q": longest, "max_length_k": longest}  # pyright: ignore[reportAssignmentType]
    return row


def num_loss_tokens(batch: Batch) -> int:
    """How many tokens bear loss. One is predicted from those before it in its row, so the first of
    a row does not."""
    return int((batch["labels"][:, 1:] != IGNORED).sum())


def pad_rows(input_ids: list[np.ndarray], labels: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """The rows right-padded to the longest: each (num_rows, longest) int64.

    The padding id does not matter: attention_mask hides it and its labels carry no loss. So an EOS
    that also serves as padding still carries loss where it ends a completion.
    """
    shape = len(input_ids), max(len(ids) for ids in input_ids)
    padded = {
        "input_ids": np.zeros(shape, dtype=np.int64),
        "attention_mask": np.zeros(shape, dtype=np.int64),
        "labels": np.full(shape, IGNORED, dtype=np.int64),
    }
    for row, (ids, own) in enumerate(zip(input_ids, labels, strict=True)):
        padded["input_ids"][row, : len(ids)] = ids
        padded["attention_mask"][row, : len(ids)] = 1
        padded["labels"][row, : len(ids)] = own
    return {name: torch.from_numpy(rows) for name, rows in padded.items()}


def step_loader(
    rows: Rows, steps: StepSampler, *, pin_memory: bool
) -> torch.utils.data.DataLoader[Any]:
    """One process's part of each optimizer step's batch, step by step.

    It has a generator of its own: making its iterator draws a number, which must not come from the
    global state that a resumed trial has just restored.
    """
    return torch.utils.data.DataLoader(
        rows,
        batch_sampler=steps,
        collate_fn=collate,
        pin_memory=pin_memory,
        generator=torch.Generator(),
    )
