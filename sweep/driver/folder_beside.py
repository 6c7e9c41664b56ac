"""A folder that is made whole beside the one whose place it takes."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from trainer.contract.outside import cause_of
from trainer.contract.safe_text import file_name
from trainer.contract.spec import UserError


@contextmanager
def folder_beside(target: Path) -> Generator[Path]:
    """An empty folder on the target's file system, gone afterwards with what was made for it.
    UserError where the target holds something, or cannot be written."""
    made = [parent for parent in target.parents if not parent.exists()]
    beside = target.with_name(f".{target.name}.new-{_host()}-{os.getpid()}")
    _remove_left(target)
    try:
        if target.is_file() or (target.is_dir() and any(target.iterdir())):
            raise UserError(
                f"{target} exists and holds something other than this study: choose another --out"
            )
        beside.mkdir(parents=True)
    except OSError as error:
        if cause_of(error):
            raise
        raise UserError(
            f"{target} cannot be written ({error.strerror}): choose another --out"
        ) from None
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if not target.exists():
            for parent in made:
                if parent.is_dir() and not any(parent.iterdir()):
                    parent.rmdir()


def _host() -> str:
    """Other machines may write to the same file system."""
    return file_name(socket.gethostname())


def _remove_left(target: Path) -> None:
    """Folders that drivers left beside the target when they were killed while making it."""
    for left in target.parent.glob(f".{target.name}.new-{_host()}-*"):
        pid = left.name.rpartition("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)
