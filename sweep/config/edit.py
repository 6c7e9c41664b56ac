"""Other pruning settings in a study file, with everything else in it as it was."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from sweep.config.errors import show
from sweep.config.load import load_study
from sweep.config.pruning import Pruning
from sweep.config.sources import is_shipped
from sweep.config.yaml_text import parse, read_mapping
from trainer.contract.files import written_whole
from trainer.contract.spec import UserError

SECTION = "pruning"


@dataclass(frozen=True, slots=True)
class Change:
    """A key of a study file that was given another value."""

    key: str  # as pruning.risk
    was: object  # the value before; the default, if it had none
    now: object  # the value that was written
    is_new: bool  # the file did not have it, and the default held


def check_file(file: Path, name: str | None = None) -> None:
    """Raise UserError unless it is a study file of a person's own; `name`: of the study it must
    be."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such file; name the study's with --to my-study.yaml")
    if is_shipped(file):
        raise UserError(
            f"{file} belongs to the installation and is not written to: copy it and name the copy "
            "with --to my-study.yaml"
        )
    own = load_study(file).study.name
    if name is not None and own != name:
        raise UserError(
            f"{file} is the file of {own!r} now, not of {name!r}: name the right one with "
            "--to my-study.yaml"
        )


def write_pruning(file: Path, values: Mapping[str, Any]) -> list[Change]:
    """What changed in the study file: `values`, by the keys of its pruning section, are in it, and
    those that it had already are left alone. It is written beside and renamed.

    UserError where the result would be no study, or something else would have changed.
    """
    file = file.resolve()
    pruning = load_study(file).study.pruning
    document = read_mapping(file)
    section = document.get(SECTION, {})
    changes = [
        Change(f"{SECTION}.{key}", getattr(pruning, key), values[key], key not in section)
        for key in Pruning.model_fields
        if key in values and values[key] != getattr(pruning, key)
    ]
    if not changes:
        return []
    with file.open(encoding="utf-8", newline="") as opened:
        text = opened.read()
    new = {change.key.partition(".")[2]: show(change.now) for change in changes}
    expected = deepcopy(document)
    expected[SECTION] = {**section, **{k: _as_read(values[k]) for k in new}}
    edited = with_pruning(text, new)
    if parse(edited, str(file)) != expected:
        lines = ", ".join(f"{key}: {value}" for key, value in new.items())
        raise UserError(f"{file}: its {SECTION} section cannot be changed alone; put in: {lines}")
    _replace(file, edited)
    return changes


def _as_read(value: Any) -> Any:
    """YAML knows lists alone."""
    return list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value


def with_pruning(text: str, values: Mapping[str, str]) -> str:
    """The YAML text with other values in its pruning section, every other character as it was.

    `values`: as they are to be written. New keys come after those that are there; a section that
    is not there comes at the end.
    """
    root = _mapping(yaml.compose(text, yaml.SafeLoader))  # pyright: ignore
    section = _value(root, SECTION)
    if section is None:
        inside = ", ".join(f"{key}: {value}" for key, value in values.items())
        edits = [_inserted(text, root, {SECTION: f"{{{inside}}}"})]
    else:
        section = _mapping(section)
        new = {key: value for key, value in values.items() if _value(section, key) is None}
        edits = [_inserted(text, section, new)] if new else []
        for key, value in values.items():
            node = _value(section, key)
            if node is not None:
                edits.append((node.start_mark.index, node.end_mark.index, value))
    for start, end, written in sorted(edits, reverse=True):
        text = text[:start] + written + text[end:]
    return text


def _inserted(text: str, mapping: yaml.MappingNode, new: Mapping[str, str]) -> tuple[int, int, str]:
    """(start, end, text) of an edit that puts further keys behind those of the mapping."""
    pairs = [f"{key}: {value}" for key, value in new.items()]
    if mapping.flow_style:
        if not mapping.value:
            place, before = mapping.start_mark.index + 1, ""
        else:
            place, before = mapping.value[-1][1].end_mark.index, ", "
        return place, place, before + ", ".join(pairs)
    newline = "\r\n" if "\r\n" in text else "\n"
    first: yaml.Node = mapping.value[0][0]
    indent = " " * first.start_mark.column
    # Behind the last entry that ends on the line where its value starts: only there is it certain
    # to which entry a comment belongs.
    for _, value in reversed(mapping.value):
        if isinstance(value, yaml.ScalarNode | yaml.CollectionNode) and _is_on_its_lines(value):
            end = text.find("\n", value.end_mark.index)
            if end < 0:
                return len(text), len(text), "".join(f"{newline}{indent}{pair}" for pair in pairs)
            lines = "".join(f"{indent}{pair}{newline}" for pair in pairs)
            return end + 1, end + 1, lines
    start = first.start_mark.index
    return start, start, "".join(f"{pair}{newline}{indent}" for pair in pairs)


def _is_on_its_lines(node: yaml.Node) -> bool:
    """A block's end mark lies behind the comments that follow it; that of others does not."""
    if isinstance(node, yaml.CollectionNode):
        return bool(node.flow_style)
    return getattr(node, "style", None) not in ("|", ">")


def _value(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in mapping.value if name.value == key), None)


def _mapping(node: yaml.Node | None) -> yaml.MappingNode:
    assert isinstance(node, yaml.MappingNode), "validated before"
    return node


def _replace(file: Path, text: str) -> None:
    """The file, if what is written is a study; else as it was."""
    try:
        with written_whole(file) as beside:
            beside.write_text(text, encoding="utf-8", newline="")
            load_study(beside)
            shutil.copymode(file, beside)
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror})") from None
    except UserError as error:
        raise UserError(f"{file} was left as it is; with these settings {error}") from None
