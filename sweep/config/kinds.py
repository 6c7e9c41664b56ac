"""The kinds of single values in a study file, each with what would be right."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, Strict

from sweep.config.entries import MOST, whole
from sweep.config.limits import STRIDE
from trainer.contract.spec import is_template_file

MOST_LISTED = 1_000  # files, studies, module names
MOST_AT_A_TIME = STRIDE  # trials, workers, or samples in memory
MOST_GB = 1_000_000


def _auto_or_count(value: Any) -> int | Literal["auto"]:
    number = whole(value)
    if number == "auto" or (type(number) is int and 1 <= number <= MOST_AT_A_TIME):
        return number
    raise ValueError(f"must be auto or a whole number from 1 to {MOST_AT_A_TIME:,}")


def _auto_or_gb(value: Any) -> int | float | Literal["auto"]:
    if value == "auto":
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_GB:
        return value
    raise ValueError(f"must be auto or GB from 0 to {MOST_GB:,}")


def _auto_or_amount(value: Any) -> int | Literal["auto"]:
    number = whole(value)
    if number == "auto" or (type(number) is int and 0 <= number <= MOST):
        return number
    raise ValueError(f"must be auto or a whole number from 0 to {MOST:,}")


def _auto_or_bool(value: Any) -> bool | Literal["auto"]:
    if value == "auto" or isinstance(value, bool):
        return value
    raise ValueError("must be auto, true or false")


def _lora_targets(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, list | tuple) and 0 < len(cast("list[Any]", value)) <= MOST_LISTED:
        items = cast("list[Any]", value)
        if all(isinstance(item, str) and item for item in items):
            return tuple(items)
    raise ValueError("must be all-linear or a list of module names")


def _as_json(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _template(value: str) -> str:
    if value == "auto" or "{prompt}" in value or is_template_file(value):
        return value
    raise ValueError(
        "must be auto, hold {prompt}, as 'Q: {prompt} A:', or be a chat template's .jinja file"
    )


AutoOrCount0 = Annotated[int | Literal["auto"], PlainValidator(_auto_or_amount)]
AutoOrCount = Annotated[int | Literal["auto"], PlainValidator(_auto_or_count)]
AutoOrGb = Annotated[int | float | Literal["auto"], PlainValidator(_auto_or_gb)]
AutoOrBool = Annotated[bool | Literal["auto"], PlainValidator(_auto_or_bool)]
LoraTargets = Annotated[
    str | tuple[str, ...],
    PlainValidator(_lora_targets),
    PlainSerializer(_as_json, when_used="json"),
]
Text = Annotated[str, Field(min_length=1, max_length=100_000)]
Texts = Annotated[tuple[Text, ...], Strict(False), Field(max_length=MOST_LISTED)]


def _name(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value) and value.strip("."):
        return value
    raise ValueError("a name is made of up to 100 letters, digits and . _ -, not of dots alone")


def _storage(value: str) -> str:
    if value == "auto":
        return value
    if not re.match(r"[a-z][a-z0-9+]*://", value):
        raise ValueError(
            "must be auto or a database URL, as postgresql+psycopg://USER@HOST/DATABASE"
        )
    if value.partition("?")[0].count("@") > 1 or re.search(r"[\s'\"]", value):
        raise ValueError("in a user or a password @ is written %40, a space %20 and a quote %27")
    return value


def _ascending(value: tuple[float, ...]) -> tuple[float, ...]:
    if not all(0 < share < 1 for share in value) or any(a >= b for a, b in pairwise(value)):
        raise ValueError("must be a list of shares between 0 and 1, each above the one before")
    return value


Shares = Annotated[tuple[float, ...], Strict(False), AfterValidator(_ascending)]
Template = Annotated[Text, AfterValidator(_template)]
Name = Annotated[str, AfterValidator(_name)]
Storage = Annotated[str, AfterValidator(_storage)]
AtLeast2 = Annotated[int, BeforeValidator(whole), Field(ge=2, le=1_000)]
