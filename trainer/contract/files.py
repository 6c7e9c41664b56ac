"""Files that are either whole or not there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def written_whole(path: Path) -> Generator[Path]:
    """A path beside `path` to write to, which then takes its place, on disk: whoever is killed, and
    wherever, `path` is what it was or the whole of what was written.

    Where the block raises, nothing is left beside. The suffix is that of `path`.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")  # others may write too
    try:
        yield beside
        _sync(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text as `written_whole` does; in UTF-8, lines ending as they do in `text`."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: Any) -> None:
    """Write JSON as `written_whole` does."""
    write_text(path, json.dumps(value, indent=1))


def sync_tree(folder: Path) -> None:
    """Put every file below `folder` on disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _sync(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk."""
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_tree(folder: Path) -> None:
    """The folder is gone: renamed, then deleted, so that what is half deleted is never taken for
    the whole."""
    if not folder.exists():
        return
    beside = folder.with_name(folder.name + ".removing")
    shutil.rmtree(beside, ignore_errors=True)
    folder.replace(beside)
    shutil.rmtree(beside, ignore_errors=True)
