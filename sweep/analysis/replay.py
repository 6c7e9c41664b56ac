"""`sweep replay`: what other settings, and other pruners, would have done on recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import ValidationError

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import (
    Floats,
    Row,
    bootstrap_interval,
    group_values,
    replay_all,
    summarised,
)
from predictor.replay.policies import REPLAYED, Fewer, Window, baselines, ours
from predictor.replay.replay import Policy, Replay, floor, replayable
from predictor.types import Settings
from sweep.analysis.figures import check_figure, draw_replay
from sweep.analysis.replay_text import cautions, print_replay, verdict
from sweep.analysis.sample import sample, sample_part
from sweep.analysis.sources import read_sources
from sweep.config.edit import SECTION
from sweep.config.errors import complaints
from sweep.config.study import Pruning
from sweep.config.yaml_text import override
from sweep.report.console import progress_bar
from trainer.contract.spec import UserError
from trainer.contract.streams import finite, print_json

OURS = "sft-sweep"
UNAUDITED = f"{OURS}, audit 0"
LEAST_POINTS = 4
WINDOW_KEYS = ("window", "min_steps")


def show_replay(
    texts: Sequence[str],
    settings: Sequence[str],
    *,
    against_all: bool,
    num_workers: int,
    num_orders: int,
    num_points: int,
    seed: int,
    max_runs: int,
    figure: Path | None,
    as_json: bool,
) -> int:
    """Print the comparison; UserError for a source that cannot be read or an option out of range.

    `settings`: KEY=VALUE of `pruning`'s keys. `max_runs`: of each group.
    """
    least = {"workers": (num_workers, 1), "orders": (num_orders, 1), "seed": (seed, 0)}
    least["points"] = (num_points, LEAST_POINTS)
    for name, (value, smallest) in least.items():
        if value < smallest:
            raise UserError(f"--{name}: is {value}; must be at least {smallest}")
    if figure is not None:
        check_figure(figure)
    pruning, window = read_settings(settings)
    policies = policies_of(pruning, window, num_points if against_all else None)
    studies, samples = sample(read_sources(texts), max_runs, seed)
    studies, without_end = _replayable(studies)
    replays = _with_progress(studies, policies, pruning, num_orders, num_workers, seed)
    document = replay_document(studies, policies, replays, pruning, window)
    document |= {
        "orders": num_orders,
        "workers": num_workers,
        "points": num_points if against_all else None,
        "seed": seed,
        "groups_without_end": without_end,
        "samples": sample_part(samples),
    }
    document["verdict"] = verdict(document)
    document["cautions"] = [*(one.text for one in samples), *cautions(document)]
    if as_json:
        print_json(document)
    else:
        print_replay(document)
    if figure is not None:
        draw_replay(document, figure)
    return 0


def read_settings(texts: Sequence[str]) -> tuple[Settings, Window]:
    """What `--set` makes of the defaults, `texts` being KEY=VALUE; UserError names what is wrong.

    The window is as recorded where neither of its keys is given.
    """
    given: dict[str, Any] = {}
    for text in texts:
        key = override(given, text.removeprefix(f"{SECTION}."))
        if key not in (*WINDOW_KEYS, *REPLAYED):
            allowed = ", ".join((*WINDOW_KEYS, *REPLAYED))
            raise UserError(f"--set {key}: no setting of a replay; there are {allowed}")
    try:
        pruning = Pruning.model_validate(given)
    except ValidationError as error:
        path, problem = complaints(error, Pruning)[0]
        raise UserError(f"--set {path}: {problem}") from None
    window = Window(
        pruning.window if "window" in given else None,
        pruning.min_steps if "min_steps" in given else None,
    )
    return pruning.settings(), window


def policies_of(settings: Settings, window: Window, num_points: int | None) -> list[Policy]:
    """Ours, ours without audits, and keep all; with `num_points` every baseline."""
    own: list[Policy] = [
        ours(settings, window, OURS),
        ours(replace(settings, audit=0.0), window, UNAUDITED),
    ]
    if num_points is None:
        return [*own, Fewer(1.0)]
    from sweep.analysis.optuna_policies import optuna_policies

    return [*own, *baselines(window), *optuna_policies(num_points)]


def replay_document(
    studies: Sequence[RecordedStudy],
    policies: Sequence[Policy],
    replays: Sequence[Replay],
    settings: Settings,
    window: Window,
) -> dict[str, Any]:
    """JSON values. Compute is a share of running everything to its end; regrets are shares of
    median - best."""
    rows = summarised(replays)
    shown = {policy.name: policy.settings for policy in policies}
    groups = [_group(study, settings, window) for study in studies]
    document: dict[str, Any] = {
        "policies": [
            {"name": row.policy, "settings": dict(shown[row.policy]), **_row(row)} for row in rows
        ],
        "per_group": _per_group(studies, replays),
        "groups": groups,
        "floor": float(np.mean([group["floor"] for group in groups])),
        "gains": _gains(replays),
        "settings": dict(shown[OURS]),
    }
    return cast(dict[str, Any], finite(document))


def _row(row: Row) -> dict[str, Any]:
    values = asdict(row)
    del values["policy"]
    for name in ("compute", "regret"):
        interval = values.pop(f"{name}_interval") or (None, None)
        values |= dict(zip((f"{name}_low", f"{name}_high"), interval, strict=True))
    return values


def _group(study: RecordedStudy, settings: Settings, window: Window) -> dict[str, Any]:
    kept = replayable(study)
    close, horizon = window.close(study), min(run.horizon for run in kept.runs)
    return {
        "group": study.name,
        "workload": study.workload,
        "runs": len(kept.runs),
        "finished": sum(run.is_finished for run in kept.runs),
        "guarded": sum(not run.is_finished for run in kept.runs),
        "left_out": len(study.runs) - len(kept.runs),
        "window": close,
        "windows": sum(trial.window is not None for trial in kept.trials(close)),  # of the runs
        "evaluations": float(np.median([len(run.evals) for run in kept.runs])),  # of a run
        "floor": floor(len(kept.runs), settings.startup, min(1.0, close / horizon)),
    }


def _per_group(studies: Sequence[RecordedStudy], replays: Sequence[Replay]) -> list[dict[str, Any]]:
    workloads = {study.name: study.workload for study in studies}
    parts: dict[tuple[str, str], list[Replay]] = {}
    for one in replays:
        parts.setdefault((one.study, one.policy), []).append(one)
    found: list[dict[str, Any]] = []
    for (group, _), own in parts.items():
        values = _row(summarised(own)[0])
        del values["groups"]
        policy = own[0].policy
        found.append({"group": group, "workload": workloads[group], "policy": policy, **values})
    return found


def _gains(replays: Sequence[Replay]) -> list[dict[str, Any]]:
    """Of each other policy what it takes more than ours, paired, with 95 % intervals."""
    names = list(dict.fromkeys(one.policy for one in replays))
    compute = group_values(replays, lambda one: one.compute)
    regret = group_values(replays, lambda one: one.regret)
    own = names.index(OURS)
    saved, gained = compute - compute[own], regret - regret[own]
    (saved_low, saved_high), (gained_low, gained_high) = _intervals(saved), _intervals(gained)
    return [
        {
            "over": name,
            "compute": float(saved[i].mean()),
            "compute_low": saved_low[i],
            "compute_high": saved_high[i],
            "regret": float(gained[i].mean()),
            "regret_low": gained_low[i],
            "regret_high": gained_high[i],
        }
        for i, name in enumerate(names)
        if i != own
    ]


def _intervals(values: Floats) -> tuple[Sequence[float | None], Sequence[float | None]]:
    """As bootstrap_interval."""
    nothing = [None] * len(values)
    return bootstrap_interval(values) or (nothing, nothing)


def _replayable(studies: Sequence[RecordedStudy]) -> tuple[list[RecordedStudy], list[str]]:
    """As they are, and the names of those of which no run was trained to its end."""
    found: list[RecordedStudy] = []
    without: list[str] = []
    for study in studies:
        has_end = any(run.is_finished for run in study.runs)
        found += [study] if has_end else []
        without += [] if has_end else [study.name]
    if not found:
        raise UserError(
            f"nothing to replay: no run of {', '.join(without)} was trained to its end with an "
            "objective"
        )
    return found, without


def _with_progress(
    studies: Sequence[RecordedStudy],
    policies: Sequence[Policy],
    settings: Settings,
    num_orders: int,
    num_workers: int,
    seed: int,
) -> list[Replay]:
    with progress_bar("replaying", len(studies) * num_orders) as bar:
        return replay_all(
            [replayable(study) for study in studies],
            policies,
            num_orders=num_orders,
            seed=seed,
            num_workers=num_workers,
            min_gain=settings.min_gain,
            on_done=bar.advance,
        )
