"""The columns of a recorded set are those that its README explains."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import studies
from predictor.recorded.columns import RUNS, STEPS, Column, needed

README = Path(studies.__file__).parent / "recorded" / "README.md"


def explained(table: str) -> dict[str, bool]:
    """The columns in the first cells of a table, and whether each is marked as needed."""
    lines = README.read_text().split(f"| {table} | meaning |\n| --- | --- |\n")[1].splitlines()
    cells = [line.split("|")[1] for line in lines[: lines.index("")]]
    return {name: bool(star) for cell in cells for name, star in re.findall(r"(\w+)( \*)?", cell)}


@pytest.mark.parametrize(("table", "columns"), [("runs", RUNS), ("steps", STEPS)])
def test_the_readme_explains_every_column(table: str, columns: Mapping[str, Column]) -> None:
    found = explained(table)
    assert set(found) == set(columns)
    assert {name for name, is_needed in found.items() if is_needed} == set(needed(columns))
