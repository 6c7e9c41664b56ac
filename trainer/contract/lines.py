"""Files of JSON lines that grow by a line at a time: a kill loses the line being written alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file, each an object; what a kill has torn is left out. [] where there
    is no file."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    found: list[dict[str, Any]] = []
    for line in text.split(b"\n"):
        try:
            value: Any = json.loads(line)
        except ValueError:  # torn, or the nothing behind the last line; UnicodeDecodeError is one
            continue
        if isinstance(value, dict):
            found.append(cast("dict[str, Any]", value))
    return found


def append_line(path: Path, value: dict[str, Any]) -> None:
    """A line is in the file, behind those that are there; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # torn: what follows stands apart from it
                file.write(b"\n")
        file.write(json.dumps(value).encode() + b"\n")
