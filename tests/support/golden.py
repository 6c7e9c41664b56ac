"""Texts as they were last looked at, in tests/golden; UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os

from tests import ROOT

FOLDER = ROOT / "tests" / "golden"


def check_golden(name: str, text: str) -> None:
    """AssertionError where the text is not that of tests/golden/NAME.txt."""
    file = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "UPDATE_GOLDEN=1 writes it anew; read the diff"
