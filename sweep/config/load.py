"""From a study file to a checked study, each value with its origin. `study.py` has the keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ValidationError

from sweep.config.budget import window_samples
from sweep.config.checks import Sections, disagreements, lookup, not_yet
from sweep.config.errors import MOST_PROBLEMS, Problem, complaints, show
from sweep.config.study import Budget, Data, Model, Objective, Pruning, Run, Search, Study
from sweep.config.yaml_text import override, read_mapping
from trainer.contract.safe_text import clipped
from trainer.contract.spec import UserError, is_template_file

__all__ = ["LoadedStudy", "Study", "differences", "load_study", "resolve_source", "shipped_studies"]

Origin = Literal["file", "default", "--set"]

_SECTIONS: dict[str, type[BaseModel]] = {
    "model": Model,
    "data": Data,
    "search": Search,
    "objective": Objective,
    "pruning": Pruning,
    "run": Run,
    "budget": Budget,
}
_MAY_CHANGE = (
    "run.trials",
    "run.workers",
    "run.retries",
    "run.confirm",
    "run.max_hours",
    "run.keep",
    "run.silence_minutes",
    "run.grace_s",
    "run.wait_minutes",
    "run.storage",
    "run.checkpoints",
    "run.processes_per_trial",
    "model.parallel",  # goes with the one before; but for fsdp, whose checkpoints are its own
    "pruning",
)
_SOURCE_KEYS = (
    "model.base",
    "data.train",
    "data.phases",
    "data.eval",
    "data.template",
    "objective.data",
)
_FILE_SUFFIXES = frozenset(
    (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".txt", ".gz", ".zst", ".jinja")
)


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    study: Study
    origins: dict[str, Origin]  # key path -> where its value comes from
    folder: Path  # the study file's: relative paths start here
    source: str  # the file or the shipped name, as it was asked for


def load_study(source: str | Path, overrides: Sequence[str] = ()) -> LoadedStudy:
    """`source` is a YAML file or a shipped study's name; `overrides` are key.path=value.

    UserError with a line for each problem found.
    """
    path = _find(source)
    document = read_mapping(path)
    overridden = [override(document, text) for text in overrides]
    for key in set(overridden) & set(_SOURCE_KEYS):
        _from_here(document, key)
    folder = path.parent.absolute()
    study, problems = _validate(document, folder)
    problems += [each for each in not_yet(document) if each[0] not in dict(problems)]
    if problems or study is None:
        lines = [f"{key}: {text}" for key, text in problems[: 2 * MOST_PROBLEMS]]
        if len(problems) > len(lines):
            lines.append(f"and {len(problems) - len(lines):,} more problems")
        raise UserError("\n".join(lines))
    if study.budget is not None and study.budget.samples is not None:
        window_samples(study, num_rows=0)  # no need to read the data first
    return LoadedStudy(study, _origins(study, document, overridden), folder, str(source))


def _from_here(document: dict[str, Any], key: str) -> None:
    """A path typed on the command line starts at the working directory, not at the file."""

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


def shipped_studies() -> list[tuple[str, str]]:
    """Name and description (the file's first comment line) of each, by name."""
    found: list[tuple[str, str]] = []
    for path in sorted(_shipped_folder().glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        comments = (line.lstrip("# ").rstrip() for line in lines if line.startswith("#"))
        found.append((path.stem, next(comments, "")))
    return found


def is_shipped(file: Path) -> bool:
    return file.resolve().parent == _shipped_folder().resolve()


def resolve_source(text: str, folder: Path, path: str = "") -> str:
    """A local file or folder as an absolute path, else the text itself where it may be a Hub id.

    `path` is the key it stands at, for the UserError where it is neither.
    """
    local = Path(folder, _at_home(text))
    if _exists(local):
        return str(local.resolve())
    where = f"{path}: " if path else ""
    is_path = text.startswith(("./", "../", "/", "~")) or Path(text).suffix in _FILE_SUFFIXES
    if is_path or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?(:[^/]+)?", text):
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


def differences(stored: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Between two `Study.to_document`s: what makes another study of it, and what may change."""
    refused: list[str] = []
    allowed: list[str] = []
    for path, was, now in _changes(_completed(stored), new, ""):
        may_change = any(path == key or path.startswith(f"{key}.") for key in _MAY_CHANGE)
        may_change &= path != "model.parallel" or "fsdp" not in (was, now)
        (allowed if may_change else refused).append(f"{path}: was {was}, is {now}")
    return refused, allowed


def _completed(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the defaults of the keys that came after the version which stored it."""
    try:
        return Study.model_validate(stored).to_document()
    except ValidationError:
        return stored


def _changes(
    stored: Mapping[str, Any], new: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str, str]]:
    for key in dict.fromkeys((*stored, *new)):
        was, now = stored.get(key), new.get(key)
        if isinstance(was, Mapping) and isinstance(now, Mapping) and set(was) & set(now):  # pyright: ignore[reportUnknownArgumentType]
            inner = cast("tuple[Mapping[str, Any], Mapping[str, Any]]", (was, now))
            yield from _changes(*inner, f"{prefix}{key}.")
        elif was != now or (was is None) != (now is None):
            yield f"{prefix}{key}", _shown(stored, key), _shown(new, key)


def _shown(document: Mapping[str, Any], key: str) -> str:
    return show(document[key]) if key in document else "not given"


def _shipped_folder() -> Path:
    return Path(str(files("studies") / "quickstart.yaml")).parent


def _find(source: str | Path) -> Path:
    path = _at_home(source)
    if _exists(path) and path.is_file():
        return path
    name = str(source)
    shipped = [each for each, _ in shipped_studies()]
    if name in shipped:
        return _shipped_folder() / f"{name}.yaml"
    close = difflib.get_close_matches(path.stem, shipped, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise UserError(
        f"{clipped(name)}: no such study file, and no shipped study{hint}; shipped: "
        f"{', '.join(shipped) or 'none'}"
    )


def _validate(document: Mapping[str, Any], folder: Path) -> tuple[Study | None, list[Problem]]:
    """All that is wrong with the keys, and with how they go together as far as that can be told."""
    study: Study | None = None
    problems: list[Problem] = []
    try:
        study = Study.model_validate(document)
    except ValidationError as error:
        problems = complaints(error, Study)
    right: dict[str, Any] = {}
    for name, section in _SECTIONS.items():
        try:
            right[name] = section.model_validate(document.get(name, {}))
        except ValidationError:
            right[name] = None
    sections = Sections(**right)
    problems += [*disagreements(sections, document), *_missing_sources(sections, folder)]
    return study, problems


def _missing_sources(sections: Sections, folder: Path) -> Iterator[Problem]:
    model, data, objective = sections.model, sections.data, sections.objective
    sources = {
        "model.base": model and model.base,
        "data.train": data and data.train,
        **{f"data.phases[{i}]": text for i, text in enumerate(data.phases if data else ())},
        "data.eval": data and data.eval,
        "data.template": data.template if data and is_template_file(data.template) else None,
        "objective.data": objective and objective.data,
    }
    for key, text in sources.items():
        if text is not None:
            try:
                resolve_source(text, folder)
            except UserError as error:
                yield key, str(error)


def _origins(
    study: Study, document: Mapping[str, Any], overridden: Sequence[str]
) -> dict[str, Origin]:
    def origin(path: str) -> Origin:
        *parents, last = path.split(".")
        owner = lookup(document, ".".join(parents)) if parents else document
        if not isinstance(owner, Mapping) or last not in owner:
            return "default"
        is_set = any(path == key or path.startswith(f"{key}.") for key in overridden)
        return "--set" if is_set else "file"

    return {path: origin(path) for path, _ in leaves(study.to_document())}


def leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key path and value of everything that is not a mapping itself."""
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
