"""Texts and tables on a terminal or in a pipe, as wide as that is: what all commands print with."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderHook,
    RenderResult,
)
from rich.control import Control
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from sweep.report.text_table import Column, table_lines, wrapped
from trainer.contract.safe_text import safe

_BEST = Style(bold=True, color="green")


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
    """A console through which no control code of a text and no secret reaches the terminal."""
    console = Console(markup=False, highlight=False, emoji=False, stderr=stderr)
    console.push_render_hook(_SafeHook())
    return console


def plain(value: object, style: str = "") -> Text:
    """The user's text as it is: no markup; measured as it will be shown."""
    return Text(safe(str(value)), style=style)


def print_lines(lines: Iterable[str], console: Console | None = None) -> None:
    """Print each line, wrapped at words where it is longer than the terminal is wide; no path is
    cut."""
    print_wrapped(console or make_console(), lines)


def print_wrapped(
    console: Console, texts: Iterable[str], style: str = "", indent: str = "", bullet: str = ""
) -> None:
    """Print as `print_lines` does; a `bullet` stands before each text, and the rest of it below its
    words."""
    below = indent + " " * len(bullet)
    for text in texts:
        first = indent + bullet
        for line in plain(text).plain.split("\n"):
            for part in wrapped(line, console.width, first, below):
                console.print(Text(part, style=style), soft_wrap=True)
            first = below


def print_table(
    console: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: Sequence[Sequence[str | None]] = (),
) -> None:
    """Print a table, the first column to the left, the others to the right; `below`: texts under
    each row."""
    columns = [Column(title, right=place > 0) for place, title in enumerate(titles)]
    console.print()
    for row, line in table_lines(columns, rows, console.width):
        console.print(plain(line, "dim" if row is None else ""), soft_wrap=True)
        if row is not None and below:
            print_wrapped(console, filter(None, below[row]), indent="  ")


def print_columns(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    highlight: int | None = None,
) -> None:
    """Print rows of cells as wide as the terminal; `highlight` is the row that is shown as the
    best."""
    clean = [[_measured(cell) for cell in row] for row in rows]
    lines = table_lines(columns, clean, console.width)
    console.print(
        _Lines([(index is not None and index == highlight, line) for index, line in lines]),
        soft_wrap=True,
    )


def print_rows(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """Print what and its value; or what, how much and remarks."""
    amount = [Column("")] if rows and len(rows[0]) == 3 else []
    print_columns(console, [Column("", False), *amount, Column("", False, True)], rows)


def _measured(cell: str) -> str:
    """As it will be shown. In a short one only the console hides what is secret: it has no lines to
    come apart into, and a table of ten thousand rows is mostly of these."""
    return cell if len(cell) < 32 and cell.isascii() and cell.isprintable() else safe(cell)


class _Lines:
    """Lines as they are. Rich's own texts take ten times as long."""

    def __init__(self, lines: Sequence[tuple[bool, str]]) -> None:
        self.lines = lines or [(False, "")]  # is highlighted, line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for is_highlighted, group in groupby(self.lines, key=itemgetter(0)):
            yield Segment("\n".join(line for _, line in group), _BEST if is_highlighted else None)
            yield Segment("\n")


def heading(console: Console, text: str) -> None:
    """Print a line in bold, below an empty one."""
    console.print(plain(f"\n{text}", "bold"))


class Bar:
    """A progress bar that goes away when the work is done."""

    def __init__(self, progress: Progress, description: str, total: int) -> None:
        self._progress = progress
        self._total = total
        self._task = progress.add_task(description, total=total)

    def advance(self) -> None:
        """Count one more as done."""
        self._progress.advance(self._task)

    def extend(self, num: int) -> None:
        """The bar counts `num` more that are to be done."""
        self._total += num
        self._progress.update(self._task, total=self._total)


@contextlib.contextmanager
def progress_bar(description: str, total: int = 0, *, counted: bool = False) -> Generator[Bar]:
    """A bar on standard error, and only on a terminal. `counted`: with how many of how many are
    done."""
    console = make_console(stderr=True)
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    columns += [*[MofNCompleteColumn()] * counted, TimeRemainingColumn()]
    off = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as progress:
        yield Bar(progress, description, total)
