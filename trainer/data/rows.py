"""Reading a source into rows: local .jsonl, .json, .csv, .parquet files, and Hub data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from trainer.contract.fingerprint import file_sha256
from trainer.contract.outside import cause_of
from trainer.contract.safe_text import clipped
from trainer.contract.sources import ROW_SUFFIXES, hub_revision, may_be_hub_id
from trainer.contract.spec import UserError
from trainer.data.readers import (
    Mistakes,
    not_utf8,
    read_csv,
    read_json,
    read_jsonl,
    read_parquet,
    without_nulls,
)

HUB_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Source:
    """Rows and where each stands: `unit` is "line" or "row", counted from 1."""

    name: str
    rows: list[dict[str, Any]]
    unit: str
    numbers: list[int]
    sha256: str | None  # of a local file's bytes

    def place(self, index: int) -> str:
        """File and line of a row."""
        return f"{self.name}, {self.unit} {self.numbers[index]}"

    def short_place(self, index: int) -> str:
        """File and line of a row, without the folder."""
        return f"{PurePath(self.name).name}, {self.unit} {self.numbers[index]}"


def read_source(source: str, default_split: str, cache_dir: Path) -> Source:
    """The rows of a local file, or of a Hub data set as `ID`, `ID:SPLIT` or `ID:CONFIG:SPLIT`.

    Raises UserError with a sentence that names the file, and the line where there is one.
    """
    path = Path(source).expanduser()
    if path.is_file():
        found = _read_file(path)
    elif path.is_dir():
        raise UserError(f"{source} is a folder; give one of its files ({', '.join(ROW_SUFFIXES)})")
    elif not may_be_hub_id(source):
        raise UserError(f"{source}: no such file")
    elif (revision := hub_revision(source)) is not None:
        name = source.partition("@")[0]
        raise UserError(
            f"{source}: no such file, and a revision of a Hub data set cannot be given here; "
            f"download it with `hf download {name} --repo-type dataset --revision "
            f"{revision} --local-dir DIR` and give its file's path"
        )
    else:
        found = _read_hub(source, default_split, cache_dir)
    if not found.rows:
        raise UserError(f"{source}: no rows")
    return found


def _read_file(path: Path) -> Source:
    readers = {
        ".jsonl": read_jsonl,
        ".json": read_json,
        ".csv": read_csv,
        ".parquet": read_parquet,
    }
    name = str(path)
    if path.suffix not in ROW_SUFFIXES:
        raise UserError(f"{name}: unknown kind of file; one of {', '.join(ROW_SUFFIXES)} is read")
    try:
        numbered = readers[path.suffix](path)
        digest = file_sha256(path)
    except UnicodeDecodeError:
        raise UserError(f"{name}, {not_utf8(path)}") from None
    except PermissionError:
        raise UserError(f"{name}: may not be read (permissions)") from None
    except UserError:
        raise
    except Exception as error:  # pyarrow raises several kinds of its own
        if cause_of(error):
            raise
        said = " ".join(str(error).split())
        raise UserError(f"{name}: cannot be read as {path.suffix[1:]} ({clipped(said)})") from None
    unit = "line" if path.suffix in (".jsonl", ".csv") else "row"
    mistakes = Mistakes(path, unit)
    for number, row in numbered:
        if not isinstance(row, dict):
            mistakes.add(number, f"{clipped(repr(row))} is not an object of named columns")
    mistakes.raise_any()
    rows = [row for _, row in numbered]
    return Source(name, rows, unit, [number for number, _ in numbered], digest)


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
        rows = list(map(without_nulls, rows))
    except Exception as error:  # the Hub's clients raise a dozen kinds
        if cause_of(error):
            raise
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
        f"{source}: no such file, and not readable as a Hub data set ({clipped(said)}); save "
        "it as a local .jsonl or .parquet file and give its path, or write ID:SPLIT or "
        "ID:CONFIG:SPLIT; a private one needs `hf auth login`"
    )
