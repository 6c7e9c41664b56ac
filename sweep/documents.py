"""Reports as JSON: a report is a frozen dataclass, and its fields are the keys of its document."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

# Metadata of a field whose own fields stand in the document in its place; of two keys of one name
# the later counts.
INLINE: Mapping[str, bool] = {"inline": True}


def to_json(report: DataclassInstance) -> dict[str, Any]:
    """A report as JSON values, a key for each field. What is not finite becomes None."""
    document: dict[str, Any] = {}
    for one in fields(report):
        value = _plain(getattr(report, one.name))
        document |= value if one.metadata == INLINE else {one.name: value}
    return document


def _plain(value: object) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value):
        return to_json(cast("DataclassInstance", value))
    if isinstance(value, Mapping):
        given = cast("Mapping[object, object]", value)
        return {str(key): _plain(one) for key, one in given.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("Sequence[object]", value)]
    return value


def field_docs(kind: type) -> dict[str, str]:
    """What each field of a report type means, by its name: the string that stands under it, or the
    comment behind it; of a field that has neither, an empty text."""
    docs: dict[str, str] = {}
    for one in reversed(kind.__mro__[:-1]):
        lines = textwrap.dedent(inspect.getsource(one)).splitlines()
        (definition,) = ast.parse("\n".join(lines)).body
        assert isinstance(definition, ast.ClassDef)
        for node, below in zip_longest(definition.body, definition.body[1:]):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                doc = lines[node.lineno - 1].partition("  # ")[2]
                if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                    doc = " ".join(str(below.value.value).split())
                docs[node.target.id] = doc
    return docs
