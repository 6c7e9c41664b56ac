"""The tasks that a name stands for: found once, then loaded by their files alone.

The harness's whole index takes seconds; of what a study names a few files are enough.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import lm_eval.tasks
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Entry, Kind, TaskIndex
from lm_eval.tasks._yaml_loader import load_yaml

from trainer.contract.outside import cause_of
from trainer.contract.safe_text import clipped
from trainer.contract.spec import UserError

BUILT_IN = Path(lm_eval.tasks.__file__).parent
CODE_SWITCH = "HF_ALLOW_CODE_EVAL"  # the harness's own way of allowing code that a model wrote
FEWSHOT_SEED = 1234  # that of the harness's command line

Index = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a name stands for: its tasks by name, in the harness's order, and its groups."""

    tasks: Mapping[str, Any]
    groups: Mapping[str, Any]


def find(names: Sequence[str], folders: Sequence[Path]) -> dict[str, Entry]:
    """The files that the names and all that they rest on are in, the folders' before the
    harness's own. UserError with the nearest names where one is unknown."""
    own = TaskIndex.build(folders)
    found = resting_on(names, own)
    if found is None:
        near = TaskIndex.build([folder for name in names if (folder := _family(name))])
        complete = {name: entry for name, entry in near.items() if entry.kind != Kind.TAG}
        found = resting_on(names, {**complete, **own})
    if found is None:
        whole = {**built_in_index(), **own}
        for name in names:
            if name not in whole:
                raise UserError(unknown(name, whole))
        found = resting_on(names, whole)
        if found is None:
            raise UserError(f"{', '.join(names)}: rests on a task that is nowhere to be found")
    return found


def built_in_index() -> dict[str, Entry]:
    """All that the harness has; takes seconds."""
    return TaskIndex.build([BUILT_IN])


def unknown(name: str, index: Iterable[str]) -> str:
    """The sentence about a task that nobody has."""
    near = get_close_matches(name, list(index), n=3, cutoff=0.6)
    hint = f"; near it: {', '.join(near)}" if near else ""
    return f"lm_eval:{name}: there is no task or group {name}{hint}; `sweep tasks` lists them all"


def save(entries: Index, file: Path) -> None:
    """The entries are in a file, for `read`."""
    told = {
        name: {
            "kind": entry.kind.name,
            "path": None if entry.yaml_path is None else _portable(entry.yaml_path, file.parent),
            "tags": sorted(entry.tags),
        }
        for name, entry in entries.items()
    }
    file.write_text(json.dumps(told, indent=1), encoding="utf-8")


def read(file: Path) -> dict[str, Entry]:
    """The entries that `save` wrote."""
    told = json.loads(file.read_text(encoding="utf-8"))
    return {
        name: Entry(
            name,
            Kind[one["kind"]],
            _path(one["path"], file.parent) if one["path"] else None,
            tags=set(one["tags"]),
        )
        for name, one in told.items()
    }


def _portable(path: Path, folder: Path) -> str:
    """A study's folder may move, and the harness be installed elsewhere."""
    for mark, root in (("harness:", BUILT_IN), ("here:", folder.resolve())):
        if path.is_relative_to(root):
            return f"{mark}{path.relative_to(root)}"
    return str(path)


def _path(portable: str, folder: Path) -> Path:
    for mark, root in (("harness:", BUILT_IN), ("here:", folder.resolve())):
        if portable.startswith(mark):
            return root / portable.removeprefix(mark)
    return Path(portable)


def may_run_code() -> bool:
    """Whether tasks that run what a model writes are allowed."""
    return os.environ.get(CODE_SWITCH) == "1"


def check_code(metric: str, entries: Index) -> None:
    """Raise UserError where a task runs what a model writes, and nobody has allowed that."""
    files = [entry.yaml_path for entry in entries.values() if entry.yaml_path is not None]
    if not may_run_code() and any(
        load_yaml(f, resolve_func=False).get("unsafe_code") for f in files
    ):
        raise UserError(
            f"{metric}: runs code that the model writes, on this machine: set {CODE_SWITCH}=1 in "
            "the environment to allow that, or take another task"
        )


def load(metric: str, names: Sequence[str], entries: Index, fewshot: Mapping[str, int]) -> Loaded:
    """The tasks with as many examples before each question as `fewshot` says of the task or of the
    nearest group that holds it; else as many as the task says, and none where it says nothing.
    Examples are drawn as on the harness's command line."""
    manager = TaskManager(include_defaults=False)
    manager._index = dict(entries)
    try:
        with quiet():
            found = manager.load(list(names))
    except UserError as error:
        raise UserError(f"{metric}: {error}") from None
    except ImportError as error:
        raise UserError(f"{metric}: its tasks need a package: {clipped(str(error))}") from None
    except Exception as error:  # whatever a task file, and the code beside it, may do wrong
        if cause_of(error):
            raise
        said = " ".join(str(error).split())
        raise UserError(
            f"{metric}: its tasks cannot be loaded ({type(error).__name__}: {clipped(said)})"
        ) from None
    tasks, groups = found["tasks"], found.get("groups", {})
    shots = _shots(names, tasks, groups, fewshot)
    for name, task in tasks.items():
        own = task.get_config("num_fewshot")
        if own is None or (name in shots and own != 0):  # 0 is a task's own word, as there
            task.set_config(key="num_fewshot", value=shots.get(name, 0))
        task.set_fewshot_seed(FEWSHOT_SEED)
    return Loaded(tasks, groups)


def _shots(
    names: Sequence[str],
    tasks: Mapping[str, Any],
    groups: Mapping[str, Any],
    fewshot: Mapping[str, int],
) -> dict[str, int]:
    shots: dict[str, int] = {}
    for name in names:  # what a tag names is no group
        if name in fewshot and name not in groups:
            shots |= dict.fromkeys(tasks, fewshot[name])
    larger_first = sorted(groups.values(), key=lambda group: -len(group.get_all_tasks()))
    for group in larger_first:
        if group.name in fewshot:
            shots |= {task.task_name: fewshot[group.name] for task in group.get_all_tasks()}
    return shots | {name: fewshot[name] for name in tasks if name in fewshot}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Progress bars of the harness are not shown."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def _family(name: str) -> Path | None:
    """The harness's folder that a task is likely to be in."""
    parts = name.split("_")
    for length in range(len(parts), 0, -1):
        folder = BUILT_IN / "_".join(parts[:length])
        if folder.is_dir():
            return folder
    return None


def resting_on(names: Sequence[str], index: Index) -> dict[str, Entry] | None:
    """The entries of the names and of all below them; None where one is not in the index."""
    found: dict[str, Entry] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        entry = index.get(name)
        if entry is None:
            return None
        found[name] = entry
        if entry.kind == Kind.TAG:
            waiting += sorted(entry.tags)
        elif entry.kind == Kind.GROUP and entry.yaml_path is not None:
            waiting += _members(load_yaml(entry.yaml_path, resolve_func=False), index)
    return found


def _members(group: Mapping[str, Any], index: Index) -> Iterator[str]:
    listed = group.get("task")
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, str):
            yield item
        elif "group" in item:
            if item["group"] in index:
                yield item["group"]
            else:  # defined there and then, or to be found elsewhere
                yield from _members(item, index) if "task" in item else [item["group"]]
        elif "task" not in item:  # defined there and then, without a name
            continue
        elif item["task"] in index or not {"dataset_path", "class"} & set(item):
            yield item["task"]
