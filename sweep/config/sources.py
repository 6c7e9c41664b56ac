"""Where a study's text names something outside it: study files, data, models and templates."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from sweep.config.checks import Sections
from sweep.config.errors import Problem
from trainer.contract.safe_text import clipped
from trainer.contract.sources import may_be_hub_id
from trainer.contract.spec import UserError, is_template_file

SOURCE_KEYS = (
    "model.base",
    "data.train",
    "data.phases",
    "data.eval",
    "data.template",
    "objective.data",
    "objective.tasks",
)


class NoSuchStudy(UserError):
    """What is named is neither a study file nor a shipped study."""


def _shipped_folder() -> Path:
    return Path(str(files("studies") / "quickstart.yaml")).parent


def find_study(source: str | Path) -> Path:
    """The study file of a path or of a shipped name. NoSuchStudy where there is none."""
    path = _at_home(source)
    if _exists(path) and path.is_file():
        return path
    name = str(source)
    shipped = [each for each, _ in shipped_studies()]
    if name in shipped:
        return _shipped_folder() / f"{name}.yaml"
    close = difflib.get_close_matches(path.stem, shipped, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise NoSuchStudy(
        f"{clipped(name)}: no such study file, and no shipped study{hint}; shipped: "
        f"{', '.join(shipped) or 'none'}"
    )


def shipped_studies() -> list[tuple[str, str]]:
    """The names of the shipped studies, each with its description (the file's first comment
    line)."""
    found: list[tuple[str, str]] = []
    for path in sorted(_shipped_folder().glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        comments = (line.lstrip("# ").rstrip() for line in lines if line.startswith("#"))
        found.append((path.stem, next(comments, "")))
    return found


def is_shipped(file: Path) -> bool:
    """Whether a study file comes with the package."""
    return file.resolve().parent == _shipped_folder().resolve()


def resolve_source(text: str, folder: Path, path: str = "") -> str:
    """A local file or folder as an absolute path, else the text itself where it may be a Hub id.

    `path` is the key it stands at, for the UserError where it is neither.
    """
    local = Path(folder, _at_home(text))
    if _exists(local):
        return str(local.resolve())
    where = f"{path}: " if path else ""
    if not may_be_hub_id(text):
        raise UserError(f"{where}no such file or folder: {clipped(str(local))}")
    return text


def _at_home(text: str | Path) -> Path:
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError):  # ~ of a user that is not there, or cannot be
        return Path(text)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name, or holds a NUL
        return False


def start_from_here(document: dict[str, Any], key: str) -> None:
    """The path, or paths, at `key` are absolute where they are there from the working directory:
    what is typed on the command line starts there, not at the file."""

    def from_here(text: Any) -> Any:
        is_there = isinstance(text, str) and text != "auto" and _exists(_at_home(text))
        return str(_at_home(text).resolve()) if is_there else text

    section, _, name = key.partition(".")
    owner = document[section]
    if not isinstance(owner, dict) or name not in owner:  # a later --set has replaced it
        return
    value = cast("dict[str, Any]", owner)[name]
    if isinstance(value, list):
        owner[name] = [from_here(text) for text in cast("list[Any]", value)]
    else:
        owner[name] = from_here(value)


def missing_sources(sections: Sections, folder: Path) -> Iterator[Problem]:
    """The key path of each source that is plainly a file and is not there, with a sentence on
    it."""
    model, data, objective = sections.model, sections.data, sections.objective
    sources = {
        "model.base": model and model.base,
        "data.train": data and data.train,
        **{f"data.phases[{i}]": text for i, text in enumerate(data.phases if data else ())},
        "data.eval": data and data.eval,
        "data.template": data.template if data and is_template_file(data.template) else None,
        "objective.data": objective and objective.data,
        "objective.tasks": objective and objective.tasks,
    }
    for key, text in sources.items():
        if text is not None:
            try:
                resolve_source(text, folder)
            except UserError as error:
                yield key, str(error)
