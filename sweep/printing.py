"""Texts and tables on a terminal or in a pipe, as wide as that is: what all commands print with."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderHook,
    RenderResult,
)
from rich.control import Control
from rich.segment import Segment
from rich.text import Text

from sweep.text_table import Column, table_lines
from trainer.safe_text import safe


class _Safe:
    """Anything that rich can print, with the control codes in its texts written out."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self.inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.inner, options):
            yield segment if segment.control else Segment(safe(segment.text), segment.style)


class _SafeHook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [one if isinstance(one, Control) else _Safe(one) for one in renderables]


def make_console(*, stderr: bool = False) -> Console:
    """Whatever is printed on it, no control code of a text and no secret reaches the terminal."""
    console = Console(markup=False, highlight=False, emoji=False, stderr=stderr)
    console.push_render_hook(_SafeHook())
    return console


def plain(value: object, style: str = "") -> Text:
    """The user's text as it is: no markup; measured as it will be shown."""
    return Text(safe(str(value)), style=style)


def print_lines(lines: Iterable[str], console: Console | None = None) -> None:
    """Each line wrapped at words where it is longer than the terminal is wide; no path is cut."""
    print_wrapped(console or make_console(), lines)


def print_wrapped(
    console: Console, texts: Iterable[str], style: str = "", indent: str = "", bullet: str = ""
) -> None:
    """As `print_lines`; a `bullet` stands before each text, and the rest of it below its words."""
    below = indent + " " * len(bullet)
    for text in texts:
        first = indent + bullet
        for line in plain(text).plain.split("\n"):
            parts = textwrap.wrap(
                line,
                console.width,
                initial_indent=first,
                subsequent_indent=below,
                break_on_hyphens=False,
                break_long_words=False,  # a path that is cut cannot be copied
            )
            for part in parts or [""]:
                console.print(Text(part, style=style), soft_wrap=True)
            first = below


def print_table(
    console: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: Sequence[Sequence[str | None]] = (),
) -> None:
    """The first column to the left, the others to the right; `below`: texts under each row."""
    columns = [Column(title, right=place > 0) for place, title in enumerate(titles)]
    console.print()
    for row, line in table_lines(columns, rows, console.width):
        console.print(plain(line, "dim" if row is None else ""), soft_wrap=True)
        if row is not None and below:
            print_wrapped(console, filter(None, below[row]), indent="  ")
