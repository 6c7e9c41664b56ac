"""What a trial's weights, gradients and optimizer states take, in memory and on disk.

All in GB of 10^9 bytes. Activations come on top and are not estimated: they grow with the
micro-batch and the longest sample. So do the half-precision copies that autocast makes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from sweep.config.study import Study
from sweep.report.plan import NeededDisk, NeededMemory, NeededParking

GB = 1e9
Tuning = Literal["full", "lora"]
Dtype = Literal["float32", "bfloat16"]
_BYTES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2}


def lora_params(num_params: int, rank: int) -> int:
    """A rough count of the adapter's parameters, all linear layers adapted.

    A Llama-like model of width d has about 12 d^2 parameters a layer and its adapter about 19 d r,
    with d near 2 N^(1/3): within a factor of two from 0.1 to 70 billion parameters, embeddings
    apart.
    """
    width = 2 * num_params ** (1 / 3)
    return math.ceil(num_params * min(1.0, 19 / 12 * rank / width))


def memory_gb(
    num_params: int, tuning: Tuning, weights: Dtype, num_adapter: int = 0
) -> NeededMemory:
    """The memory of one process before activations, in GB of 10^9 bytes.

    AdamW keeps two moments in the type of what it trains: 16 bytes a parameter in float32, so a
    model of 7e9 parameters takes 112 GB, and 8 in bfloat16. Adapters are trained in float32; the
    base model under them has weights alone.
    """
    held = _BYTES[weights] * num_params
    trained = held if tuning == "full" else 4 * num_adapter
    weighs = held if tuning == "full" else held + trained
    return NeededMemory(weighs / GB, gradients=trained / GB, moments=2 * trained / GB)


def adapter_params(study: Study, facts: Mapping[str, Any]) -> int:
    """What is trained beside the frozen weights: the adapter of the largest rank in the space, and
    model.lora.modules_to_save; 0 where the model is tuned in full."""
    if study.model.tuning == "full":
        return 0
    rank = study.model.lora.rank
    largest = rank
    if study.search.space.lora_rank is not None:
        largest = int(study.search.space.extremes("lora_rank")[1])
    return facts["num_adapter"] * largest // rank + facts["num_saved"]


def model_gb(num_params: int, tuning: Tuning, weights: Dtype, num_adapter: int) -> float:
    """The weights that are saved, in GB of 10^9 bytes: of LoRA those of the adapter."""
    return (_BYTES[weights] * num_params if tuning == "full" else 4 * num_adapter) / GB


def checkpoint_gb(num_params: int, tuning: Tuning, weights: Dtype, num_adapter: int) -> float:
    """A checkpoint: the saved weights and AdamW's two moments of them, in GB of 10^9 bytes."""
    return 3 * model_gb(num_params, tuning, weights, num_adapter)


def disk_gb(
    num_params: int,
    tuning: Tuning,
    weights: Dtype,
    num_adapter: int,
    workers: int,
    kept_models: int,
    kept_checkpoints: int = 2,
    parked: int = 0,
    most_parked_gb: float = math.inf,
) -> NeededDisk:
    """The disk at the most full moment, in GB of 10^9 bytes. Each running trial has
    `kept_checkpoints` (the one being written counted); of the parked ones each has one, as far as
    `most_parked_gb` goes; models are the kept ones and one for each trial that is about to end."""
    checkpoint = checkpoint_gb(num_params, tuning, weights, num_adapter)
    return NeededDisk(
        checkpoints=workers * kept_checkpoints * checkpoint,
        models=(kept_models + workers) * model_gb(num_params, tuning, weights, num_adapter),
        parked=NeededParking(parked, checkpoint, most_parked_gb) if parked else None,
    )


def what_fits(num_params: int, available_bytes: float, lora_rank: int = 16) -> str:
    """A sentence on what would fit into `available_bytes`, before activations."""
    num_adapter = lora_params(num_params, lora_rank)
    ways: tuple[tuple[str, Tuning, Dtype], ...] = (
        ("full fine-tuning in float32", "full", "float32"),
        ("model.weights: bfloat16", "full", "bfloat16"),
        ("model.tuning: lora", "lora", "float32"),
        ("both", "lora", "bfloat16"),
    )
    sizes = {
        name: memory_gb(num_params, tuning, weights, num_adapter).total
        for name, tuning, weights in ways
    }
    available = available_bytes / GB
    fitting = [f"{name} ({size:.3g} GB)" for name, size in sizes.items() if size <= available]
    largest = f"{available_bytes / 16 / 1e9:.2g} billion parameters"
    if not fitting:
        return (
            f"Nothing fits {available:.3g} GB: LoRA over bfloat16 weights takes "
            f"{sizes['both']:.3g} GB; take a smaller model (in full in float32: up to {largest})"
        )
    return (
        f"What fits {available:.3g} GB: {', '.join(fitting)}; or, trained in full in float32, "
        f"a model of up to {largest}"
    )
