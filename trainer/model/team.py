"""The processes that train one trial together: what they tell each other besides gradients."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from trainer.contract.spec import UserError

T = TypeVar("T")
# A process may wait for a verdict or an evaluation as long as it takes: whoever launched the team
# ends it when one of its processes dies, and the driver when it falls silent.
PATIENCE = timedelta(days=30)


class Team:
    """`rank` counts from 0; the main process, of rank 0, talks to the driver and writes the files.

    A team of one needs no other process and does nothing here.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def is_main_process(self) -> bool:
        """Whether it talks to the driver and writes the files."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """The main process's value, on all of them."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: T) -> list[T]:
        """Every process's value, in the order of their ranks, on all of them."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """All processes have come here."""
        self.gather(None)


def join(rank: int, size: int, rendezvous: Path) -> Team:
    """The team of a trial's processes on this machine, which find each other through the file
    `rendezvous`. UserError where there are fewer GPUs than processes.

    Gradients go over NCCL where there are GPUs (one for each process), else over gloo; what is said
    beside them always over gloo, so that nobody waits for a device.
    """
    cuda = torch.cuda.is_available()
    # What transformers and accelerate find out by themselves that they are one of several from.
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",  # wanted, not used: the file says where the others are
        "MASTER_PORT": "1",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    if cuda and torch.cuda.device_count() < size:
        raise UserError(
            f"processes: {size} need a GPU each, and {torch.cuda.device_count()} can be seen"
        )
    if cuda:
        torch.cuda.set_device(rank)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=dist.FileStore(str(rendezvous), size),  # pyright: ignore[reportPrivateImportUsage]
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
        device_id=torch.device("cuda", rank) if cuda else None,
    )
    return Team(rank, size)
