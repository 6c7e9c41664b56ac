"""Writes the documents that are made from the code: `python -m docs.generate`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel

from sweep.analysis.compare.report import CompareReport
from sweep.analysis.evidence.report import EvidenceReport
from sweep.analysis.recorded.export import ExportReport
from sweep.analysis.replay.report import ReplayReport
from sweep.analysis.tune.report import TuneReport
from sweep.config.study import Study
from sweep.documents import INLINE, Json, field_docs
from sweep.report.judge_types import JudgeReport
from sweep.report.recipes_text import RecipesReport
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import TrialReport

HERE = Path(__file__).parent

_PLAIN = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    type(None): "null",
}

STUDY_FILE = """# The study file

Every key with its default. All errors in a file are reported at once, each with what would be
right. Paths start at the file's folder; what is not there is looked for on the Hub.

{keys}
"""

JSON = """# JSON

`--json` prints one document, `sweep.documents.to_json` makes the same of a report. The keys are the
fields of these types. What is not finite is null; losses are in nats per token, compute in FLOPs,
times in seconds.

{reports}
"""

COMMANDS = {
    "sweep inspect STUDY": StudyReport,
    "sweep inspect STUDY --trial N": TrialReport,
    "sweep judge STUDY": JudgeReport,
    "sweep recipes": RecipesReport,
    "sweep evidence": EvidenceReport,
    "sweep compare STUDY STUDY ...": CompareReport,
    "sweep replay": ReplayReport,
    "sweep tune": TuneReport,
    "sweep export": ExportReport,
}


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


def json_page() -> str:
    """docs/json.md: a section for each command, then one for each type that they share."""
    written: set[type] = set()
    parts: list[str] = []
    for command, report in COMMANDS.items():
        parts.append(f"## `{command} --json`\n\n{_fields(report)}")
        written.add(report)
    waiting = [kind for report in COMMANDS.values() for kind in _inner(report)]
    parts.append("## The types in them")
    while waiting:
        kind = waiting.pop(0)
        if kind in written:
            continue
        written.add(kind)
        about = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
        parts.append(f"### {kind.__name__}\n\n{about}\n\n{_fields(kind)}")
        waiting += _inner(kind)
    names = [kind.__name__ for kind in written]
    assert len(set(names)) == len(names), "a link goes by the name: two types have the same one"
    return JSON.format(reports="\n\n".join(parts))


def _fields(kind: type) -> str:
    docs = field_docs(kind)
    hints = _hints(kind)
    lines = ["| key | type | |", "| --- | --- | --- |"]
    for field in fields(kind):
        text = docs.get(field.name) or field.metadata.get("description", "")
        text = " ".join(text.split()).replace("|", "\\|")
        name = "*(its keys, inlined)*" if field.metadata == INLINE else f"`{field.name}`"
        lines.append(f"| {name} | {_type(hints[field.name])} | {text} |")
    return "\n".join(lines)


def _hints(kind: type) -> dict[str, Any]:
    """The types of its fields, by their names; what `Json` is made of is looked up here."""
    return get_type_hints(kind, localns={"Json": Json, "Mapping": Mapping, "Sequence": Sequence})


def _type(hint: Any) -> str:
    """The type in JSON's words; a report is a link to its section."""
    if is_dataclass(hint) and isinstance(hint, type):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    origin, arguments = get_origin(hint), get_args(hint)
    if {bool, int, float, str} <= set(arguments):  # documents.Json
        return "any"
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(one) for one in arguments))
    if origin is Literal:
        return " or ".join(f'"{one}"' for one in arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"object of {_type(arguments[1])}"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"list of {_type(arguments[0])}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f'"{one.value}"' for one in hint)
    return _PLAIN.get(hint, "any")


def _inner(kind: type) -> list[type]:
    """The reports within its fields, in their order."""

    def within(hint: Any) -> list[type]:
        if is_dataclass(hint) and isinstance(hint, type):
            return [hint]
        return [one for argument in get_args(hint) for one in within(argument)]

    return [one for hint in _hints(kind).values() for one in within(hint)]


DOCUMENTS = {"study-file.md": study_file, "json.md": json_page}


if __name__ == "__main__":
    for name, make in DOCUMENTS.items():
        (HERE / name).write_text(make(), encoding="utf-8")
