"""Several recorded tables as one, their groups kept: for `sweep export`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from predictor.recorded.columns import RUNS
from trainer.contract.spec import UserError

SLACK = 1.25  # of where runs end: a budget in samples is rounded up to whole batches

_Frame = Any  # pandas has no stubs


@dataclass(frozen=True, slots=True)
class Part:
    """Tables as predictor.recorded.frames reads them. `name` is what the user called them."""

    name: str
    runs: _Frame
    steps: _Frame


def merged(parts: Sequence[Part]) -> Part:
    """All runs and steps under new keys. A part alone stays as it is.

    Groups of one name become one group if their workload, metric, direction, early window and
    lengths agree: what else a study asks, such as the content of its data, the tables do not say.
    Names that two studies of a group both have are told apart (`demo#2/0`). UserError where groups
    do not fit, hold the same study, or where one part counts samples and another only steps.
    """
    if len(parts) == 1:
        return parts[0]
    _refuse_other_positions(parts)
    runs: list[_Frame] = []
    steps: list[_Frame] = []
    groups: dict[str, list[Part]] = {}
    num_runs = 0
    for part in parts:
        own, own_steps = _named(part.runs), part.steps.copy()
        keys = {run: num_runs + i for i, run in enumerate(own["run"])}
        num_runs += len(keys)
        own_steps = own_steps[own_steps["run"].isin(keys)]
        own_steps["run"] = own_steps["run"].map(keys).astype("int64")
        own["run"] = own["run"].map(keys).astype("int64")
        for group in dict.fromkeys(own["group"]):
            _join(own, group, part.name, groups.setdefault(group, []))
        runs.append(own)
        steps.append(own_steps)
    whole, rows = _concatenated(runs), _concatenated(steps)
    if "phase" in rows.columns:  # a part without the column was not in phases
        rows["phase"] = rows["phase"].fillna(0).astype("int64")
    if "samples" not in rows.columns and "horizon_samples" in whole.columns:
        whole = whole.drop(columns="horizon_samples")  # not known of every run, and of no use
    return Part(", ".join(part.name for part in parts), whole, rows)


def _refuse_other_positions(parts: Sequence[Part]) -> None:
    in_samples = [part.name for part in parts if "samples" in part.steps.columns]
    in_steps = [part.name for part in parts if part.name not in in_samples]
    if in_samples and in_steps:
        raise UserError(
            f"{in_samples[0]} counts samples and {in_steps[0]} only steps, so no table can hold "
            "both; export them one by one"
        )


def _named(runs: _Frame) -> _Frame:
    """Every run with its name, texts as texts: a set from elsewhere may have numbers there."""
    runs = runs.copy()
    if "name" not in runs.columns:
        runs["name"] = None
    runs["name"] = runs["name"].astype(object).where(runs["name"].notna(), runs["run"].astype(str))
    for name in runs.columns:
        if name in RUNS and RUNS[name].type == "str":
            runs[name] = runs[name].astype("str")
    return runs


def _join(runs: _Frame, group: str, name: str, others: list[Part]) -> None:
    """Give the rows of the group names that `others` do not have, and put them beside those."""
    chosen = runs["group"] == group
    for other in others:
        _refuse_misfit(group, other, Part(name, runs[chosen], None))
    taken = {run for other in others for run in other.runs["name"]}
    names: list[str] = runs.loc[chosen, "name"].tolist()
    number = 1
    while taken & {_labelled(old, number) for old in names}:
        number += 1
    for column in {"name", "confirms"} & set(runs.columns):
        cells = chosen & runs[column].notna()
        runs.loc[cells, column] = [_labelled(old, number) for old in runs.loc[cells, column]]
    others.append(Part(name, runs[chosen], None))


def _labelled(name: str, number: int) -> str:
    """`demo/0` as `demo#2/0`; 1 is not written."""
    if number == 1:
        return name
    label, slash, run = name.rpartition("/")
    return f"{label}#{number}/{run}" if slash else f"{name}#{number}"


def _refuse_misfit(group: str, one: Part, other: Part) -> None:
    where = f"group {group!r} of {one.name} and that of {other.name}"
    here, there = _asked(one.runs), _asked(other.runs)
    for key in here.keys() & there.keys():
        if here[key] != there[key]:
            raise UserError(
                f"{where} do not fit together: {key} is {here[key]} and {there[key]}; export them "
                "one by one"
            )
    (low, high), (other_low, other_high) = _lengths(one.runs), _lengths(other.runs)
    if low > SLACK * other_high or other_low > SLACK * high:
        raise UserError(
            f"{where} do not fit together: their runs end at {low:g} to {high:g} and at "
            f"{other_low:g} to {other_high:g}; export them one by one"
        )
    made, other_made = (_created(part.runs) for part in (one, other))
    both = set(one.runs["name"]) & set(other.runs["name"])
    if made & other_made or (both and not (made and other_made)):
        raise UserError(f"{where} hold the same runs; name one of these two")


def _asked(runs: _Frame) -> dict[str, Any]:
    """What may not differ in one group, as far as it is known; see `predictor.recorded.frames` for
    what is taken where metric and direction are not there."""
    first = runs.iloc[0]
    found: dict[str, Any] = {"workload": repr(first["workload"])}
    for name, default in (("metric", "eval_loss"), ("direction", "minimize")):
        value = first.get(name)
        found[name] = value if isinstance(value, str) and value else default
    if "window_samples" in runs.columns and runs["window_samples"].notna().any():
        found["the early window, in samples,"] = f"{runs['window_samples'].mode()[0]:g}"
    return found


def _lengths(runs: _Frame) -> tuple[float, float]:
    column = "horizon_samples" if "horizon_samples" in runs.columns else "horizon_step"
    return float(runs[column].min()), float(runs[column].max())


def _created(runs: _Frame) -> set[float]:
    """When the group's studies were made, which tells a study from others of its name."""
    return set(runs["created_s"].dropna()) if "created_s" in runs.columns else set()


def _concatenated(frames: Sequence[_Frame]) -> _Frame:
    """Raise UserError for a column that is of two kinds, which no file could hold."""
    pandas: Any = pd
    whole = pandas.concat([_without_truth_values(frame) for frame in frames], ignore_index=True)
    whole = whole.reindex(columns=dict.fromkeys(name for frame in frames for name in frame.columns))
    for name in whole.columns:
        if whole[name].dtype == object and len(set(map(_kind, whole[name].dropna()))) > 1:
            raise UserError(
                f"column {name!r} is numbers in one of the sets and texts in another; export them "
                "one by one"
            )
    return whole


def _without_truth_values(frame: _Frame) -> _Frame:
    """0 and 1, as a column of numbers in another set has them. Empty columns are left out."""
    truth = {name: "float64" for name in frame.columns if frame[name].dtype.kind == "b"}
    return frame.astype(truth).dropna(axis="columns", how="all")


def _kind(value: object) -> type:
    return str if isinstance(value, str) else bool if isinstance(value, bool) else float
