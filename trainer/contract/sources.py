"""What the text of a source may name: a local file or folder, or an id on the Hub."""

from __future__ import annotations

import re
from pathlib import Path

ROW_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")  # of the files that rows are read from
_OTHER_SUFFIXES = (".tsv", ".arrow", ".txt", ".gz", ".zst", ".jinja")  # of other files
_PATH_BEGINNINGS = (".", "/", "~")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(?P<revision>@[\w./-]+)?(:[\w.-]+){0,2}")


def may_be_hub_id(text: str) -> bool:
    """Whether it has the form of a Hub id: of a model, ORG/NAME or ORG/NAME@REVISION; of rows,
    ORG/NAME, with :SPLIT or :CONFIG:SPLIT. False of what is plainly a path."""
    is_path = text.startswith(_PATH_BEGINNINGS) or has_file_suffix(text)
    return not is_path and _HUB_ID.fullmatch(text) is not None


def has_file_suffix(text: str) -> bool:
    """Whether it ends as a file does that a study may name, though not each is read."""
    return Path(text).suffix in (*ROW_SUFFIXES, *_OTHER_SUFFIXES)


def hub_revision(text: str) -> str | None:
    """The REVISION of a Hub id that names one, else None."""
    found = _HUB_ID.fullmatch(text)
    revision = None if found is None else found["revision"]
    return None if revision is None else revision.removeprefix("@")
