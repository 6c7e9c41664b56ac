"""Which file a study was last run from: a comment at the head of the study file in its folder."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from sweep.config.load import LoadedStudy, load_study
from sweep.config.sources import is_shipped
from sweep.storage.engine import sqlite_file
from sweep.storage.find import RUNS, Location
from sweep.storage.paths import StudyPaths
from trainer.contract.spec import UserError

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


def go_on_command(at: Location) -> str:
    """What the user types to go on with a study, as far as its folder tells; without --set."""
    parts = ["sweep", "run", _named(at.paths)]
    if at.paths.out.absolute() != (RUNS / at.study).absolute():
        parts += ["--out", str(at.paths.out)]
    if sqlite_file(at.url) is not None and at.url != at.paths.default_storage:
        parts += ["--storage", at.url]
    return f"`{shlex.join(parts)}`"


def _named(paths: StudyPaths) -> str:
    """The file that the study was run from, or its copy in the study's folder where that will do:
    sources that it names from another folder are not found from there."""
    file = source_of(paths)
    if file is not None and file.is_file():
        return file.stem if is_shipped(file) else str(file)
    try:
        load_study(paths.study_file)
    except UserError:
        return "STUDY.yaml"
    return str(paths.study_file)
