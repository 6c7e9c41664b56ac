"""Local files as rows, each with the line or row that it stands in.

Every mistake is a UserError that names the file, and the line where there is one.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainer.contract.spec import UserError
from trainer.contract.strict_json import Malformed, parse, parse_at, skip_white

MARK = "\ufeff"  # a byte order mark; files that were put together may have one at any line's start
ENCODING = "utf-8-sig"  # with or without the mark
Numbered = list[tuple[int, Any]]

_UTF16_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
MAX_REPORTED = 3  # mistakes of a source named in one error
_PER_LINE = "a .jsonl file has one object on each line"


def not_utf8(path: Path) -> str:
    """Where a file that is not UTF-8 is not, as "LINE: what is wrong"."""
    with path.open("rb") as lines:
        if lines.read(4).startswith(_UTF16_32):
            return "line 1: not UTF-8 but UTF-16 or UTF-32 text; save it as UTF-8"
        lines.seek(0)
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"line {number}: not UTF-8 text (byte {error.start + 1} of the line)"
    raise AssertionError(f"{path} is UTF-8")


class Mistakes:
    """The mistakes in a file's lines or rows: the first few are told, the others counted."""

    def __init__(self, path: Path, unit: str = "line") -> None:
        self._path, self._unit = path, unit
        self._told: list[str] = []
        self._num = 0

    def add(self, number: int, what: str) -> None:
        """A mistake at a line or row."""
        self._num += 1
        if len(self._told) < MAX_REPORTED:
            self._told.append(f"{self._unit} {number}: {what}")

    def raise_any(self) -> None:
        """Raise a UserError where there is a mistake."""
        rest = self._num - len(self._told)
        more = f"; {rest:,} more such {self._unit}{'s' if rest > 1 else ''}" if rest else ""
        if self._told:
            raise UserError(f"{self._path}, {'; '.join(self._told)}{more}")


def read_jsonl(path: Path) -> Numbered:
    """The objects of a file with one a line, by line; empty lines are left out. UserError with the
    lines that are none."""
    numbered: Numbered = []
    mistakes = Mistakes(path)
    is_first = True
    with path.open(encoding=ENCODING) as lines:
        for number, line in enumerate(lines, start=1):
            text = line.strip().lstrip(MARK)
            if not text:
                continue
            is_list = is_first and text.startswith("[")
            hint = f"; {_PER_LINE}" if is_first and text == "{" else ""
            is_first = False
            try:
                value = parse(text)
            except Malformed as error:
                if is_list:
                    raise UserError(f"{path}, line {number}: {_list_hint()}") from None
                mistakes.add(
                    number, f"malformed JSON ({error} at column {error.position + 1}){hint}"
                )
                continue
            if is_list and (not value or any(isinstance(each, dict) for each in value)):
                raise UserError(f"{path}, line {number}: {_list_hint()}")
            numbered.append((number, value))
    mistakes.raise_any()
    return numbered


def _list_hint() -> str:
    return f"it begins with a list, and {_PER_LINE}; name a file that is one list .json"


def read_json(path: Path) -> Numbered:
    """The objects of a file with one list of them, by line. UserError with the line of a
    mistake."""
    text = path.read_text(encoding=ENCODING)
    at = skip_white(text, 0)
    try:
        if text[at : at + 1] != "[":
            raise UserError(f"{path}: {_no_list(text, at)}")
        return list(_items(text, at + 1))
    except Malformed as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}, line {line}: malformed JSON ({error})") from None


def _items(text: str, at: int) -> Iterator[tuple[int, Any]]:
    """The items of a list whose bracket stands before `at`, counted from 1."""
    at = skip_white(text, at)
    number = 0
    while number or text[at : at + 1] != "]":
        value, end = parse_at(text, at)
        number += 1
        yield number, value
        at = skip_white(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            raise Malformed("Expecting ',' delimiter", at)
        at = skip_white(text, at + 1)
    if skip_white(text, at + 1) < len(text):
        raise Malformed("more follows after the list", at + 1)


def _no_list(text: str, at: int) -> str:
    """What a .json file holds in place of a list."""
    if at == len(text):
        return "no rows"
    value, end = parse_at(text, at)
    if skip_white(text, end) < len(text):
        return "it holds several values; name a file with one object per line .jsonl"
    if not isinstance(value, dict):
        return "a .json file holds one list of objects"
    keys = ", ".join(ascii(key[:40]) for key in list(value)[:5])
    return f"a .json file holds one list of objects, and this one an object with the keys {keys}"


def read_csv(path: Path) -> Numbered:
    """The rows by the line that each begins on, all cells text. UserError with the lines that are
    none."""
    csv.field_size_limit(sys.maxsize)  # a sample may be longer than csv's own limit
    numbered: Numbered = []
    mistakes = Mistakes(path)
    begins = 1
    with path.open(encoding=ENCODING, newline="") as lines:
        # strict: a quote that is never closed would swallow the rest of the file
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        try:
            for cells in reader:
                if cells and header is None:
                    header = cells
                    _refuse_twice(f"{path}, line {begins}", header)
                elif cells and header is not None:
                    if len(cells) != len(header):
                        counts = f"{len(cells)} cells, and the header has {len(header)}"
                        mistakes.add(begins, counts + _separator_hint(header))
                    numbered.append((begins, dict(zip(header, cells, strict=False))))
                begins = reader.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path}, line {begins}: malformed CSV ({error})") from None
    mistakes.raise_any()
    return numbered


def _separator_hint(header: Sequence[str]) -> str:
    used = [name for name, sign in (("semicolons", ";"), ("tabs", "\t")) if sign in header[0]]
    return f" (commas separate the cells, not {used[0]})" if used and len(header) == 1 else ""


def _refuse_twice(place: str, columns: Sequence[str]) -> None:
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise UserError(f"{place}: the column {twice[0][:40]!a} appears twice")


def read_parquet(path: Path) -> Numbered:
    """All rows of the file, from 1, missing values left out. UserError for text that is not
    UTF-8."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    _refuse_twice(str(path), file.schema_arrow.names)
    table = file.read()
    try:
        rows = table.to_pylist()
    except UnicodeDecodeError:
        index = next(i for i in range(len(table)) if not _is_readable(table.slice(i, 1)))
        raise UserError(f"{path}, row {index + 1}: not UTF-8 text") from None
    return list(enumerate(map(without_nulls, rows), start=1))


def _is_readable(row: Any) -> bool:
    try:
        row.to_pylist()
    except UnicodeDecodeError:
        return False
    return True


def without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    """The row without nulls in what is nested. A column of objects gives every object every key,
    most of them null."""
    return {key: _without_nulls(value) for key, value in row.items()}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return value
