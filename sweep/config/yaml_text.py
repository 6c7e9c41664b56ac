"""YAML as the field writes it: `1e-5` is a number, a key given twice is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from trainer.contract.safe_text import clipped
from trainer.contract.spec import UserError

MOST_BYTES = 1_000_000  # a study is some hundred lines
MOST_VALUES = 100_000  # what an alias stands for counted each time
DEEPEST = 20  # mappings and lists in one another
_LARGEST = 2**63  # no key takes more, and nothing that trains counts so far
_TAGS = (None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_library: Any = yaml  # its stubs are partial
_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # of libyaml, where it is there


class _Loader(_Fast):  # pyright: ignore[reportUntypedBaseClass]
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                raise _refusal(f"key {_text(key)} is not text; put it in quotes", key)
            if key.value in seen:
                raise _refusal(f"key {_text(key)} is given twice", key)
            seen.add(key.value)
        return _Fast.construct_mapping(self, node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value: Any = _Fast.construct_object(self, node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError):
            _refuse(node)
        if type(value) is int and abs(value) >= _LARGEST:
            _refuse(node)
        return value


def _refuse(node: yaml.Node) -> NoReturn:
    raise _refusal(f"{_text(node)} is malformed or out of range", node)


def _refusal(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _text(node: yaml.Node) -> str:
    return repr(node.value[:100]) if isinstance(node, yaml.ScalarNode) else "that is a collection"


# Dates and the key = would be values that no key takes.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
    ]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}

# YAML 1.1 wants a dot and a signed exponent; without this 1e-5 would be text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def parse(text: str, where: str) -> Any:
    """The value of a YAML text: text, numbers, truth values, null, lists and mappings by text.

    UserError with `where` and the line for what is not YAML, and for what would cost more time or
    memory than its length lets one think.
    """
    try:
        _refuse_endless(text)
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        lines = max(1, len(text.splitlines()))  # what is not closed shows only behind the last
        line = f", line {min(mark.line + 1, lines)}" if mark else ""
        raise UserError(f"{where}{line}: not valid YAML: {error.problem or error}") from None
    except (yaml.YAMLError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{where}: not valid YAML: {reason}") from None


def _refuse_endless(text: str) -> None:
    """YAMLError for what is too deep, too much with its aliases written out, or tagged."""
    num_values = 0
    open_: list[tuple[str | None, int]] = []  # anchors, and how many values came before
    sizes: dict[str, int] = {}
    for event in _library.parse(text, _Fast):
        problem = ""
        if isinstance(event, _library.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_):
                problem = f"*{event.anchor} stands inside of what it names"
            num_values += sizes.get(event.anchor, 1)
        elif isinstance(event, _library.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = num_values - before
        elif isinstance(event, _library.NodeEvent):
            if getattr(event, "tag", None) not in _TAGS:
                problem = f"the tag {event.tag} is not taken: write the value alone"
            if isinstance(event, _library.CollectionStartEvent):
                open_.append((event.anchor, num_values))
            elif event.anchor:
                sizes[event.anchor] = 1
            num_values += 1
        if len(open_) > DEEPEST:
            problem = f"nested more than {DEEPEST} deep"
        if num_values > MOST_VALUES:
            problem = f"more than {MOST_VALUES:,} values, aliases written out"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def read_mapping(path: Path) -> dict[str, Any]:
    """The top mapping of a YAML file. UserError if it cannot be read or is no mapping."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UserError(f"{path}: over {MOST_BYTES / 1e6:g} MB; a study is a small YAML file")
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; a study is a YAML file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: cannot be read ({reason})") from None
    document = parse(text, str(path))
    if not isinstance(document, dict) or not document:
        raise UserError(f"{path}: a study is a mapping of keys, as name, model, data, search")
    return document  # pyright: ignore[reportUnknownVariableType]


def as_mapping(given: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping as if it stood in a study file. UserError for what no file can hold."""
    try:
        text = json.dumps(given, default=_path_text)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"a study is texts, numbers, lists and dictionaries: {error}") from None
    return parse(text, "the study")


def _path_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{clipped(repr(value))} is none of these")


def override(document: dict[str, Any], text: str) -> str:
    """The key path of `key.path=value`, which is put in place. Mappings on the way are made.
    UserError for another text."""
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")) or path.count(".") > DEEPEST:
        raise UserError(f"--set {clipped(text)}: must be key.path=value, as run.trials=8")
    put(document, path, parse(value, f"--set {clipped(text)}"))
    return path


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """The value stands at that key.path, in place. Mappings on the way are made."""
    *parents, last = path.split(".")
    part = document
    for key in parents:
        if not isinstance(part.get(key), dict):
            part[key] = {}
        part = part[key]
    part[last] = value
