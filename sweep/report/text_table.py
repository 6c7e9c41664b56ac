"""Tables as lines of text. For a thousand rows many times faster than a terminal library's."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

_GAP = 2  # columns between two of the table's own
_LEAST = 12  # what a column that wraps gets, however narrow the whole is


@dataclass(frozen=True, slots=True)
class Column:
    """`title` may have several lines. A column that wraps takes the room that the others leave."""

    title: str
    right: bool = True
    wraps: bool = False


def table_width(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    """How many columns of a terminal the table takes with nothing wrapped."""
    return sum(_widths(columns, rows)) + _GAP * (len(columns) - 1)


def table_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int
) -> list[tuple[int | None, str]]:
    """Lines as (the row's index, line), without trailing spaces; the header's index is None.

    No header where no column has a title. At most one column may wrap, the last.
    """
    widths = _widths(columns, rows)
    if columns[-1].wraps:
        room = width - sum(widths[:-1]) - _GAP * (len(columns) - 1)
        widths[-1] = min(widths[-1], max(room, _LEAST))
    form, blank = _form(columns, widths), [""] * (len(columns) - 1)
    lines: list[tuple[int | None, str]] = []
    titles = [column.title.split("\n") for column in columns]
    if any(column.title for column in columns):
        height = max(map(len, titles))
        padded = [[""] * (height - len(title)) + title for title in titles]
        lines += [(None, form.format(*cells).rstrip()) for cells in zip(*padded, strict=True)]
        lines.append((None, "─" * (sum(widths) + _GAP * (len(columns) - 1))))
    for index, row in enumerate(rows):
        last = [row[-1]]
        if columns[-1].wraps:
            last = wrapped(row[-1], widths[-1])
        for number, piece in enumerate(last):
            cells = blank if number else row[:-1]
            lines.append((index, form.format(*cells, piece).rstrip()))
    return lines


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    widths = [max(map(len, column.title.split("\n"))) for column in columns]
    for row in rows:
        widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
    return widths


def wrapped(text: str, width: int, first: str = "", below: str = "") -> list[str]:
    """The lines of a text, at least one: `first` before the first line, `below` before the others.
    Broken at spaces alone, so a longer word stays whole: a path that is cut cannot be copied."""
    if len(first) + len(text) <= width and text.isprintable() and not text.endswith(" "):
        return [first + text]  # textwrap takes long to leave a line as it is
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=below,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines or [""]


def _form(columns: Sequence[Column], widths: Sequence[int]) -> str:
    """A line, but for its cells: for str.format."""
    sides = [">" if column.right else "<" for column in columns]
    return (" " * _GAP).join(f"{{:{at}{width}}}" for at, width in zip(sides, widths, strict=True))
