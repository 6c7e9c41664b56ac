"""What an adapter can be put on, and what is trained in full beside it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.support.make_bases import BASES
from trainer.contract.spec import LoraSpec, ModelSpec, UserError
from trainer.model.adapter import AdapterSize, check_adapter, hold_in_float32, lora_config

# peft asks transformers by an old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def skeleton(name: str) -> Any:
    from transformers import AutoModelForCausalLM

    base = BASES[name]
    ids = {token: 256 + i for i, token in enumerate(base.special)}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(base.model(ids))
        model.tie_weights()
    return model


def size(name: str, **lora: Any) -> AdapterSize:
    return check_adapter(ModelSpec(name, "lora", LoraSpec(4, **lora)), skeleton(name))


def test_the_parameters_of_the_adapter_and_of_the_modules_beside_it_are_counted() -> None:
    alone = size("llama")
    assert alone.num_adapter > 0 and alone.num_saved == 0
    head = 261 * 32
    assert size("llama", modules_to_save=("lm_head",)) == (alone.num_adapter, head)
    both = size("llama", modules_to_save=("lm_head", "embed_tokens"))
    assert both == (alone.num_adapter, 2 * head)


@pytest.mark.parametrize("names", [("embed_tokens",), ("lm_head",), ("lm_head", "embed_tokens")])
def test_embeddings_that_are_the_head_too_are_trained_as_one(names: tuple[str, ...]) -> None:
    assert size("qwen", modules_to_save=names).num_saved == 320 * 32


@pytest.mark.parametrize(
    ("name", "lora", "said"),
    [
        ("llama", {"targets": ("lm_head",)}, "lm_head cannot carry an adapter"),
        ("llama", {"targets": ("abacus",)}, "abacus"),
        ("llama", {"modules_to_save": ("abacus",)}, "the model has no module abacus"),
        ("llama", {"modules_to_save": ("lm_head", "abacus")}, "the model has no module abacus"),
        ("llama", {"modules_to_save": ("layers",)}, "model.lora: No modules were targeted"),
        ("llama", {"modules_to_save": ("layers",), "targets": ("lm_head",)}, "lm_head cannot"),
        (
            "qwen",
            {"targets": ("embed_tokens", "q_proj")},
            "an adapter on them would separate the two",
        ),
        ("gpt2", {"modules_to_save": ("wte",)}, "peft would separate the two"),
        ("gpt2", {"targets": ("wte",)}, "an adapter on them would separate the two"),
    ],
)
def test_what_cannot_work_is_refused(name: str, lora: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=r"model\.lora") as refused:
        size(name, **lora)
    assert said in str(refused.value)


def test_modules_in_float32_do_not_go_with_a_computation_in_float32_over_bfloat16() -> None:
    lora = LoraSpec(4, modules_to_save=("norm",))
    model = ModelSpec("llama", "lora", lora, dtype="float32", weights="bfloat16")
    with pytest.raises(UserError, match="take dtype bfloat16 or weights float32"):
        check_adapter(model, skeleton("llama"))


@pytest.mark.parametrize("names", [(), ("norm", "embed_tokens")])
def test_what_is_trained_over_bfloat16_weights_is_held_in_float32(names: tuple[str, ...]) -> None:
    from peft import get_peft_model

    model = ModelSpec("qwen", "lora", LoraSpec(4, modules_to_save=names), weights="bfloat16")
    base = skeleton("qwen").to_empty(device="cpu").to(torch.bfloat16)
    base.tie_weights()
    adapted = get_peft_model(base, lora_config(model, base))
    hold_in_float32(adapted)
    trained = {p.dtype for p in adapted.parameters() if p.requires_grad}
    frozen = {p.dtype for p in adapted.parameters() if not p.requires_grad}
    assert (trained, frozen) == ({torch.float32}, {torch.bfloat16})
    inner: Any = adapted.get_base_model()
    assert inner.get_input_embeddings().weight is inner.get_output_embeddings().weight
