"""Rows beyond a model's positions: known before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainer.contract.spec import DataSpec, UserError
from trainer.data.notes import Notes
from trainer.data.positions import Positions, positions_of
from trainer.data.rows import Source
from trainer.data.sources import Maker, choice_table, text_table

SMALL: dict[str, Any] = {"vocab_size": 50, "num_hidden_layers": 1, "num_attention_heads": 2}
LLAMA = SMALL | {"hidden_size": 8, "intermediate_size": 8, "num_key_value_heads": 2}
GPT = {"vocab_size": 50, "n_layer": 1, "n_head": 2, "n_embd": 8, "n_positions": 64}


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        ("gpt2", GPT, Positions(64, True)),
        ("gptj", GPT | {"rotary_dim": 4}, Positions(64, True)),  # rotary, out of a fixed table
        (
            "opt",
            SMALL
            | {"hidden_size": 8, "ffn_dim": 8, "word_embed_proj_dim": 8}
            | {"max_position_embeddings": 64},
            Positions(64, True),
        ),
        ("llama", LLAMA | {"max_position_embeddings": 64}, Positions(64, False)),
        ("qwen2", LLAMA | {"max_position_embeddings": 64}, Positions(64, False)),
        ("gpt_neox", LLAMA | {"max_position_embeddings": 64}, Positions(64, False)),
        ("bloom", {"vocab_size": 50, "n_layer": 1, "n_head": 2, "hidden_size": 8}, None),
    ],
)
def test_what_a_model_has(kind: str, config: dict[str, Any], expected: Positions | None) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    made = AutoConfig.for_model(kind, **config)
    with torch.device("meta"):
        assert positions_of(made, AutoModelForCausalLM.from_config(made)) == expected


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def source(*lengths: int) -> Source:
    """Rows of so many tokens each, EOS counted; one is the space before the completion."""
    rows = [{"prompt": "a" * (num - 3), "completion": "b"} for num in lengths]
    return Source("own.jsonl", rows, "line", list(range(1, len(rows) + 1)), None)


def test_rows_that_a_table_has_no_positions_for_are_refused(tokenizer: Any) -> None:
    maker = Maker(DataSpec(template="{prompt}"), tokenizer, Positions(64, True), lambda: None)
    said = (
        r"own.jsonl, line 2: 65 tokens, and the model has positions for 64 \(2 of the rows are too "
        r"long, the longest has 90\): set data.max_length: 64"
    )
    with pytest.raises(UserError, match=said):
        text_table(maker, Notes(source(64, 65, 90)), "prompt-completion")
    cut = Maker(
        DataSpec(template="{prompt}", max_length=64), tokenizer, Positions(64, True), lambda: None
    )
    assert text_table(cut, Notes(source(64, 65, 90)), "prompt-completion").facts()["longest"] == 64


def test_rows_beyond_rotary_positions_are_counted(tokenizer: Any) -> None:
    maker = Maker(DataSpec(template="{prompt}"), tokenizer, Positions(64, False), lambda: None)
    notes = Notes(source(64, 65, 90))
    assert text_table(maker, notes, "prompt-completion").facts()["rows"] == 3
    assert notes.facts() == [
        {
            "what": "longer than the model's 64 positions, 27 tokens in all beyond",
            "rows": 2,
            "first": "own.jsonl, line 2",
        }
    ]


def test_questions_too(tokenizer: Any) -> None:
    row = {"prompt": "a" * 60, "choices": ["b", "c" * 10], "answer": 0}
    asked = Source("own.jsonl", [row], "line", [1], None)
    fixed, rotary = (
        Maker(DataSpec(template="{prompt}"), tokenizer, Positions(64, is_table), lambda: None)
        for is_table in (True, False)
    )
    with pytest.raises(UserError, match=r"line 1: 71 tokens, .* .1 of the questions"):
        choice_table(fixed, Notes(asked), "text")
    notes = Notes(asked)
    choice_table(rotary, notes, "text")
    assert notes.facts()[0]["what"].startswith("longer than the model's 64 positions, 7 tokens")
