"""Writes the documents that are made from the code: `python -m docs.generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from sweep.config.study import Study

HERE = Path(__file__).parent

STUDY_FILE = """# The study file

Every key with its default. All errors in a file are reported at once, each with what would be
right. Paths start at the file's folder; what is not there is looked for on the Hub.

{keys}

`lm_eval:` metrics are not there yet, and refused.
"""


def study_file() -> str:
    """docs/study-file.md: a table of every key with its default and meaning."""
    lines = ["| key | default | |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | {default} | {text} |" for key, default, text in keys(Study)]
    return STUDY_FILE.format(keys="\n".join(lines))


def keys(part: type[BaseModel], prefix: str = "") -> list[tuple[str, str, str]]:
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


DOCUMENTS = {"study-file.md": study_file}


if __name__ == "__main__":
    for name, make in DOCUMENTS.items():
        (HERE / name).write_text(make(), encoding="utf-8")
