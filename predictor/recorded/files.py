"""Recorded sets on disk: X_runs.parquet with X_steps.parquet beside it. To read runs no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
import pyarrow as _arrow  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as _parquet  # pyright: ignore[reportMissingTypeStubs]

RUNS, STEPS = "_runs.parquet", "_steps.parquet"
SET_ID = b"sweep.set"
EXTENSION = b"ARROW:extension:name"

arrow: Any = _arrow  # without type stubs
parquet: Any = _parquet


def runs_file(prefix: Path) -> Path:
    """The path PREFIX_runs.parquet; `prefix` is DIR/X of DIR/X_runs.parquet."""
    return prefix.with_name(prefix.name + RUNS)


def prefix_of(file: Path) -> Path:
    """Inverse of `runs_file`; a prefix stays one."""
    return file.with_name(file.name.removesuffix(RUNS) or file.name)


def steps_file(prefix: Path) -> Path:
    """The path PREFIX_steps.parquet."""
    return prefix.with_name(prefix.name + STEPS)


def read_frames(prefix: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and steps of the recorded set DIR/X. ValueError where a file is missing or no good, or
    where the two were not written together."""
    (runs, runs_id), (steps, steps_id) = _read(runs_file(prefix)), _read(steps_file(prefix))
    if runs_id is not None and steps_id is not None and runs_id != steps_id:
        raise ValueError(
            f"{runs_file(prefix)} and {steps_file(prefix)} were not written together: export them "
            "again"
        )
    return runs, steps


def write_frames(prefix: Path, runs: pd.DataFrame, steps: pd.DataFrame) -> None:
    """Write both files, zstd-compressed, in place of those that were there; OSError where that
    fails.

    Both are written beside before either is renamed, and bear the same random id.
    """
    files = [(runs_file(prefix), runs), (steps_file(prefix), steps)]
    new = [path.with_name(f"{path.name}.{os.getpid()}.new") for path, _ in files]
    set_id = uuid4().hex
    try:
        for beside, (_, frame) in zip(new, files, strict=True):
            _write(beside, frame, set_id)
        for beside, (path, _) in zip(new, files, strict=True):
            beside.rename(path)
    finally:
        for beside in new:
            beside.unlink(missing_ok=True)


def _write(path: Path, frame: pd.DataFrame, set_id: str) -> None:
    table = arrow.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({SET_ID: set_id})
    parquet.write_table(table, path, compression="zstd")


def _read(path: Path) -> tuple[pd.DataFrame, bytes | None]:
    """With the id of its set, if it bears one. Plain columns only: what pandas or an extension type
    would make of them is never asked."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        table = parquet.ParquetFile(path, arrow_extensions_enabled=False).read()
    except (arrow.ArrowException, OSError) as error:
        cause = str(error).strip().splitlines()[0]
        raise ValueError(f"{path} cannot be read as Parquet: {cause}") from None
    for column in table.schema:
        if not _is_plain(column):
            raise ValueError(
                f"{path}: column {column.name!r} is {column.type}; only numbers, texts and truth "
                "values are read"
            )
    metadata: dict[bytes, bytes] = table.schema.metadata or {}
    return table.replace_schema_metadata(None).to_pandas(ignore_metadata=True), metadata.get(SET_ID)


def _is_plain(column: Any) -> bool:
    types = arrow.types
    plain = (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_string,
        types.is_large_string,
        types.is_null,
    )
    has_extension = EXTENSION in (column.metadata or {})
    return not has_extension and any(is_one(column.type) for is_one in plain)
