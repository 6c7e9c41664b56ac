"""A study's folder as a driver leaves it that is killed before or after any of its writes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweep.storage.ledger import Ledger


@contextmanager
def snapshots(out: Path, into: Path) -> Iterator[list[Path]]:
    """Copies of `out`, one for each state that is another than the one before."""
    found, last, write = list[Path](), [""], Ledger._write_all  # pyright: ignore[reportPrivateUsage]

    def copy() -> None:
        if (out / "study.db").exists() and (now := _digest(out)) != last[0]:
            last[0] = now
            found.append(into / f"{len(found):03d}")
            shutil.copytree(out, found[-1], ignore=shutil.ignore_patterns("*-shm"))

    def copying(ledger: Ledger) -> None:
        copy()
        write(ledger)
        copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "_write_all", copying)
        yield found


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith("-shm"):
            found.update(str(path).encode() + path.read_bytes())
    return found.hexdigest()
