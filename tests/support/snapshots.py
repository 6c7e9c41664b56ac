"""A study's folder as a driver leaves it that is killed before or after any of its writes."""

from __future__ import annotations

import contextlib
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
            for path in _files(out):
                to = found[-1] / path.relative_to(out)
                to.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # its trial is at work
                    shutil.copy2(path, to)

    def copying(ledger: Ledger) -> None:
        copy()
        write(ledger)
        copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "_write_all", copying)
        yield found


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in _files(folder):
        with contextlib.suppress(FileNotFoundError):
            found.update(str(path).encode() + path.read_bytes())
    return found.hexdigest()


def _files(folder: Path) -> list[Path]:
    each = (path for path in sorted(folder.rglob("*")) if not path.name.endswith("-shm"))
    return [path for path in each if path.is_file()]
