"""A study as the live page shows it: made anew when its storage has changed, and somebody asks."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweep.page.document import document
from sweep.page.page_report import page_report
from sweep.storage.changes import Stamp, stamp
from sweep.storage.find import open_study
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from sweep.storage.readable import readable
from trainer.contract.safe_text import clean, without_secrets
from trainer.contract.spec import UserError

LEAST_PAUSE_S = 0.3  # between two looks at the storage
PAUSE = 2.0  # the same, in times of what the last one took: a driver has better use for the cores


@dataclass(frozen=True)
class Shown:
    """What there is to be shown."""

    document: Mapping[str, Any] | None
    """of the page, with its `version`; None before the study could be read for the first time"""
    trouble: str | None
    """why it cannot be read now"""

    @property
    def version(self) -> str | None:
        """Another one where anything that is shown is another."""
        return None if self.document is None else self.document["version"]

    @cached_property
    def body(self) -> bytes:
        """The document as JSON."""
        return json.dumps(self.document, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def zipped(self) -> bytes:
        """The same, compressed: by a tunnel from elsewhere megabytes take long."""
        return gzip.compress(self.body, 1)


class LiveStudy:
    """A study that may not exist yet, that changes, and that may go away. For several threads."""

    def __init__(self, where: str) -> None:
        """`where`: as for `sweep.storage.find.open_study`."""
        self.where = where
        self._shown = Shown(None, None)
        self._opened: tuple[Ledger, StudyPaths] | None = None
        self._stamp: Stamp | None = None
        self._next_s = 0.0  # before that the storage is not looked at
        self._reading = threading.Lock()

    def now(self) -> Shown:
        """The study as it is, or was a moment ago: the storage is looked at after a pause only, by
        one thread at a time."""
        is_first = self._shown.document is None and self._shown.trouble is None
        if self._reading.acquire(blocking=is_first):
            try:
                if time.monotonic() >= self._next_s:
                    began_s = time.monotonic()
                    self._look()
                    took_s = time.monotonic() - began_s
                    self._next_s = time.monotonic() + max(LEAST_PAUSE_S, PAUSE * took_s)
            finally:
                self._reading.release()
        return self._shown

    def close(self) -> None:
        """Let go of the storage."""
        if self._opened is not None:
            self._opened[0].engine.dispose()
        self._opened = self._stamp = None

    def _look(self) -> None:
        try:
            with readable(self.where):
                found = self._found()
        except UserError as error:
            self.close()
            self._shown = Shown(self._shown.document, clean(without_secrets(str(error))))
            return
        if self._shown.trouble is not None or found is not self._shown.document:
            self._shown = Shown(found, None)

    def _found(self) -> Mapping[str, Any]:
        """The document, anew where the storage has changed."""
        if self._opened is None:
            self._opened = open_study(self.where)
        ledger, paths = self._opened
        # Taken before the rest is read: what is written meanwhile is seen the next time.
        seen = stamp(ledger)
        known = self._shown.document
        if known is None or seen != self._stamp:
            made = document(page_report(ledger, paths), time.time())
            known = {**made, "version": _digest(made)}
            self._stamp = seen
        return known


def _digest(made: Mapping[str, Any]) -> str:
    shown = {key: value for key, value in made.items() if key != "made"}
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]
