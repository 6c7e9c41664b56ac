"""The switches that make training faster or smaller: where they can work, and how to set them."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from transformers.utils.import_utils import is_flash_attn_2_available, is_flash_attn_3_available

from trainer.contract.spec import ModelSpec, UserError
from trainer.data.batches import collate, concatenate
from trainer.model.head import scoring_head


def check_switches(model: ModelSpec, device: torch.device) -> None:
    """Raises UserError, with a line for each switch that cannot work here."""
    mistakes = list(_mistakes(model, device))
    if mistakes:
        raise UserError("\n".join(mistakes))


def _mistakes(model: ModelSpec, device: torch.device) -> list[str]:
    cuda = device.type == "cuda"
    found: list[str] = []
    if model.parallel == "fsdp" and not cuda:
        found.append("model.parallel: FSDP needs accelerators; on the CPU use ddp")
    if model.compile and device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++"))):
        found.append(
            "model.compile: needs a C++ compiler on the CPU (g++); install one or leave it"
        )
    if model.compile and device.type == "mps":
        found.append("model.compile: does not work on mps; leave it out")
    if model.compile and model.parallel == "fsdp":
        found.append("model.compile: does not go with model.parallel fsdp; take one of them out")
    if model.dtype == "float16" and model.parallel == "fsdp":
        found.append("model.dtype: float16 does not go with model.parallel fsdp; take bfloat16")
    if model.liger and not cuda:
        found.append(f"model.liger: its kernels need a CUDA GPU, and this is {device.type}")
    elif model.liger and find_spec("liger_kernel") is None:
        found.append("model.liger: the package is not installed; pip install liger-kernel")
    available = {
        "flash_attention_2": is_flash_attn_2_available,
        "flash_attention_3": is_flash_attn_3_available,
    }
    if model.attention in available:
        if not cuda:
            found.append(
                f"model.attention: {model.attention} needs a CUDA GPU, and this is {device.type}; "
                "sdpa or auto will do"
            )
        elif not available[model.attention]():
            found.append(
                f"model.attention: the package for {model.attention} is not installed; "
                "install it (pip install flash-attn for 2), or take sdpa"
            )
    return found


def is_flash(model: Any) -> bool:
    """Whether the model computes attention with flash attention."""
    return str(model.config._attn_implementation).startswith("flash_attention")


def is_padding_free(spec: ModelSpec, model: Any) -> bool:
    """Whether samples are concatenated without padding. With flash attention that costs nothing;
    the others look at all pairs of tokens of a concatenation, those of different samples too: there
    it is only done where asked for."""
    return is_flash(model) if spec.padding_free is None else spec.padding_free


def check_padding_free(model: Any) -> None:
    """Raises UserError if samples that are concatenated see each other in this model."""
    rng = np.random.default_rng(0)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    rows = [rng.integers(0, vocabulary, length, dtype=np.int32) for length in (7, 5, 9)]
    together = concatenate(collate([(ids, ids) for ids in rows]), with_lengths=False)
    alone = [collate([(ids, ids)]) for ids in rows]
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with scoring_head(model) as base, torch.no_grad():

            def score(batch: dict[str, torch.Tensor]) -> float:
                on_device = {name: tensor.to(device) for name, tensor in batch.items()}
                return float(base(**on_device, fused_lm_head=True).log_probs.double().sum())

            difference = abs(score(together) - sum(score(batch) for batch in alone))
    finally:
        model.train(was_training)
    tokens = sum(len(ids) - 1 for ids in rows)
    if difference > 1e-2 * tokens:
        raise UserError(
            f"model.padding_free: in a {type(model).__name__} samples that are concatenated see "
            f"each other (the loss differs by {difference / tokens:.3g} nats a token); take false"
        )


def compile_blocks(model: Any) -> None:
    """Compile each repeated block in place, for any batch shape: one compilation serves them all,
    and names, hooks and adapters stay what they are."""
    blocks = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        blocks |= set(getattr(module, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in blocks:
            module.compile(dynamic=True)


def apply_liger(model: Any) -> None:
    """The model computes with Liger's layers; the loss is fused with the head already."""
    from transformers.integrations.liger import apply_liger_kernel

    apply_liger_kernel(model, {"cross_entropy": False, "fused_linear_cross_entropy": False})
