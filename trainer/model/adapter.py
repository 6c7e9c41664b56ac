"""The LoRA adapter: what it can be put on, and what is trained in full beside it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper
from transformers.pytorch_utils import Conv1D

from trainer.contract.spec import ModelSpec, UserError


class AdapterSize(NamedTuple):
    """Parameters: of the adapter, which grow with its rank, and of the modules beside it."""

    num_adapter: int
    num_saved: int


def lora_config(model: ModelSpec, base: Any) -> LoraConfig:
    """peft's configuration of the adapter, for the base model as it was loaded.

    Where embeddings and head are one, and either is trained in full, they stay one.
    """
    lora = model.lora
    ends = base.get_input_embeddings(), base.get_output_embeddings()
    names = [name for name, module in base.named_modules() if any(module is end for end in ends)]
    trains_embeddings = any(name.endswith(lora.modules_to_save) for name in names)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType]  any number will do
        lora_dropout=lora.dropout,
        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
        modules_to_save=list(lora.modules_to_save) or None,
        ensure_weight_tying=trains_embeddings and _is_tied(base),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),  # as GPT-2
        task_type="CAUSAL_LM",
    )


def hold_in_float32(model: Any) -> None:
    """What is trained is held in float32, whatever the base is held in: peft does so with the
    adapter alone, and a small step is lost on weights in bfloat16."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def check_adapter(model: ModelSpec, skeleton: Any) -> AdapterSize:
    """The parameters of the adapter, tried on a model without weights. UserError where it cannot
    work."""
    targets = model.lora.targets
    if not isinstance(targets, str) and any(name.endswith("lm_head") for name in targets):
        raise UserError("model.lora.targets: lm_head cannot carry an adapter, its loss is fused")
    if model.lora.modules_to_save and (model.weights, model.dtype) == ("bfloat16", "float32"):
        raise UserError(
            "model.lora.modules_to_save: these are held in float32, the others in bfloat16 "
            "(model.weights), which model.dtype float32 cannot compute with; take dtype bfloat16 "
            "or weights float32"
        )
    was_tied = _is_tied(skeleton)
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft's, of what is refused below
            adapted: Any = get_peft_model(skeleton, lora_config(model, skeleton))
    except (ValueError, TypeError) as error:  # no such module in this model, or none that can
        reason = " ".join(str(error).split())
        raise UserError(f"model.lora: {reason[:300]}") from None
    mistakes = list(_mistakes(model, adapted, was_tied))
    if mistakes:
        raise UserError("\n".join(mistakes))
    trainable = [p for p in adapted.parameters() if p.requires_grad]
    saved = {
        id(p)
        for module in adapted.modules()
        if isinstance(module, ModulesToSaveWrapper)
        for p in module.parameters()
    }
    return AdapterSize(
        sum(p.numel() for p in trainable if id(p) not in saved),
        sum(p.numel() for p in trainable if id(p) in saved),
    )


def _mistakes(model: ModelSpec, adapted: Any, was_tied: bool) -> Iterator[str]:
    saved = [
        name for name, each in adapted.named_modules() if isinstance(each, ModulesToSaveWrapper)
    ]
    for name in model.lora.modules_to_save:
        if not any(each.endswith(name) for each in saved):
            yield f"model.lora.modules_to_save: the model has no module {name}"
    embeddings = adapted.get_base_model().get_input_embeddings()
    if was_tied and isinstance(embeddings, BaseTunerLayer):
        yield (
            "model.lora.targets: the embeddings of this model are its head too, and an adapter on "
            "them would separate the two; model.lora.modules_to_save trains them in full, as one"
        )
    elif was_tied and not _is_tied(adapted.get_base_model()):
        yield (
            "model.lora.modules_to_save: the embeddings of this model are its head too, and peft "
            "would separate the two; leave them out, or take model.tuning: full"
        )


def _is_tied(model: Any) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight
