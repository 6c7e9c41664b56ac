"""What a person should know of a source's rows, counted, each kind with its first place."""

from __future__ import annotations

from typing import Any

from trainer.data.rows import Source

MAX_KINDS = 30  # of a source; a file may have as many columns as it likes
_FURTHER = "further things worth a look"


class Notes:
    """Rows of one source by what there is to say of them, as "column 'x' is not read"."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found: dict[str, list[int]] = {}  # what -> first row, last row, number of rows

    def add(self, what: str, index: int) -> None:
        """The row with this index counts for `what`; once, however often it is said. Rows come in
        order."""
        if what not in self._found and len(self._found) >= MAX_KINDS:
            what = _FURTHER
        found = self._found.setdefault(what, [index, -1, 0])
        if found[1] != index:
            found[1:] = [index, found[2] + 1]

    def place(self, index: int) -> str:
        """File and line of a row."""
        return self.source.place(index)

    def facts(self) -> list[dict[str, Any]]:
        """JSON values: {"what", "rows", "first"}, in the order in which they were found."""
        return [
            {"what": what, "rows": num, "first": self.source.short_place(first)}
            for what, (first, _, num) in self._found.items()
        ]
