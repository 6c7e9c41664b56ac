"""What the prepared data are, and what of them should be looked at before a trial is paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from sweep.formats import share

# Of the facts, what `data_lines` reads.
DATA_FACTS = (
    *("train", "phases", "eval", "choices"),
    *("duplicates", "duplicates_choices", "repeated", "max_length"),
)
SURPRISING = 0.2  # share of a source's rows cut or dropped that is worth a warning

_DROPPED = {
    "dropped_no_completion": "nothing left of the completion within data.max_length",
    "dropped_too_short": "too short: nothing before the only token with loss",
}


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Rows, tokens, what was cut or dropped, and warnings; `data` has the keys of DATA_FACTS."""
    phases = {f"phase {i}": facts for i, facts in enumerate(data["phases"] or (), start=1)}
    held_out = {"eval": data["eval"]} if data["eval"] else {}
    if not phases:
        yield from _rows("train", data["train"])
    else:
        yield _size("train", data["train"])
        for name, facts in phases.items():
            yield from _rows(name, facts, f" ({PurePath(facts['path']).name})")
    if data["repeated"]:
        yield f"{'':<8} {data['repeated']:,} of the rows of train repeat an earlier one"
    for name, facts in held_out.items():
        yield from _rows(name, facts)
    if data["choices"]:
        yield from _questions(data["choices"])
    for name, facts in ((phases or {"train": data["train"]}) | held_out).items():
        read, cut = facts["rows_read"], facts["truncated"]
        yield from _warning(read - facts["rows"], read, f"rows of {name} were dropped")
        yield from _warning(
            cut, read, f"rows of {name} are cut at data.max_length, {data['max_length']:,} tokens"
        )
    if choices := data["choices"]:
        dropped, read = choices["dropped_too_long"], choices["questions_read"]
        yield from _warning(dropped, read, "questions were dropped")
    for key, what in (
        ("duplicates", "in eval"),
        ("duplicates_choices", "among the questions with their answers"),
    ):
        if data[key]:
            yield (
                f"warning: rows of train that are also {what}: {data[key]:,} "
                f"({share(data[key], data['train']['rows'])}); learning them by heart pays"
            )


def _rows(name: str, facts: Mapping[str, Any], source: str = "") -> Iterator[str]:
    yield _size(name, facts) + source
    read = f"of {facts['rows_read']:,}"
    for key, why in _DROPPED.items():
        if facts[key]:
            yield f"{'':<8} {facts[key]:,} {read} dropped: {why}"
    if facts["truncated"]:
        yield f"{'':<8} {facts['truncated']:,} {read} cut at data.max_length"
    if facts["longest_read"] > facts["longest"]:
        yield f"{'':<8} the longest that was read has {facts['longest_read']:,} tokens"


def _size(name: str, facts: Mapping[str, Any]) -> str:
    return (
        f"{name:<8} {facts['rows']:,} rows, {facts['input_tokens']:,} tokens, "
        f"{share(facts['loss_tokens'], facts['input_tokens'])} of them bear loss "
        f"({facts['loss_tokens']:,}), the longest {facts['longest']:,}"
    )


def _questions(choices: Mapping[str, Any]) -> Iterator[str]:
    groups = ", ".join(f"{name} {num:,}" for name, num in choices["groups"].items())
    in_groups = f" ({groups})" if groups else ""
    yield (
        f"choices  {choices['questions']:,} questions{in_groups}, "
        f"{choices['input_tokens']:,} tokens"
    )
    if choices["dropped_too_long"]:
        yield (
            f"{'':<8} {choices['dropped_too_long']:,} of {choices['questions_read']:,} dropped: a "
            f"choice beyond data.max_length; the longest has {choices['longest_read']:,} tokens"
        )


def _warning(num: int, read: int, what: str) -> Iterator[str]:
    if num > SURPRISING * read:
        yield f"warning: {num / read:.0%} of the {what}"
