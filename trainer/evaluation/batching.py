"""A forward over many sequences: in batches of a few tokens, shared by the processes of a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from trainer.model.fit import is_out_of_memory
from trainer.model.team import Team

BATCH_TOKENS = {"cpu": 4096, "cuda": 32768, "mps": 8192}  # padding included


def is_sharded(model: Any) -> bool:
    """Whether each process holds only a part of the weights."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def device_of(model: Any) -> torch.device:
    """Where the model's weights are."""
    return next(model.parameters()).device


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model is in evaluation mode, and afterwards as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
        for module in model.modules():  # the outermost weights stay together after a forward
            if isinstance(module, FSDPModule):
                module.reshard()


def run_in_batches(
    model: Any,
    lengths: Sequence[int],
    run: Callable[[np.ndarray], None],
    alive: Callable[[], None],
    team: Team,
    max_tokens: int | None = None,
) -> None:
    """`run(rows)` was called for this process's share of the sequences, whose indices are `rows`
    (num_rows,), in batches of at most `max_tokens` with the padding, the longest first. Where
    memory runs out a batch is divided.
    """
    fits = max_tokens or BATCH_TOKENS[device_of(model).type]
    can_go_back = not is_sharded(model)  # processes that hold parts of one model cannot do so alone
    for batch in shared(list(batches(lengths, fits)), team):
        while True:
            try:
                for part in batches([lengths[row] for row in batch], fits):
                    run(batch[part])
                break
            except Exception as error:
                can_halve = fits > lengths[batch[0]] and can_go_back
                if not is_out_of_memory(error) or not can_halve:
                    raise
            fits //= 2
        alive()  # as often in every process, whichever had to divide its batches


def shared(batches: list[np.ndarray], team: Team) -> Iterator[np.ndarray]:
    """This process's batches. All get as many, some the last one again: sharded weights come
    together for each forward, so that everybody must take part in it."""
    for start in range(0, len(batches), team.size):
        yield batches[min(start + team.rank, len(batches) - 1)]


def batches(lengths: Sequence[int], max_tokens: int) -> Iterator[np.ndarray]:
    """Rows of similar length together, at most `max_tokens` a batch with the padding."""
    order = np.argsort(lengths, kind="stable")[::-1]  # the longest first: memory fails at once
    start = 0
    while start < len(order):
        per_batch = max(1, max_tokens // max(1, lengths[order[start]]))
        yield order[start : start + per_batch]
        start += per_batch
