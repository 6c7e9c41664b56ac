"""What holds for the tree as a whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("sweep", "trainer", "predictor", "tests", "benchmarks", "docs", "examples", "studies")
LONGEST = 300  # lines of a module


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """The modules that it names in import statements."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.slow
def test_no_test_imports_another_or_a_benchmark() -> None:
    for file in modules("tests"):
        shared = {name for name in imported(file) if name.startswith("benchmarks")}
        shared |= {
            name for name in imported(file) if name.startswith("tests.") and ".test_" in name
        }
        assert not shared, file


def test_modules_of_the_packages_fit_on_a_few_screens() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text().splitlines())
        for file in modules(*PACKAGES[:3])
    }
    assert not {file for file, length in lengths.items() if length > LONGEST}


@pytest.mark.slow
def test_every_module_says_what_it_is() -> None:
    silent = [
        file
        for file in modules(*PACKAGES)
        if file.read_text().strip()
        and ast.get_docstring(ast.parse(file.read_text())) is None
        and not file.is_relative_to(ROOT / "tests")
    ]
    assert silent == []
