"""Whatever holds recorded sweeps, as commands take it: studies, exports and recorded sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from predictor.recorded.files import RUNS, prefix_of, read_frames, runs_file
from predictor.recorded.frames import studies_from_frames
from predictor.recorded.runs import RecordedStudy
from sweep.analysis.recorded.tables import study_tables
from sweep.storage.find import look_for_study, study_folders
from sweep.storage.paths import StudyPaths
from trainer.contract.spec import UserError


def named(sources: Sequence[str | Path]) -> list[str]:
    """The sources as texts. UserError where there is none."""
    if not sources:
        raise UserError("name at least one study, export or recorded set")
    return [str(source) for source in sources]


def read_sources(texts: Sequence[str]) -> list[RecordedStudy]:
    """Every group in `texts`: studies (as for inspect), DIR/X of DIR/X_runs.parquet, that file
    itself, or a folder with such files. Studies of one name are one group.

    UserError where a text is none of these or both, where one cannot be read, and for a group that
    is in two of them.
    """
    sets = {text: sets_named(text) for text in texts}
    studies = [text for text in texts if not sets[text]]
    found: list[RecordedStudy] = []
    if studies:
        found += _read_studies(studies)
    source = {study.name: "a study" for study in found}
    for prefix in (prefix for text in dict.fromkeys(texts) for prefix in sets[text]):
        for study in read_set(prefix)[2]:
            if study.name in source:
                first = source[study.name]
                raise UserError(
                    f"group {study.name!r} is in {first} and in {prefix}; name one of them"
                )
            source[study.name] = str(prefix)
            found.append(study)
    return found


def names_study(text: str) -> bool:
    """Whether `read_sources` takes it for a study, and not for a recorded set."""
    return not sets_named(text)


def _read_studies(texts: Sequence[str]) -> list[RecordedStudy]:
    tables = study_tables(texts)
    try:
        return studies_from_frames(tables.runs, tables.steps)
    except ValueError as error:
        raise UserError(f"{', '.join(texts)}: {error}") from None


def read_set(prefix: Path) -> tuple[Any, Any, list[RecordedStudy]]:
    """The two tables as they are on disk, and the groups in them. UserError where they are not
    right."""
    try:
        runs, steps = read_frames(prefix)
        return runs, steps, studies_from_frames(runs, steps)
    except ValueError as error:
        raise UserError(f"recorded set {prefix}: {error}") from None


def is_source(text: str) -> bool:
    """Whether there is a study or a recorded set at that name or path."""
    path = Path(text)
    if path.name.endswith(RUNS):
        return path.is_file()
    return look_for_study(text) is not None or _is_set(text) or bool(_inside(path))


def sets_named(text: str) -> list[Path]:
    """The recorded sets that `text` names; none where it names a study. UserError where it names
    neither, or both."""
    path = Path(text)
    if "://" in text:
        return []
    if path.name.endswith(RUNS):
        return [prefix_of(path)]
    study = look_for_study(text)
    if _is_set(text):
        if study is not None:
            raise UserError(
                f"{text!r} is both the study {study[0].out}/ and the recorded set "
                f"{runs_file(path)}: name one of these two"
            )
        return [path]
    if study is not None:
        return []
    inside = _inside(path)
    if not inside:
        files = [StudyPaths(folder).database for folder in study_folders(text)]
        looked = ", ".join(map(str, [*files, *([runs_file(path)] if path.name else [])]))
        raise UserError(
            f"{text!r} is neither a study nor a recorded set: looked for {looked} and "
            f"{path / ('*' + RUNS)}"
        )
    return inside


def _is_set(text: str) -> bool:
    """What ends in a slash is a folder."""
    path = Path(text)
    return bool(path.name) and not text.endswith("/") and runs_file(path).is_file()


def _inside(folder: Path) -> list[Path]:
    files = sorted(folder.glob(f"?*{RUNS}")) if folder.is_dir() else []
    return [prefix_of(file) for file in files]
