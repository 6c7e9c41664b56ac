"""`sweep export`: studies as X_runs.parquet and X_steps.parquet."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from predictor.recorded_files import prefix_of, runs_file, steps_file, write_frames
from sweep.study_frames import StudyTables, study_tables
from trainer.spec import UserError


def export_studies(studies: Sequence[str], to: Path) -> int:
    """Write the settled trials of `studies` to the two files of `to`, in place of older ones.

    UserError as from `study_tables`, and where the files cannot be written.
    """
    if not to.name:
        raise UserError(f"--to must be DIR/X, where DIR/X_runs.parquet is written, not {str(to)!r}")
    to = prefix_of(to)
    tables = study_tables(studies)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_frames(to, tables.runs, tables.steps)
    except OSError as error:
        raise UserError(f"--to: {runs_file(to)} cannot be written: {error}") from None
    sys.stdout.write(_said(tables, len(studies), to) + "\n")
    return 0


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
