"""The formats of rows: which columns each reads, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from trainer.contract.spec import UserError
from trainer.data.notes import Notes
from trainer.data.rows import Source
from trainer.data.texts import BadRow

# Each format by the columns that it needs, in the order in which `auto` tries them.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "choices": ("prompt", "choices", "answer"),
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "prompt-completion": ("prompt", "completion"),
    "question-answer": ("question", "answer"),
    "alpaca": ("instruction", "output"),
}
CHATS = ("messages", "sharegpt")

_GROUP = "group"  # what a row belongs to: questions are counted by it, and it never changes a text
_CHAT_COLUMNS = ("system", "tools", "chat_template_kwargs")
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "choices": (_GROUP,),
    "messages": _CHAT_COLUMNS,
    "sharegpt": _CHAT_COLUMNS,
    "alpaca": ("input",),
}
# Columns that change what the others mean, so that none is left out without being asked; in any
# case of letters. The switches say which rows are to be learned, as KTO's label does; of pictures a
# text model sees nothing.
_SWITCHES = ("weight", "weights", "sample_weight", "loss_weight", "loss_mask", "mask", "label")
_ON, _OFF = {"1", "1.0", "true"}, {"0", "0.0", "false", "no"}
_PICTURES = ("image", "images", "audio", "audios", "video", "videos")
_MEANINGFUL = (
    *("messages", "conversations", "prompt", "question", "instruction"),
    *("system", "system_prompt", "system_message", "history", "tools", "functions"),
    *("input", "context", "passage", "document", "documents", "options", "choices"),
    *_SWITCHES,
    *_PICTURES,
)
# Columns of other layouts, and what to make of them here.
_ELSEWHERE: Mapping[str, str] = {
    "chosen": "preference rows: name the prompt prompt and the chosen reply completion",
    "text": "text alone: name it completion, with an empty prompt; data.template: '{prompt}'",
    "input": "name input prompt and output completion",
    "query": "name query prompt and response completion",
    "response": "name the response completion, and what it answers prompt",
    "answers": "give the one right answer as text in a column answer",
    "input_ids": "tokens: the rows are to be text",
    "conversation": "name it conversations (from, value) or messages (role, content)",
    "dialog": "name it messages, with role and content",
}


def format_of(source: Source, format: str) -> str:
    """`format`, or by the first row's columns where it is auto. UserError where none fits, or
    several do."""
    if format != "auto":
        return format
    row = source.rows[0]
    filled = {column for column, value in row.items() if _says_something(value)}
    fits = [name for name, needed in FORMATS.items() if filled.issuperset(needed)]
    fits = fits or [name for name, needed in FORMATS.items() if set(row).issuperset(needed)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UserError(
            f"{source.place(0)}: its columns fit more than one format; say which is meant with "
            f"data.format: {' or '.join(fits)}"
        )
    known = "; ".join(f"{name}: {', '.join(needed)}" for name, needed in FORMATS.items())
    hints = [hint for column, hint in _ELSEWHERE.items() if column in row]
    hint = f". {hints[0][0].upper()}{hints[0][1:]}" if hints else ""
    raise UserError(
        f"{source.place(0)}: columns {_listed(row)} fit no known format ({known}){hint}"
    )


def _listed(row: Mapping[str, Any]) -> str:
    shown = [_shown(column) for column in sorted(row)[:20]]
    rest = [f"and {len(row) - 20} more"] if len(row) > 20 else []
    return ", ".join(shown + rest) or "(none)"


def _shown(column: str) -> str:
    return column if column.isidentifier() and column.isascii() else ascii(column[:40])


def columns_of(format: str) -> tuple[str, ...]:
    """The columns that a format reads."""
    return FORMATS[format] + _OPTIONAL.get(format, ())


def meaningful_columns(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The columns that may change what the others mean. A switch that is on in every row does not,
    nor does a label that is the same text in all; what is empty says nothing."""
    found: set[str] = set()
    settings: dict[str, set[str]] = {}
    for row in rows:
        for column, value in row.items():
            name = column.lower()
            if name in _SWITCHES and _says_something(value):
                settings.setdefault(column, set()).add(str(value).lower())
            elif name in _MEANINGFUL and name not in _SWITCHES:
                found.add(column)
    found.update(column for column, values in settings.items() if not _is_idle(column, values))
    return frozenset(found)


def _is_idle(switch: str, values: set[str]) -> bool:
    """`values`: its different ones, as text in small letters."""
    is_constant_label = switch.lower() == "label" and len(values) == 1 and values.isdisjoint(_OFF)
    return is_constant_label or values <= _ON


def check_columns(
    row: Mapping[str, Any], index: int, format: str, meaningful: Collection[str], notes: Notes
) -> None:
    """The columns that `format` does not read are noted. Raises BadRow where one of them is among
    `meaningful`, which nobody has said are to be left out; what is empty says nothing."""
    read = columns_of(format)
    for column, value in row.items():
        if column in read or column == _GROUP or not _says_something(value):
            continue
        if column in meaningful:
            raise BadRow(
                f"column {column!r} is not read in {format} rows and may change what they mean: "
                f"{_way_out(column, format)}, or leave it out with data.format: {format}"
            )
        notes.add(f"column {column[:60]!a} is not read", index)


def _says_something(value: Any) -> bool:
    """Null and what is empty do not; false and 0 do."""
    return isinstance(value, bool | int | float) or bool(value)


def _way_out(column: str, format: str) -> str:
    column = column.lower()
    mains = [name for name, needed in FORMATS.items() if column == needed[0]]
    if mains and format not in CHATS:
        return f"read the rows as data.format: {mains[0]}, or put it into another column"
    if column in _SWITCHES:
        return "take the rows out that are not to be learned, and the column"
    if column in _PICTURES:
        return "take the rows out that cannot be answered from text alone"
    if column == "history" or format in CHATS:
        return "put it into the messages"
    if column in ("tools", "functions"):
        return "write the rows as messages, with the column tools"
    return "put its text into the prompt, or write the rows as messages"
