"""What pydantic finds wrong with a study file, as sentences that say what would be right."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sweep.config.entries import CHOICES, RANGE, VALUE, Choices, Interval
from trainer.contract.safe_text import clipped, url_without_secrets

Problem = tuple[str, str]  # key path, what is wrong and what would be right

MOST_PROBLEMS = 20  # said of one study; beyond that a number

_WANTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a mapping of keys",
    "finite_number": "finite",
    "greater_than": "greater than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "string_too_short": "text, not empty",
    "string_too_long": "at most {max_length:,} characters long",
    "too_long": "a list of at most {max_length:,}",
}


def show(value: Any) -> str:
    """A value as it would stand in the study file."""
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return "{" + ", ".join(f"{key}: {show(inner)}" for key, inner in items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(show(inner) for inner in cast("list[Any]", value)) + "]"
    if isinstance(value, bool | int | float) or value is None:
        return json.dumps(value)
    return str(value)


def complaints(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """A key path and a sentence for each error, in the order of the model's keys; of very many the
    first, and a number of the others."""
    errors = error.errors(include_url=False)
    found = [(_path(each["loc"]), _sentence(each, model)) for each in errors[:MOST_PROBLEMS]]
    if len(errors) > MOST_PROBLEMS:
        found.append(("and", f"{len(errors) - MOST_PROBLEMS:,} more problems of this kind"))
    return found


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        if part not in (VALUE, RANGE, CHOICES):
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return clipped(path.removeprefix(".")) or "the study"


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    found = "" if kind in ("missing", "extra_forbidden") else _shown(error["input"])
    match kind:
        case "missing":
            owner = _model_at(model, error["loc"][:-1])
            key = str(error["loc"][-1])
            return f"missing; give {owner.model_fields[key].description or 'it'}"
        case "extra_forbidden":
            return _unknown_key(error["loc"], model)
        case "union_tag_invalid":
            return f"is {found}; takes no range: give a value or {{choices: [...]}}"
        case "too_short":
            return "is empty; list at least one value"
        case "literal_error":
            allowed = str(context["expected"]).replace(" or ", ", ").replace("'", "")
            return f"is {found}; allowed: {allowed}"
        case "value_error":
            return f"is {found}; {context['error']}"
        case _ if kind in _WANTED:
            return f"is {found}; must be {_WANTED[kind].format(**context)}"
        case _:
            return f"is {found}; {error['msg']}"


def _shown(value: Any) -> str:
    text = show(value)
    return clipped(url_without_secrets(text) if isinstance(value, str) else text)


def _unknown_key(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    return unknown(str(loc[-1]), list(_model_at(model, loc[:-1]).model_fields), key_paths(model))


def unknown(
    key: str, allowed: Sequence[str], elsewhere: Iterable[str], separator: str = "."
) -> str:
    """What is said of a key that is none of `allowed`: the nearest of them, and of the paths
    `elsewhere` one that ends in it; where there is neither, one that nearly does."""
    key = clipped(key)
    ends: dict[str, str] = {}
    for path in elsewhere:
        ends.setdefault(path.split(separator)[-1], path)
    close = difflib.get_close_matches(key, allowed, n=1, cutoff=0.6)
    cutoff = 1.0 if close else 0.8
    meant = [ends[end] for end in difflib.get_close_matches(key, ends, n=1, cutoff=cutoff)] + close
    said = f"unknown key; did you mean {' or '.join(meant)}?" if meant else "unknown key;"
    return said if meant and not close else f"{said} allowed: {', '.join(allowed)}"


def key_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """All keys of a model and of the sections below it."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in _models_in(field.annotation):
            if not issubclass(inner, Interval | Choices):
                yield from key_paths(inner, f"{prefix}{name}.")


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    inner: list[type[BaseModel]] = [model]
    for part in loc:
        if part in (RANGE, CHOICES):
            wanted = Interval if part == RANGE else Choices
            inner = [each for each in inner if issubclass(each, wanted)]
        elif isinstance(part, str) and part in inner[0].model_fields:
            inner = _models_in(inner[0].model_fields[part].annotation)
    return inner[0]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for each in get_args(annotation) for model in _models_in(each)]
