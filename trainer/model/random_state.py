"""The random state that dropout draws from, on the CPU and on this process's GPU."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

RandomState = tuple[torch.Tensor, torch.Tensor | None]


def random_state() -> RandomState:
    """The random state as it is now: (CPU's, GPU's or None)."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return torch.get_rng_state(), cuda


def restore_random_state(state: RandomState) -> None:
    """What was drawn since will be drawn again."""
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])


@contextmanager
def no_random_numbers_taken() -> Iterator[None]:
    """What is drawn inside is drawn again afterwards: of Python's, numpy's and torch's numbers."""
    before, of_python, of_numpy = random_state(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        restore_random_state(before)
        random.setstate(of_python)
        np.random.set_state(of_numpy)
