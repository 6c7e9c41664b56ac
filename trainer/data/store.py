"""The prepared rows on disk: Arrow files that every trial of a study memory-maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets.table import InMemoryTable

from trainer.contract.spec import UserError

VERSION = 3
READABLE = (2, 3)  # 2: the same tables, without shapes, notes and positions
TOKENIZER = "tokenizer"  # the folder that goes with every saved model


def save_table(table: pa.Table, folder: Path) -> None:
    """A table as a data set on disk."""
    datasets.Dataset(InMemoryTable(table)).save_to_disk(str(folder))


def open_table(folder: Path) -> pa.Table:
    """The table in a folder, memory-mapped: rows that are not looked at are not read."""
    dataset = datasets.load_from_disk(str(folder))
    assert isinstance(dataset, datasets.Dataset)
    return dataset.data.table


def list_array(rows: Sequence[np.ndarray]) -> pa.Array:
    """Ragged rows as one Arrow column."""
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


def read_prepared(data_dir: Path) -> dict[str, Any]:
    """The facts. Raises UserError if the preparation never came to its end."""
    path = data_dir / "prepared.json"
    if not path.is_file():
        raise UserError(f"{data_dir} holds no prepared data (no prepared.json)")
    facts = json.loads(path.read_text())
    if facts["version"] not in READABLE:
        raise UserError(f"{path}: version {facts['version']}, this program reads {VERSION}")
    return facts
