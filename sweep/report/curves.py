"""A curve in a few lines of braille dots, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column] of a braille cell
_BLANK = 0x2800
_LABEL = 10  # characters


def curve(
    x: Sequence[float],
    y: Sequence[float | None],
    *,
    width: int,
    height: int = 4,
    mark: float | None = None,
) -> list[str]:
    """`height` lines of `width` characters, the highest values on top; x ascends from 0.

    Neighbouring points are joined; None and non-finite values of y are gaps. A dotted vertical
    line stands at x = `mark`. Every point is drawn: nothing is smoothed away.
    """
    cells = [[_BLANK] * width for _ in range(height)]
    known = [value for value in y if value is not None and math.isfinite(value)]
    end = max(x, default=0.0)
    if known and end > 0:
        low, high = min(known), max(known)
        last: tuple[float, float] | None = None
        for at, value in zip(x, y, strict=True):
            if value is None or not math.isfinite(value):
                last = None
                continue
            level = (value - low) / (high - low) if high > low else 0.5
            dot = at / end * (2 * width - 1), (1 - level) * (4 * height - 1)
            _draw_line(cells, last or dot, dot)
            last = dot
    lines = [[" " if cell == _BLANK else chr(cell) for cell in row] for row in cells]
    if mark is not None and 0 <= mark < end:
        column = round(mark / end * (width - 1))
        for line in lines:
            if line[column] == " ":
                line[column] = "┊"
    return ["".join(line) for line in lines]


def _draw_line(
    cells: list[list[int]], start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Both ends included; (column, row) in dots."""
    steps = max(1, math.ceil(max(abs(end[0] - start[0]), abs(end[1] - start[1]))))
    for step in range(steps + 1):
        column, row = (round(a + (b - a) * step / steps) for a, b in zip(start, end, strict=True))
        cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]


def labelled_curve(
    x: Sequence[float],
    y: Sequence[float | None],
    *,
    width: int,
    height: int = 4,
    mark: float | None,
    show: Callable[[float], str],
) -> list[str]:
    """`curve` with its highest and lowest value on the left, `width` columns in all."""
    known = [value for value in y if value is not None and math.isfinite(value)]
    if not known:
        return ["no finite value"]
    labels = {0: show(max(known)), height - 1: show(min(known))}
    if min(known) == max(known):
        labels = {height // 2: show(known[0])}
    lines = curve(x, y, width=width - _LABEL - 1, height=height, mark=mark)
    return [f"{labels.get(row, ''):>{_LABEL}} {line}".rstrip() for row, line in enumerate(lines)]
