"""`sweep export`: studies as X_runs.parquet and X_steps.parquet."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from predictor.recorded_files import prefix_of, runs_file, steps_file, write_frames
from sweep.inspect import open_study
from sweep.sources import names_study
from sweep.study_frames import StudyTables, study_tables
from trainer.spec import UserError


def export_studies(studies: Sequence[str], to: str | Path) -> int:
    """Write the settled trials of `studies` to the two files of `to`, in place of older ones.

    Where `to` is a folder, or ends in /, they are named after the study. UserError as from
    `study_tables`, for a recorded set, and where the files cannot be written.
    """
    _refuse_recorded(studies)
    tables = study_tables(studies)
    runs: Any = tables.runs
    prefix = _prefix(to, sorted(set(runs["group"])))
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        write_frames(prefix, tables.runs, tables.steps)
    except OSError as error:
        raise UserError(f"--to: {runs_file(prefix)} cannot be written: {error}") from None
    sys.stdout.write(_said(tables, len(studies), prefix) + "\n")
    return 0


def _refuse_recorded(texts: Sequence[str]) -> None:
    for text in texts:
        try:
            ledger, _ = open_study(text)
        except UserError:
            if not _is_recorded(text):
                raise
            raise UserError(
                f"{text} is a recorded set already: give a study (its name or its folder) instead; "
                "replay, evidence and tune take the set as it is"
            ) from None
        ledger.engine.dispose()


def _is_recorded(text: str) -> bool:
    try:
        return not names_study(text)
    except UserError:
        return False


def _prefix(to: str | Path, names: Sequence[str]) -> Path:
    """DIR/X of DIR/X_runs.parquet."""
    is_folder, to = str(to).endswith("/") or Path(to).is_dir(), Path(to)
    if not is_folder:
        return prefix_of(to)
    if len(names) > 1:
        raise UserError(
            f"--to: {to} is a folder, and the studies have {len(names)} names "
            f"({', '.join(names)}); give {to / 'X'} for {to / 'X'}_runs.parquet"
        )
    return to / names[0]


def _said(tables: StudyTables, num_studies: int, to: Path) -> str:
    runs: Any = tables.runs
    ends = Counter(_end(row) for row in runs.to_dict("records"))
    groups = runs["group"].nunique()
    text = (
        f"{runs_file(to)} has {_number(len(runs), 'run')} of {_number(num_studies, 'study')} in "
        f"{_number(groups, 'group')} ({', '.join(f'{n} {end}' for end, n in ends.items())}), "
        f"{steps_file(to)} {_number(len(tables.steps), 'row')}."
    )
    if tables.num_unsettled:
        are = "is" if tables.num_unsettled == 1 else "are"
        text += f" {_number(tables.num_unsettled, 'trial')} not yet settled {are} left out."
    return text


def _end(row: dict[str, Any]) -> str:
    by = row["pruned_by"]
    return f"pruned by {by}" if isinstance(by, str) else str(row["state"])


def _number(count: int, thing: str) -> str:
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{count:,} {thing if count == 1 else plural}"
