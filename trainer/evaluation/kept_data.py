"""The data sets of tasks, loaded once: `prepare` keeps them, and trials read what was kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import datasets.config

from trainer.contract.outside import cause_of
from trainer.contract.safe_text import clipped
from trainer.contract.spec import UserError

ROWS = "sweep-rows"  # stands for the rows of a task of one's own, by its name
HUB_TIMEOUT_S = 20.0
_BUILDERS = ("json", "csv", "parquet", "arrow", "text", "xml", "pandas", "sql")


class KeptData:
    """Data sets in a folder. `is_open`: what is not there yet is loaded and kept."""

    def __init__(self, folder: Path, is_open: bool) -> None:
        self._folder, self._is_open = folder, is_open
        self._gone: str | None = None  # why the Hub cannot be reached

    @contextmanager
    def instead_of_loading(self) -> Iterator[None]:
        """`datasets.load_dataset` gives what is kept; caches of users stay as they are."""
        load, was_caching = datasets.load_dataset, datasets.is_caching_enabled()
        cache = datasets.config.HF_DATASETS_CACHE

        def kept(path: str, name: str | None = None, **kwargs: Any) -> Any:
            return self._load(load, path, name, kwargs)

        try:
            datasets.load_dataset = kept
            datasets.disable_caching()
            datasets.config.HF_DATASETS_CACHE = self._folder / ".cache"
            yield
        finally:
            datasets.load_dataset = load
            datasets.config.HF_DATASETS_CACHE = cache
            if was_caching:
                datasets.enable_caching()

    def rows_file(self, name: str) -> Path:
        """Where the rows of a task of one's own lie."""
        return self._folder / "rows" / f"{name}.json"

    def _load(
        self, load: Callable[..., Any], path: str, name: str | None, kwargs: dict[str, Any]
    ) -> Any:
        if path == ROWS:
            splits = json.loads(self.rows_file(str(name)).read_text(encoding="utf-8"))
            return datasets.DatasetDict(
                {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}
            )
        for key in ("cache_dir", "download_mode", "trust_remote_code"):
            kwargs.pop(key, None)
        asked = json.dumps([path, name, kwargs], sort_keys=True, default=str)
        target = self._folder / hashlib.sha256(asked.encode()).hexdigest()[:16]
        if not target.is_dir():
            if not self._is_open:
                raise UserError(f"the prepared data lack {_called(path, name)}: prepare it again")
            self._keep(load, path, name, kwargs, target)
        return datasets.load_from_disk(str(target))

    def _keep(
        self,
        load: Callable[..., Any],
        path: str,
        name: str | None,
        kwargs: dict[str, Any],
        target: Path,
    ) -> None:
        datasets.config.HF_DATASETS_CACHE = self._folder / ".cache"
        if is_of_the_hub(path):
            self._check_hub(path)
        try:
            found = load(path, name, **kwargs)
        except Exception as error:
            if cause_of(error):
                raise
            raise UserError(trouble(_called(path, name), path, error)) from None
        if not isinstance(found, datasets.Dataset | datasets.DatasetDict):
            raise UserError(f"{_called(path, name)} is streamed, and only a whole one can be kept")
        beside = target.with_suffix(".tmp")
        found.save_to_disk(str(beside))
        beside.rename(target)

    def _check_hub(self, path: str) -> None:
        """Raise UserError where the data set cannot be read: one plain question, as loading tries
        an unreachable Hub for half a minute, and that for each subject of a group."""
        from huggingface_hub import HfApi

        if Path(path).is_dir():
            raise UserError(
                f"the folder {Path(path).resolve()} would be taken in place of the Hub's data set "
                f"{path}: start from another working directory, or name the folder by its absolute "
                "path in a task file of your own"
            )
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
            kept = os.environ.get("HF_DATASETS_CACHE")  # what was loaded earlier
            datasets.config.HF_DATASETS_CACHE = Path(
                kept or datasets.config.DEFAULT_HF_DATASETS_CACHE
            )
            return
        if self._gone is None:
            try:
                HfApi().dataset_info(path, timeout=HUB_TIMEOUT_S)
                return
            except Exception as error:  # the Hub's clients raise a dozen kinds
                if cause_of(error):
                    raise
                self._gone = trouble(f"the Hub's data set {path}", path, error)
        raise UserError(self._gone)


def trouble(called: str, path: str, error: Exception) -> str:
    """What keeps a data set from being read, and every way out."""
    said = " ".join(str(error).split())
    if "gated" in said.lower() or type(error).__name__ == "GatedRepoError":
        return (
            f"{called} is gated: accept its terms at https://huggingface.co/datasets/{path} and "
            "log in with `hf auth login` (or HF_TOKEN)"
        )
    ways = (
        "give network access, or set HF_HUB_OFFLINE=1 where it was loaded earlier, or name a task "
        "of your own in objective.tasks; `sweep tasks` lists what works without the Hub"
        if is_of_the_hub(path)
        else "look at dataset_path, dataset_name and dataset_kwargs in its task file"
    )
    return f"{called} cannot be read ({type(error).__name__}: {clipped(said)}): {ways}"


def is_of_the_hub(path: str) -> bool:
    """Whether a data set is none of this machine."""
    is_script = path.endswith(".py")
    return not (path in _BUILDERS or is_script or Path(path).is_absolute() or path.startswith("."))


def _called(path: str, name: str | None) -> str:
    return f"the data set {path}" + (f" ({name})" if name else "")
