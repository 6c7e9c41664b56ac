"""The prepared rows on disk: Arrow files that every trial of a study memory-maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
from datasets.table import InMemoryTable


def save_table(table: pa.Table, folder: Path) -> None:
    datasets.Dataset(InMemoryTable(table)).save_to_disk(str(folder))


def open_table(folder: Path) -> pa.Table:
    """Memory-mapped: rows that are not looked at are not read."""
    dataset = datasets.load_from_disk(str(folder))
    assert isinstance(dataset, datasets.Dataset)
    return dataset.data.table


def list_array(rows: Sequence[np.ndarray]) -> pa.Array:
    offsets = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
    values = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values, pa.int32()))


def list_column(table: pa.Table, name: str) -> list[np.ndarray]:
    """One read-only view of the file per row, each (length,) int32."""
    rows: list[np.ndarray] = []
    for chunk in table.column(name).chunks:
        values, offsets = chunk.values.to_numpy(), chunk.offsets.to_numpy()
        rows += [values[start:end] for start, end in pairwise(offsets)]
    return rows
