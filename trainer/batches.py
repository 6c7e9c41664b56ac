"""Which samples a step sees, and how they are split into micro-batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from trainer.measure import pad_rows
from trainer.store import list_column, open_table

DEFAULT_MICRO_BATCH = 8
MIN_MICRO_BATCHES = 4  # per step inside the window, where the batch allows it


class Order:
    """The samples in the order of (seed, epoch): a fresh permutation for each epoch.

    Steps take `batch_size` samples each, across the border of two epochs if need be, so any step's
    samples can be told without going through those before it.
    """

    def __init__(self, num_rows: int, batch_size: int, seed: int) -> None:
        self._num_rows, self._batch_size, self._seed = num_rows, batch_size, seed
        self._epoch, self._permutation = -1, np.zeros(0, dtype=np.int64)

    def rows(self, step: int) -> list[int]:
        """The samples of a step; 0 is the first."""
        start = step * self._batch_size
        return [self._row(position) for position in range(start, start + self._batch_size)]

    def _row(self, position: int) -> int:
        epoch, place = divmod(position, self._num_rows)
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._epoch, self._permutation = epoch, rng.permutation(self._num_rows)
        return int(self._permutation[place])


class StepSampler(torch.utils.data.Sampler[list[int]]):
    """A batch sampler that starts at `first_step`. Its length is always that of the whole run."""

    def __init__(self, order: Order, first_step: int, num_steps: int) -> None:
        self._order, self._first_step, self._num_steps = order, first_step, num_steps

    def __len__(self) -> int:
        return self._num_steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self._first_step, self._num_steps):
            yield self._order.rows(step)


class Rows(torch.utils.data.Dataset[tuple[np.ndarray, np.ndarray]]):
    """The prepared rows, memory-mapped: (input_ids, labels), each (length,) int32."""

    def __init__(self, folder: Path) -> None:
        table = open_table(folder)
        self._input_ids = list_column(table, "input_ids")
        self._labels = list_column(table, "labels")

    def __len__(self) -> int:
        return len(self._input_ids)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._input_ids[index], self._labels[index]


def collate(rows: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, torch.Tensor]:
    return pad_rows([ids for ids, _ in rows], [labels for _, labels in rows])


def micro_batch_size(batch_size: int, largest: int, in_window: bool) -> int:
    """Samples per micro-batch; the last one of a step may hold fewer, but not inside the window.

    Inside it all are of one size, and at least four if the batch allows: the noise-free norm is an
    estimate from the split.
    """
    if not in_window:
        num_micro_batches = -(-batch_size // largest)
        return -(-batch_size // num_micro_batches)
    if batch_size < MIN_MICRO_BATCHES:
        return 1
    largest = min(largest, batch_size // MIN_MICRO_BATCHES)
    return max(size for size in range(1, largest + 1) if batch_size % size == 0)


def split(batch: dict[str, torch.Tensor], size: int) -> list[dict[str, torch.Tensor]]:
    """Micro-batches of `size` samples, each without the padding it does not need."""
    lengths = batch["attention_mask"].sum(1)
    return [
        {
            name: tensor[start : start + size, : int(lengths[start : start + size].max())]
            for name, tensor in batch.items()
        }
        for start in range(0, len(lengths), size)
    ]
