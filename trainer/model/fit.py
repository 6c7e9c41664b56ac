"""How many samples fit into memory at once: searched for once, remembered beside the data.

What is remembered holds for the study's model and machine; trials of different batch sizes share
it: `fits` is the largest micro-batch that is known to fit, `fails` the smallest that is known not
to. A file that is lost or torn, or cannot be written, costs a search, nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate.utils import find_executable_batch_size
from accelerate.utils.memory import should_reduce_batch_size

from trainer.contract.files import write_json
from trainer.contract.spec import TrialSpec

# Where nothing can be searched. On a CPU more samples at once are not faster.
CAUTIOUS_MICRO_BATCH = 8


@dataclass(frozen=True, slots=True)
class Fit:
    """Micro-batch sizes that are known to fit and not to fit."""

    fits: int = 0
    fails: int | None = None


class FitMemory:
    """One file for the study; trials that differ in what they hold in memory have their own key."""

    def __init__(self, spec: TrialSpec) -> None:
        self._path = Path(spec.data_dir) / "micro_batch.json"
        model = spec.model
        adapter = "+".join((f"lora-{model.lora.rank}", *model.lora.modules_to_save))
        tuning = adapter if model.tuning == "lora" else "full"
        self._key = f"{tuning} {model.parallel}-{spec.processes}"

    def read(self) -> Fit:
        """What is known; nothing where the file is missing or torn."""
        return Fit(**self._all().get(self._key, {}))

    def _all(self) -> dict[str, dict[str, int]]:
        try:
            return json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}

    def it_fits(self, size: int) -> None:
        """A micro-batch of `size` samples has been trained on."""
        with suppress(OSError), self._alone():
            known = self.read()
            if known.fails is None or size < known.fails:
                self._write(Fit(max(known.fits, size), known.fails))

    def it_fails(self, size: int) -> None:
        """A size that fitted at first and then did not, fails."""
        with suppress(OSError), self._alone():
            known = self.read()
            smallest = size if known.fails is None else min(known.fails, size)
            self._write(Fit(min(known.fits, smallest - 1), smallest))

    def _write(self, fit: Fit) -> None:
        write_json(self._path, self._all() | {self._key: asdict(fit)})

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Other trials, and other processes of this one, read and write the same file."""
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def first_guess(known: Fit, own: int) -> int:
    """The size to try first for `own` samples a step: all of them, or below what fails."""
    return own if known.fails is None else max(1, min(own, known.fails // 2))


def largest_that_fits(
    memory: FitMemory, known: Fit, own: int, attempt: Callable[[int], None]
) -> int:
    """The largest micro-batch that fits, in samples. `attempt(size)` raises an out-of-memory error
    where `size` samples are too many.

    Halved until it does not; then remembered. A single sample is not tried: there is nothing below.
    """
    size = first_guess(known, own)
    if size <= known.fits:
        return size

    def halve() -> int:
        nonlocal size
        memory.it_fails(size)
        size //= 2
        return size

    @find_executable_batch_size(starting_batch_size=size, reduce_batch_size_fn=halve)
    def search(batch_size: int) -> int:
        if batch_size > 1:
            attempt(batch_size)
        return batch_size

    found = search()  # pyright: ignore[reportCallIssue]  the decorator gives the argument
    memory.it_fits(found)
    return found


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the device has no memory left."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and (should_reduce_batch_size(error) or "can't allocate memory" in str(error))
    )


def empty_cache(device: torch.device) -> None:
    """Give back what the allocator holds of a GPU and nothing uses."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
