"""The README says what the code does.

`python -m tests.end_to_end.test_docs` writes its reference anew.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from sweep.cli import app
from sweep.config.study import Study
from sweep.config.yaml_text import parse
from tests import ROOT

README = ROOT / "README.md"
MARKS = ("<!-- keys -->", "<!-- end of keys -->")


def reference() -> str:
    """A Markdown table of every key with its default and meaning."""
    lines = ["| key | default | |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | {default} | {text} |" for key, default, text in keys(Study, "")]
    return "\n".join(lines)


def keys(part: type[BaseModel], prefix: str) -> list[tuple[str, str, str]]:
    """(key path, default, description) of each leaf. An entry of the space counts as a leaf."""
    found: list[tuple[str, str, str]] = []
    for name, field in part.model_fields.items():
        options = (field.annotation, *getattr(field.annotation, "__args__", ()))
        parts = [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]
        if parts and not prefix.startswith("search.space."):
            found += keys(parts[0], f"{prefix}{name}.")
        else:
            description = " ".join((field.description or "").split())
            found.append((prefix + name, _default(field), description))
    return found


def _default(field: Any) -> str:
    if field.is_required():
        return "*required*"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{yaml.safe_dump(value, default_flow_style=True).split(chr(10))[0].strip()}`"


def between_marks(text: str) -> str:
    return text.split(MARKS[0])[1].split(MARKS[1])[0].strip()


def test_the_reference_names_every_key() -> None:
    assert between_marks(README.read_text()) == reference()


def test_every_key_has_a_description() -> None:
    assert [key for key, _, text in keys(Study, "") if not text] == []


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL))
def test_yaml_in_the_readme_is_a_study_or_a_part_of_one(block: str) -> None:
    whole = {
        "name": "x",
        "model": {"base": "x"},
        "data": {"train": "x", "eval": "y"},
        "budget": {"epochs": 1},
        "search": {"space": {"learning_rate": 1e-4, "batch_size": {"choices": [8, 16]}}},
    }
    Study.model_validate({**whole, **parse(block, "README")})


def test_the_commands_in_the_readme_exist() -> None:
    named = set(re.findall(r"^    sweep (\w+)", README.read_text(), re.MULTILINE))
    assert named
    assert named <= set(app)


if __name__ == "__main__":
    before, after = README.read_text().split(MARKS[0])
    README.write_text(f"{before}{MARKS[0]}\n{reference()}\n{MARKS[1]}{after.split(MARKS[1])[1]}")
