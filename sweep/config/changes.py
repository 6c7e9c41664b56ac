"""What may change in a study that goes on, and what would make another study of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import ValidationError

from predictor.types import UNSAID_MODE
from sweep.config.checks import lookup
from sweep.config.errors import show
from sweep.config.study import Study

MAY_CHANGE = (
    "run.trials",
    "run.workers",
    "run.retries",
    "run.confirm",
    "run.max_hours",
    "run.keep",
    "run.parked_gb",
    "run.silence_minutes",
    "run.grace_s",
    "run.wait_minutes",
    "run.storage",
    "run.report_to",
    "run.checkpoints",
    "run.processes_per_trial",
    "model.parallel",  # goes with the one before; but for fsdp, whose checkpoints are its own
    "pruning",
    "objective.early",
    "objective.final",
    "objective.top",
    "objective.judge",
)


MODE = "pruning.mode"


def stored_mode(stored: Mapping[str, Any]) -> Any:
    """`pruning.mode` of a stored document, which earlier versions did not know."""
    return lookup(stored, MODE) or UNSAID_MODE


def differences(stored: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What makes another study of it, and what may change: `path: was X, is Y`, between two
    documents of `Study.to_document`."""
    refused: list[str] = []
    allowed: list[str] = []
    for path, was, now in _changes(_completed(stored), new, ""):
        may_change = any(path == key or path.startswith(f"{key}.") for key in MAY_CHANGE)
        may_change &= path != "model.parallel" or "fsdp" not in (was, now)
        (allowed if may_change else refused).append(f"{path}: was {was}, is {now}")
    return refused, allowed


def _completed(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what stands for the keys that came after the version which stored it."""
    pruning: Mapping[str, Any] = {"mode": stored_mode(stored), **stored.get("pruning", {})}
    try:
        return Study.model_validate({**stored, "pruning": pruning}).to_document()
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
