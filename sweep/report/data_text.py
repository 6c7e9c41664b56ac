"""What the prepared data are, and what of them should be looked at before a trial is paid for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from sweep.formats import share

# Of the facts, what `data_lines` reads.
DATA_FACTS = (
    *("train", "phases", "eval", "choices"),
    *("duplicates", "duplicates_choices", "repeated", "max_length"),
    *("notes", "shapes"),
)
SURPRISING = 0.2  # share of a source's rows cut or dropped that is worth a warning

_MOST_GROUPS = 8  # that are named
_HELD_OUT = ("eval", "choices")
_WRITTEN_AS = {"chat": "chats", "text": "text"}


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Rows, tokens, what was cut or dropped, and warnings; `data` has the keys of DATA_FACTS, and
    may have benchmarks."""
    phases = {f"phase {i}": facts for i, facts in enumerate(data["phases"] or (), start=1)}
    held_out = {"eval": data["eval"]} if data["eval"] else {}
    notes = data["notes"]
    if not phases:
        yield from _rows("train", data["train"], notes)
    else:
        yield _size("train", data["train"])
        for name, facts in phases.items():
            yield from _rows(name, facts, notes, f" ({PurePath(facts['path']).name})")
    for name, facts in held_out.items():
        yield from _rows(name, facts, notes)
    if data["choices"]:
        yield from _questions(data["choices"], notes, data["shapes"]["choices"])
    benchmarks: Mapping[str, Mapping[str, Any]] = data.get("benchmarks") or {}
    for metric, asked in benchmarks.items():
        yield from _benchmark(metric, asked)
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
                f"({share(data[key], data['train']['rows'])}); memorising them is rewarded"
            )
    yield from _other_shapes(data["shapes"])


def _rows(
    name: str, facts: Mapping[str, Any], notes: Mapping[str, Any], source: str = ""
) -> Iterator[str]:
    yield _size(name, facts) + source
    yield from _notes(notes.get(name, ()), facts["rows_read"], "rows")
    if facts["longest_read"] > facts["longest"]:
        yield f"{'':<8} the longest that was read has {facts['longest_read']:,} tokens"


def _notes(notes: Iterable[Mapping[str, Any]], read: int, what: str) -> Iterator[str]:
    for each in notes:
        yield (
            f"{'':<8} {each['what']}: {each['rows']:,} of {read:,} {what}, first {each['first']}"
        )


def _size(name: str, facts: Mapping[str, Any]) -> str:
    return (
        f"{name:<8} {facts['rows']:,} rows, {facts['input_tokens']:,} tokens, "
        f"{share(facts['loss_tokens'], facts['input_tokens'])} of them bear loss "
        f"({facts['loss_tokens']:,}), the longest {facts['longest']:,}"
    )


def _questions(choices: Mapping[str, Any], notes: Mapping[str, Any], shape: str) -> Iterator[str]:
    groups = ", ".join(f"{name} {num:,}" for name, num in choices["groups"].items())
    in_groups = f" ({groups})" if groups else ""
    yield (
        f"choices  {choices['questions']:,} questions{in_groups}, "
        f"{choices['input_tokens']:,} tokens, asked as {_WRITTEN_AS[shape]}"
    )
    yield from _notes(notes.get("choices", ()), choices["questions_read"], "questions")
    if choices["dropped_too_long"]:
        yield f"{'':<8} the longest that was read has {choices['longest_read']:,} tokens"


def _benchmark(metric: str, facts: Mapping[str, Any]) -> Iterator[str]:
    num, what = facts.get("questions"), "questions"
    if num is None:
        num, what = facts["rows"], "rows"
    named = list(facts["groups"].items())
    groups = ", ".join(f"{name} {count:,}" for name, count in named[:_MOST_GROUPS])
    more = f", and {len(named) - _MOST_GROUPS} more" if len(named) > _MOST_GROUPS else ""
    in_groups = f" ({groups}{more})" if len(named) > 1 else ""
    yield f"{metric}: {num:,} {what}{in_groups}, {facts['input_tokens']:,} tokens"
    if written := facts.get("written_tokens_at_most"):
        yield f"{'':<8} its answers are written by the model, {written:,} tokens of these at most"
    if cut := facts.get("truncated"):
        yield (
            f"warning: {metric}: {cut:,} prompts are longer than the model's window of "
            f"{facts['window']:,} tokens and lose their beginning; ask for fewer examples "
            "(objective.fewshot)"
        )


def trained_shapes(shapes: Mapping[str, str]) -> list[str]:
    """chat, text, or both: how the rows are written that are trained on."""
    return sorted({shape for name, shape in shapes.items() if name not in _HELD_OUT})


def _other_shapes(shapes: Mapping[str, str]) -> Iterator[str]:
    """Where what is measured on is not written as what is trained on."""
    trained = trained_shapes(shapes)
    for name in _HELD_OUT:
        if name in shapes and trained != [shapes[name]]:
            ways = " and ".join(_WRITTEN_AS[shape] for shape in trained)
            hint = " (objective.shape)" if name == "choices" else ""
            yield (
                f"warning: the rows of train are {ways}, and those of {name} are asked as "
                f"{_WRITTEN_AS[shapes[name]]}{hint}; in another shape the same rows score otherwise"
            )


def _warning(num: int, read: int, what: str) -> Iterator[str]:
    if num > SURPRISING * read:
        yield f"warning: {num / read:.0%} of the {what}"
