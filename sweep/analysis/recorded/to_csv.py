"""Runs and steps as CSV files, for spreadsheets and for whatever reads no Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.contract.files import written_whole


def csv_files(prefix: Path) -> tuple[Path, Path]:
    """The paths DIR/X_runs.csv and DIR/X_steps.csv; `prefix`: DIR/X, or the first of them."""
    name = prefix.name.removesuffix("_runs.csv") or prefix.name
    return prefix.with_name(f"{name}_runs.csv"), prefix.with_name(f"{name}_steps.csv")


def write_csv(prefix: Path, runs: Any, steps: Any) -> None:
    """Write both tables, each file whole or not at all, numbers with all their digits. OSError
    where that fails."""
    for file, table in zip(csv_files(prefix), (runs, steps), strict=True):
        with written_whole(file) as beside:
            table.to_csv(beside, index=False, lineterminator="\n")
