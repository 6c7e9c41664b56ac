"""The program in a card. tests/trainer/model/test_saving.py runs it on models of every kind."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from sweep.report.usage import usage

ODD = 'it\'s "odd"\n```{prompt}'


def program(data: dict[str, Any], is_adapter: bool, has_chats: bool) -> str:
    text = usage(data, is_adapter=is_adapter, has_chats=has_chats)
    assert text.count("```") == 2
    return text.split("```python\n")[1].split("```")[0]


@pytest.mark.parametrize("is_adapter", [False, True])
@pytest.mark.parametrize("has_chats", [False, True])
@pytest.mark.parametrize("data", [{}, {"template": ODD, "system": ODD}])
def test_it_is_valid_python_that_writes_prompts_as_in_training(
    data: dict[str, Any], is_adapter: bool, has_chats: bool
) -> None:
    tree = ast.parse(program(data, is_adapter, has_chats))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert (ODD in texts) == bool(data)
    assert ("user" in texts) == has_chats


def test_an_adapter_takes_the_generation_settings_beside_it() -> None:
    settings = "model.generation_config = GenerationConfig.from_pretrained(folder)"
    assert settings in program({}, is_adapter=True, has_chats=True)
    assert settings not in program({}, is_adapter=False, has_chats=True)
