"""Which file a study was last run from: a comment at the head of the study file in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sweep.config.load import LoadedStudy
from sweep.storage.paths import StudyPaths

_MARK = "# resolved from "


def source_line(loaded: LoadedStudy) -> str:
    """The comment for a study file; empty where the study comes from no file."""
    name = Path(loaded.source).name
    file = loaded.folder / name
    if not file.is_file():  # a shipped study, asked for by its name
        file = loaded.folder / f"{name}.yaml"
    if not file.is_file():
        return ""
    return f"{_MARK}{json.dumps(str(file))}\n"


def source_of(paths: StudyPaths) -> Path | None:
    """The file that the study comes from; None where the study's folder does not say."""
    try:
        with paths.study_file.open(encoding="utf-8") as lines:
            first = lines.readline()
        found: Any = json.loads(first.removeprefix(_MARK)) if first.startswith(_MARK) else None
    except (OSError, ValueError):  # ValueError: no text, or no JSON behind the mark
        return None
    return Path(found) if isinstance(found, str) else None
