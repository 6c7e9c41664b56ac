"""One step's loss and norms with torch's own fully_shard on gloo processes, without a trainer."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from trainer.batches import Batch, collate, num_loss_tokens, split
from trainer.observe import GradientMeter, clip_gradients, total_squared_norm
from trainer.spec import Failed


class Sharded(NamedTuple):
    """What `run` sends: loss, norm before clipping, after it, of the first shard alone."""

    loss: float
    norm: float
    clipped: float
    own_shard: float
    can_measure_noise: bool


class Job(NamedTuple):
    base: str
    rows: list[Any]  # (input_ids, labels) of the whole batch
    processes: int
    micro_batch: int
    clip: float


def run(job: Job, channel: Connection) -> None:
    """Entry point of a process that forks the others; sends a Sharded or a Failed."""
    from trainer.launch import launch

    def work(rank: int, size: int, meeting: Path, own: Connection | None) -> Failed | None:
        from trainer.team import join

        torch.set_num_threads(1)
        join(rank, size, meeting)
        result = step(job, rank)
        if own is not None:
            own.send(result)
        return None

    failed = launch(work, job.processes, channel)
    if failed is not None:
        channel.send(failed)
    channel.close()


def step(job: Job, rank: int) -> Sharded:
    from torch.distributed.fsdp import fully_shard
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(job.base, dtype=torch.float32)
    for layer in model.model.layers:
        fully_shard(layer)
    fully_shard(model)
    part = len(job.rows) // job.processes
    own = collate(job.rows[rank * part : (rank + 1) * part])
    num_items = num_loss_tokens(collate(job.rows))
    loss = accumulate(model, split(own, job.micro_batch, by_length=True), num_items, job.processes)
    torch.distributed.all_reduce(loss)
    norm = total_squared_norm(model.parameters()).sqrt()
    locals_sq = [p.grad.to_local().square().sum() for p in model.parameters()]
    own_shard = torch.stack(locals_sq).sum().sqrt()
    clip_gradients(model.parameters(), job.clip, norm)
    clipped = total_squared_norm(model.parameters()).sqrt()
    can_measure = GradientMeter(model.parameters()).can_measure
    return Sharded(
        float(loss) / job.processes, float(norm), float(clipped), float(own_shard), can_measure
    )


def accumulate(
    model: Any, micro_batches: list[Batch], num_items: int, processes: int
) -> torch.Tensor:
    """Gradients add up in the shards; they are brought together after the last backward alone."""
    total = torch.zeros(())
    for index, micro_batch in enumerate(micro_batches):
        model.set_requires_gradient_sync(index == len(micro_batches) - 1)
        logits = model(**{k: v for k, v in micro_batch.items() if k != "labels"}).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), micro_batch["labels"][:, 1:].flatten(), reduction="sum"
        )
        scaled = loss / num_items * processes
        scaled.backward()
        total += scaled.detach()
    return total
