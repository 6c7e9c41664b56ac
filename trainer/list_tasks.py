"""`python -m trainer.list_tasks [PATTERN] [--tasks FOLDER]`: the tasks of the evaluation harness
and of a folder as JSON, a list of {"name", "kind": task, group or tag, "from": harness or folder,
"data": data sets of the Hub that it needs, "cached": whether all of these were loaded before}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import trainer.contract.environment  # noqa: F401
from trainer.contract.spec import UserError


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 2 where the folder is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--tasks", type=Path)
    given = parser.parse_args(arguments)
    try:
        found = list_tasks(given.pattern, given.tasks)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(found))
    return 0


def list_tasks(pattern: str, folder: Path | None) -> list[dict[str, Any]]:
    """As the module says, by name."""
    from lm_eval.tasks._index import TaskIndex

    from trainer.evaluation import tasks

    whole = tasks.built_in_index()
    names_own: set[str] = set()
    if folder is not None:
        from trainer.evaluation.local_tasks import names_of

        if not folder.is_dir():
            raise UserError(f"--tasks: {folder} is no folder")
        own = TaskIndex.build([folder.resolve()])
        names_own = {*own, *names_of(folder)}
        whole |= own
    return [
        _told(name, whole, is_own=name in names_own)
        for name in sorted({*whole, *names_own})
        if fnmatch(name, pattern)
    ]


def _told(name: str, index: Any, *, is_own: bool) -> dict[str, Any]:
    needed = _needed(name, index)
    return {
        "name": name,
        "kind": index[name].kind.name.lower().removeprefix("py_") if name in index else "task",
        "from": "folder" if is_own else "harness",
        "data": needed,
        "cached": all(map(_is_cached, needed)),
    }


def _needed(name: str, index: Any) -> list[str]:
    from trainer.evaluation.kept_data import is_of_the_hub
    from trainer.evaluation.tasks import resting_on

    entries = resting_on([name], index) or {}
    paths = {str((entry.cfg or {}).get("dataset_path") or "") for entry in entries.values()}
    return sorted(path for path in paths if path and is_of_the_hub(path))


def _is_cached(path: str) -> bool:
    import datasets.config

    cache = Path(os.environ.get("HF_DATASETS_CACHE") or datasets.config.DEFAULT_HF_DATASETS_CACHE)
    return (cache / path.replace("/", "___").lower()).is_dir()


if __name__ == "__main__":
    sys.exit(main())
