"""Files that are either whole or not there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write beside, put on disk, rename."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # others may write it as well
    with beside.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Put every file below `folder` on disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_tree(folder: Path) -> None:
    """Rename, then delete: what is half deleted is never taken for the whole."""
    if not folder.exists():
        return
    beside = folder.with_name(folder.name + ".removing")
    shutil.rmtree(beside, ignore_errors=True)
    folder.replace(beside)
    shutil.rmtree(beside, ignore_errors=True)
