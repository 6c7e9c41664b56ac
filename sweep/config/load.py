"""From a study file to a checked study, each value with its origin. `study.py` has the keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from predictor.types import UNSAID_MODE
from sweep.config.budget import window_samples
from sweep.config.changes import MODE, stored_mode
from sweep.config.checks import Sections, disagreements, leaves, lookup
from sweep.config.errors import MOST_PROBLEMS, Problem, complaints
from sweep.config.objective import Objective
from sweep.config.pruning import Pruning
from sweep.config.sources import SOURCE_KEYS, find_study, missing_sources, start_from_here
from sweep.config.study import Budget, Data, Model, Run, Search, Study
from sweep.config.yaml_text import as_mapping, override, put, read_mapping
from trainer.contract.safe_text import clipped
from trainer.contract.spec import UserError

Origin = Literal["file", "default", "--set", "as begun"]

_SECTIONS: dict[str, type[BaseModel]] = {
    "model": Model,
    "data": Data,
    "search": Search,
    "objective": Objective,
    "pruning": Pruning,
    "run": Run,
    "budget": Budget,
}


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    """A checked study, and where each of its values comes from."""

    study: Study
    origins: dict[str, Origin]  # key path -> where its value comes from
    folder: Path  # the study file's: relative paths start here
    source: str  # the file or the shipped name, as it was asked for


def load_study(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] | Mapping[str, Any] = ()
) -> LoadedStudy:
    """The checked study. `source` is a YAML file, a shipped study's name, or a mapping of a study
    file's keys, whose paths start at the working directory; `overrides` are key.path=value, or
    values by their key.path.

    UserError with a line for each problem found.
    """
    if isinstance(source, Mapping):
        folder, name = Path.cwd(), "a dictionary"
        document = as_mapping(source)
        if not document:
            raise UserError("a study is a mapping of keys, as name, model, data, search")
    else:
        _check_names_study(source)
        path = find_study(source)
        folder, name = path.parent.absolute(), str(source)
        document = read_mapping(path)
    if isinstance(overrides, Mapping):
        overridden = list(overrides)
        for key, value in as_mapping(overrides).items():
            put(document, key, value)
    else:
        overridden = [override(document, text) for text in overrides]
    for key in set(overridden) & set(SOURCE_KEYS):
        start_from_here(document, key)
    study, problems = _validate(document, folder)
    if problems or study is None:
        lines = [f"{key}: {text}" for key, text in problems[: 2 * MOST_PROBLEMS]]
        if len(problems) > len(lines):
            lines.append(f"and {len(problems) - len(lines):,} more problems")
        raise UserError("\n".join(lines))
    if study.budget is not None and study.budget.samples is not None:
        window_samples(study, num_rows=0)  # no need to read the data first
    return LoadedStudy(study, _origins(study, document, overridden), folder, name)


def as_begun(loaded: LoadedStudy, stored: Mapping[str, Any]) -> LoadedStudy:
    """The study in the mode that it was begun in, by its `stored` document, where neither its file
    nor --set names one. UserError where that does not go with run.trials auto."""
    mode, pruning = stored_mode(stored), loaded.study.pruning
    if loaded.origins[MODE] != "default" or mode == pruning.settings().mode:
        return loaded
    if mode == UNSAID_MODE and loaded.study.run.trials == "auto":
        raise UserError(
            f"run.trials: auto counts scouts, and this study was begun with {MODE} {mode}: give "
            f"how many trials there are, or {MODE} scout"
        )
    study = loaded.study.model_copy(update={"pruning": pruning.model_copy(update={"mode": mode})})
    return replace(loaded, study=study, origins={**loaded.origins, MODE: "as begun"})


def _check_names_study(source: object) -> None:
    """A caller of the API may hand over anything."""
    if not isinstance(source, str | Path):
        raise UserError(
            "a study is named by its file or a shipped name, or is a dictionary of keys; "
            f"{clipped(repr(source))} is none of these"
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
    problems += [*disagreements(sections, document), *missing_sources(sections, folder)]
    return study, problems


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
