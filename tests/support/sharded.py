"""One step's loss and norms with torch's own fully_shard on gloo processes, without a trainer."""

from __future__ import annotations

import contextlib
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from trainer.contract.spec import Failed
from trainer.data.batches import Batch, collate, num_loss_tokens, split
from trainer.training.observe import GradientMeter, clip_gradients, total_squared_norm


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
    from trainer.training.launch import launch

    def work(rank: int, size: int, rendezvous: Path, own: Connection | None) -> Failed | None:
        from trainer.model.team import join

        torch.set_num_threads(1)
        join(rank, size, rendezvous)
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


class Wrapped(NamedTuple):
    """What `run_wrapped` sends: the norm and an evaluation, before and after accelerate's FSDP, and
    the norm after an evaluation that was given up."""

    norm: tuple[float, float]
    evaluation: tuple[float, float]
    norm_after_giving_up: float


def run_wrapped(job: tuple[str, str, str], channel: Connection) -> None:
    """Entry point: a tuning, a model and prepared data, sharded by accelerate over 2 processes, as
    the library does it on GPUs; with TRL's fused head and our evaluation."""
    from trainer.training.launch import launch

    def work(rank: int, size: int, rendezvous: Path, own: Connection | None) -> Failed | None:
        from trainer.model.team import join

        torch.set_num_threads(1)
        team = join(rank, size, rendezvous)
        result = wrapped(job, team)
        if own is not None:
            own.send(result)
        return None

    failed = launch(work, 2, channel)
    if failed is not None:
        channel.send(failed)
    channel.close()


def wrapped(job: tuple[str, str, str], team: Any) -> Wrapped:
    from types import SimpleNamespace

    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model
    from peft import get_peft_model

    from trainer.contract.spec import LoraSpec, ModelSpec, Stop
    from trainer.data.batches import Rows
    from trainer.evaluation.measure import load_scored, measure
    from trainer.model.adapter import lora_config
    from trainer.model.head import give_log_probs_alone
    from trainer.model.load import load_model
    from trainer.training.link import Ordered

    tuning, base, data_dir = job
    spec = ModelSpec(base, tuning, LoraSpec(rank=4), dtype="float32")  # type: ignore[arg-type]
    device = torch.device("cpu")
    model: Any = load_model(spec, device, place=False)
    if tuning == "lora":
        torch.manual_seed(0)
        model = get_peft_model(model, lora_config(spec, model))
    scored = load_scored(Path(data_dir), "eval_loss")
    rows = Rows(Path(data_dir) / "train")
    batch = collate([rows[row] for row in range(4)])

    def evaluation(*args: Any) -> float:
        return measure(model, scored, torch.float32, lambda: None, *args)[0].value

    def give_up() -> None:
        raise Ordered(Stop(checkpoint=True))

    def norm() -> float:
        for parameter in model.parameters():
            parameter.grad = None
        out = model(**batch, use_cache=False, fused_lm_head=True)
        (-out.log_probs.sum() / num_loss_tokens(batch)).backward()
        return float(total_squared_norm(model.parameters()).sqrt())

    give_log_probs_alone(model)
    model.train()
    before = norm(), evaluation()
    model.zero_grad()
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=False
    )
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh=None,
        mixed_precision="no",
        is_main_process=team.is_main_process,
        device=device,
        parallelism_config=None,
    )
    model = fsdp2_prepare_model(accelerator, model)
    after = norm(), evaluation(team)
    with contextlib.suppress(Ordered):
        measure(model, scored, torch.float32, give_up, team)
    return Wrapped((before[0], after[0]), (before[1], after[1]), norm())
