"""Tiny random base models with the settings that real ones have, one folder each.

As a command: python -m tests.support.make_bases FOLDER [NAME ...]

One token per byte and id 0 an ordinary "!", as in the vocabularies of Qwen, Llama 3 and GPT-2.

    name   embeddings    positions  end of text        end of a turn   padding        else
    llama  untied        rotary     <|end_of_text|>    <|eot_id|>      <|end_of_text|> = EOS
           BOS before every text; generation settings that sample without do_sample
    qwen   tied          rotary     <|im_end|> of the tokenizer, <|endoftext|> of the config
           turns end with <|im_end|>; padding <|endoftext|>, on the left; more rows than tokens
    gpt2   tied          learned    <|endoftext|>      no template     none
           no generation_config.json
    gemma  tied, scaled  rotary     <eos>              <end_of_turn>   <pad>
           BOS before every text and in the template; a list of ends; capped logits
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
SPREAD = 0.15  # of the weights: large enough for an adapter to make a token certain


@dataclass(frozen=True, slots=True)
class Base:
    """`special` tokens come after the bytes, in this order; the first is number 256."""

    special: tuple[str, ...]
    tokens: Mapping[str, Any]  # what tokenizer_config.json says of them
    model: Callable[[Mapping[str, int]], Any]  # ids of the special tokens -> a config
    generation: Mapping[str, Any] | None  # generation_config.json
    template: str | None = None
    bos_first: bool = False


def _llama(ids: Mapping[str, int]) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        **_SIZE,
        num_key_value_heads=2,
        vocab_size=256 + len(ids),
        tie_word_embeddings=False,
        bos_token_id=ids["<|begin_of_text|>"],
        eos_token_id=ids["<|end_of_text|>"],
    )


def _qwen(ids: Mapping[str, int]) -> Any:
    from transformers import Qwen2Config

    return Qwen2Config(
        **_SIZE,
        num_key_value_heads=1,
        vocab_size=320,
        tie_word_embeddings=True,
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
    )


def _gpt2(ids: Mapping[str, int]) -> Any:
    from transformers import GPT2Config

    return GPT2Config(
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=128,
        initializer_range=SPREAD,
        vocab_size=256 + len(ids),
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
        **_SAMPLES,
    )


def _gemma(ids: Mapping[str, int]) -> Any:
    from transformers import Gemma2Config

    return Gemma2Config(
        **_SIZE,
        num_key_value_heads=1,
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=64,
        vocab_size=256 + len(ids),
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=ids["<eos>"],
    )


_SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": SPREAD,
}
_SAMPLES: dict[str, Any] = {"task_specific_params": {"text-generation": {"do_sample": True}}}
BASES: Mapping[str, Base] = {
    "llama": Base(
        special=(
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ),
        tokens={
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|end_of_text|>",
            "pad_token": "<|end_of_text|>",
        },
        model=_llama,
        generation={
            "bos_token_id": 256,
            "eos_token_id": 257,
            "temperature": 0.6,  # refused by save_pretrained, once anything else is changed
            "top_p": 0.9,
        },
        template=LLAMA,
        bos_first=True,
    ),
    "qwen": Base(
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        tokens={
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "padding_side": "left",
        },
        model=_qwen,
        generation={
            "bos_token_id": 256,
            "eos_token_id": 256,
            "pad_token_id": 256,
            "do_sample": True,
            "repetition_penalty": 1.05,
            "temperature": 0.7,
            "top_k": 20,
        },
        template=CHATML,
    ),
    "gpt2": Base(
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        tokens={"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        model=_gpt2,
        generation=None,
    ),
    "gemma": Base(
        special=("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        tokens={"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"},
        model=_gemma,
        generation={
            "bos_token_id": 258,
            "eos_token_id": [257, 260],
            "pad_token_id": 256,
            "cache_implementation": "hybrid",
        },
        template=GEMMA,
        bos_first=True,
    ),
}


def make_base(name: str, folder: Path) -> Path:
    """Write the base model `name` into `folder`, the same on every call."""
    import torch
    from transformers import AutoModelForCausalLM

    base = BASES[name]
    ids = {token: 256 + i for i, token in enumerate(base.special)}
    _tokenizer(base, ids).save_pretrained(folder)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(base.model(ids)).save_pretrained(folder)
    written = folder / "generation_config.json"
    written.unlink()
    if base.generation is not None:
        written.write_text(json.dumps(base.generation, indent=2))
    return folder


def _tokenizer(base: Base, ids: Mapping[str, int]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ids])
    if base.bos_first:
        bos = base.tokens["bos_token"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, ids[bos])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=base.template, **base.tokens
    )


if __name__ == "__main__":
    for name in sys.argv[2:] or BASES:
        print(make_base(name, Path(sys.argv[1]) / name))  # noqa: T201
