"""YAML as the field writes it: `1e-5` is a number, a key given twice is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from trainer.spec import UserError


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# YAML 1.1 wants a dot and a signed exponent; without this 1e-5 would be text.
_Loader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def parse(text: str, where: str) -> Any:
    """The value of a YAML text. UserError with `where` and the line for what is not YAML."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{where}{line}: not valid YAML: {error.problem or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{where}: not valid YAML: {reason}") from None


def read_mapping(path: Path) -> dict[str, Any]:
    """The top mapping of a YAML file. UserError if it cannot be read or is no mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; a study is a YAML file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    document = parse(text, str(path))
    if not isinstance(document, dict) or not document:
        raise UserError(f"{path}: a study is a mapping of keys, as name, model, data, search")
    return document  # pyright: ignore[reportUnknownVariableType]


def override(document: dict[str, Any], text: str) -> str:
    """Apply `key.path=value` in place; the path is returned. Mappings on the way are made."""
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise UserError(f"--set {text}: must be key.path=value, as run.trials=8")
    parsed = parse(value, f"--set {text}")
    *parents, last = path.split(".")
    part = document
    for key in parents:
        if not isinstance(part.get(key), dict):
            part[key] = {}
        part = part[key]
    part[last] = parsed
    return path
