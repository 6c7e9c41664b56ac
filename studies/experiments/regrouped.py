"""Recorded groups of one workload put together, as in a sweep over their optimizers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from predictor.recorded.runs import RecordedRun, RecordedStudy


def regrouped(studies: Sequence[RecordedStudy], draws: int) -> list[RecordedStudy]:
    """Nearer to a real sweep: per workload with two groups or more, all their runs in one study cut
    at the smallest horizon, one seed drawn for each configuration, `draws` times.

    The group stands in the configuration as `recipe`, without its workload: optimizers differ.
    Groups whose positions or objectives are of different kinds are not put together.
    """
    pooled: dict[tuple[str, bool, bool, str, str], list[RecordedStudy]] = {}
    for study in studies:
        positions = study.in_samples, study.knows_batches
        kind = study.workload, *positions, study.metric, study.direction
        pooled.setdefault(kind, []).append(study)
    found: list[RecordedStudy] = []
    for (workload, *_), members in pooled.items():
        if len(members) < 2:
            continue
        horizon = min(run.horizon for member in members for run in member.runs)
        windows = {member.recorded_window for member in members}
        window = windows.pop() if len(windows) == 1 else None
        points: dict[str, list[RecordedRun]] = {}
        for member in members:
            for run in member.runs:
                key = member.name + json.dumps(dict(run.config), sort_keys=True)
                points.setdefault(key, []).append(_cut(run, horizon, member.name))
        for draw in range(draws):
            rng = np.random.default_rng([draw, len(points)])
            chosen = tuple(seeds[int(rng.integers(len(seeds)))] for seeds in points.values())
            name = f"{workload} draw {draw}"
            found.append(replace(members[0], name=name, runs=chosen, recorded_window=window))
    return found


def _cut(run: RecordedRun, horizon: float, group: str) -> RecordedRun:
    """The run as it would have been with that horizon, named and configured as of its group."""
    recipe = "/".join(group.split("/")[1:]) or group
    named = replace(run, name=f"{group}: {run.name}", config={**run.config, "recipe": recipe})
    if run.horizon == horizon:
        return named
    evals = run.evals[run.evals[:, 0] <= horizon]
    cost = run.cost * horizon / run.horizon
    cut = replace(named, horizon=horizon, evals=evals, cost=cost, objective=None)
    if not _passes(run, horizon):
        return cut
    objective = float(evals[-1, 1]) if len(evals) else None
    return replace(cut, objective=objective, state="completed", pruned_by=None)


def _passes(run: RecordedRun, position: float) -> bool:
    """Whether it was still in training there: at the very step where a guard ends it, it is not."""
    if run.state == "completed":
        return True
    return len(run.curve.position) > 0 and float(run.curve.position[-1]) > position
