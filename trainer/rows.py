"""Reading a source into rows: local .jsonl, .json, .csv, .parquet files, and Hub data sets."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.spec import UserError

HUB_TIMEOUT_S = 20.0
SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
_HUB = re.compile(r"^[\w.-]+(/[\w.-]+)?(:[\w.-]+){0,2}$")
_HUB_REVISION = re.compile(r"^[\w.-]+(/[\w.-]+)?@[\w./-]+(:[\w.-]+){0,2}$")


@dataclass(frozen=True, slots=True)
class Source:
    """Rows and where each stands: `unit` is "line" or "row", counted from 1."""

    name: str
    rows: list[dict[str, Any]]
    unit: str
    numbers: list[int]
    sha256: str | None  # of a local file's bytes

    def place(self, index: int) -> str:
        return f"{self.name}, {self.unit} {self.numbers[index]}"


def read_source(source: str, default_split: str, cache_dir: Path) -> Source:
    """Read a local file, or a Hub data set as `ID`, `ID:SPLIT` or `ID:CONFIG:SPLIT`.

    Raises UserError with a sentence that names the file, and the line where there is one.
    """
    path = Path(source).expanduser()
    if path.is_file():
        found = _read_file(path)
    elif path.is_dir():
        raise UserError(f"{source} is a folder; give one of its files ({', '.join(SUFFIXES)})")
    elif path.suffix in SUFFIXES or source.startswith((".", "/", "~")):
        raise UserError(f"{source}: no such file")
    elif _HUB_REVISION.match(source):
        name, _, revision = source.partition("@")
        raise UserError(
            f"{source}: no such file, and a revision of a Hub data set cannot be given here; "
            f"download it with `hf download {name} --repo-type dataset --revision "
            f"{revision.partition(':')[0]} --local-dir DIR` and give its file's path"
        )
    elif not _HUB.match(source):
        raise UserError(f"{source}: no such file")
    else:
        found = _read_hub(source, default_split, cache_dir)
    if not found.rows:
        raise UserError(f"{source}: no rows")
    return found


def _read_file(path: Path) -> Source:
    readers = {".jsonl": _read_jsonl, ".json": _read_json, ".csv": _read_csv}
    name = str(path)
    if path.suffix not in SUFFIXES:
        raise UserError(f"{name}: unknown kind of file; one of {', '.join(SUFFIXES)} is read")
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            rows = pq.read_table(path).to_pylist()
            numbered = list(enumerate(rows, start=1))
        else:
            numbered = readers[path.suffix](path)
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 text (byte {error.start})") from None
    except PermissionError:
        raise UserError(f"{name}: may not be read (permissions)") from None
    except UserError:
        raise
    except Exception as error:  # pyarrow raises several kinds of its own
        raise UserError(f"{name}: cannot be read as {path.suffix[1:]} ({error})") from None
    unit = "line" if path.suffix in (".jsonl", ".csv") else "row"
    for number, row in numbered:
        if not isinstance(row, dict):
            raise UserError(f"{name}, {unit} {number}: {_short(row)} is no object of named columns")
    rows = [row for _, row in numbered]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Source(name, rows, unit, [number for number, _ in numbered], digest)


def _read_jsonl(path: Path) -> list[tuple[int, Any]]:
    numbered = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                numbered.append((number, json.loads(line)))
            except json.JSONDecodeError as error:
                raise UserError(
                    f"{path}, line {number}: malformed JSON ({error.msg} at column {error.colno})"
                ) from None
    return numbered


def _read_json(path: Path) -> list[tuple[int, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}: malformed JSON ({error.msg}); "
            "one object per line goes into a .jsonl file"
        ) from None
    if not isinstance(rows, list):
        raise UserError(f"{path}: a .json file holds one list of objects")
    return list(enumerate(rows, start=1))


def _read_csv(path: Path) -> list[tuple[int, Any]]:
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        numbered = []
        for row in reader:
            if None in row or None in row.values():
                raise UserError(f"{path}, line {reader.line_num}: not as many cells as the header")
            numbered.append((reader.line_num, row))
        return numbered


def _read_hub(source: str, default_split: str, cache_dir: Path) -> Source:
    import datasets
    from huggingface_hub import HfApi

    name, *rest = source.split(":")
    config = rest[0] if len(rest) == 2 else None
    split = rest[-1] if rest else default_split
    try:
        # One plain question first: load_dataset tries an unreachable Hub for half a minute.
        HfApi().dataset_info(name, timeout=HUB_TIMEOUT_S)
        rows = datasets.load_dataset(name, config, split=split, cache_dir=str(cache_dir)).to_list()
    except Exception as error:  # the Hub's clients raise a dozen kinds
        raise UserError(_hub_trouble(source, name, error)) from None
    return Source(source, rows, "row", list(range(1, len(rows) + 1)), None)


def _hub_trouble(source: str, name: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    if "gated" in said.lower() or type(error).__name__ == "GatedRepoError":
        return (
            f"{source}: a gated Hub data set; accept its terms at "
            f"https://huggingface.co/datasets/{name} and log in with `hf auth login` (or HF_TOKEN)"
        )
    return (
        f"{source}: no such file, and not readable as a Hub data set ({_short(said, 200)}); save "
        "it as a local .jsonl or .parquet file and give its path, or write ID:SPLIT or "
        "ID:CONFIG:SPLIT; a private one needs `hf auth login`"
    )


def _short(value: Any, length: int = 40) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."
