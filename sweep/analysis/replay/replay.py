"""`sweep replay`: what other settings, and other pruners, would have done on recorded runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from predictor.recorded.runs import RecordedStudy
from predictor.replay.asha import Asha
from predictor.replay.comparison import (
    Floats,
    Row,
    bootstrap_interval,
    group_values,
    replay_all,
    summarised,
)
from predictor.replay.policies import Fewer, WindowSetting, baselines
from predictor.replay.product import product
from predictor.replay.replay import Policy, Replay, floor, replayable
from predictor.types import Mode, Settings
from sweep.analysis.options import BadOption, check_at_least
from sweep.analysis.recorded.sample import sample
from sweep.analysis.recorded.sources import named, read_sources
from sweep.analysis.replay.report import (
    OTHER_MODE,
    OURS,
    UNAUDITED,
    Group,
    GroupResult,
    Measures,
    PolicyGain,
    PolicyResult,
    ReplayReport,
)
from sweep.analysis.replay.settings import read_settings
from sweep.analysis.replay.verdict import cautions, verdict
from sweep.report.console import progress_bar
from trainer.contract.spec import UserError

LEAST_POINTS = 4


def replay(
    *sources: str | Path,
    settings: Mapping[str, object] | None = None,
    against: Literal["none", "all"] = "none",
    workers: int = 1,
    orders: int = 5,
    points: int = 20,
    seed: int = 0,
    max_runs: int = 500,
) -> ReplayReport:
    """What our policy, and others, would have trained and lost on the runs in `sources`.

    `sources`: studies (a name below ./runs, a folder, URL#NAME), exports and recorded sets.
    `settings`: other values of the study file's `pruning` keys, as {"risk": 0.2}; the window is as
    recorded unless it is named. `against`: "all" adds every baseline, Optuna's pruners among them,
    which look at `points` points of each curve. Each group is replayed in `orders` shuffled orders
    with `workers` trials side by side; of one with more than `max_runs` runs a sample of so many.
    Takes seconds to minutes, with a progress bar where standard error is a terminal.

    UserError where no source is named or one cannot be read, an option or a setting is out of
    range, or no run was trained to its end.
    """
    texts = named(sources)
    check_at_least(1, workers=workers, orders=orders)
    check_at_least(0, seed=seed)
    check_at_least(LEAST_POINTS, points=points)
    if against not in ("none", "all"):
        raise BadOption("against", f": is {against!r}; must be none or all")
    pruning, window = read_settings(settings or {})
    num_points = points if against == "all" else None
    policies = policies_of(pruning, window, num_points)
    whole = read_sources(texts)
    studies, samples = sample(whole, max_runs, seed)
    studies, without_end = _replayable(studies)
    replays = _with_progress(studies, policies, pruning, orders, workers, seed)
    shown = {policy.name: policy.settings for policy in policies}
    groups = [_group(study, pruning, window) for study in studies]
    report = ReplayReport(
        policies=tuple(
            PolicyResult(
                **_measures(row), name=row.policy, settings=shown[row.policy], groups=row.groups
            )
            for row in summarised(replays)
        ),
        per_group=tuple(_per_group(studies, replays)),
        groups=tuple(groups),
        groups_without_end=tuple(without_end),
        gains=tuple(_gains(replays)),
        floor=float(np.mean([group.floor for group in groups])),
        settings=shown[OURS],
        orders=orders,
        workers=workers,
        points=num_points,
        seed=seed,
        samples=tuple(samples),
    )
    return replace(
        report,
        verdict=tuple(verdict(report)),
        cautions=(*(one.text for one in samples), *cautions(groups)),
    )


def policies_of(settings: Settings, window: WindowSetting, num_points: int | None) -> list[Policy]:
    """The policies to be replayed: ours, ours without audits, and keep all; with `num_points` also
    ours in the other mode, without audits, and every baseline."""
    unaudited = replace(settings, audit=0.0)
    own: list[Policy] = [
        product(settings, window, OURS),
        product(unaudited, window, UNAUDITED),
    ]
    if num_points is None:
        return [*own, Fewer(1.0)]
    from sweep.analysis.replay.optuna_policies import at_looks, optuna_policies

    other: Mode = "stream" if settings.scouts else "scout"
    own.append(product(replace(unaudited, mode=other), window, OTHER_MODE[other]))
    halving = [Asha(eta, window, settings.looks) for eta in (2, 3)]
    looking = at_looks(window, settings.looks)
    return [*own, *baselines(window), *halving, *optuna_policies(num_points), *looking]


def _measures(row: Row) -> dict[str, Any]:
    """The row by the fields of Measures."""
    compute_low, compute_high = row.compute_interval or (None, None)
    regret_low, regret_high = row.regret_interval or (None, None)
    ends = {"compute_low": compute_low, "compute_high": compute_high}
    ends |= {"regret_low": regret_low, "regret_high": regret_high}
    names = (field.name for field in fields(Measures))
    return {name: ends[name] if name in ends else getattr(row, name) for name in names}


def _group(study: RecordedStudy, settings: Settings, window: WindowSetting) -> Group:
    kept = replayable(study)
    close, horizon = window.close(study), min(run.horizon for run in kept.runs)
    return Group(
        group=study.name,
        workload=study.workload,
        runs=len(kept.runs),
        finished=sum(run.is_finished for run in kept.runs),
        guarded=sum(not run.is_finished for run in kept.runs),
        left_out=len(study.runs) - len(kept.runs),
        window=close,
        windows=sum(trial.window is not None for trial in kept.trials(close)),
        evaluations=float(np.median([len(run.evals) for run in kept.runs])),
        floor=floor(len(kept.runs), num_full(settings), min(1.0, close / horizon)),
    )


def num_full(settings: Settings) -> int:
    """How many runs our policy trains to their end at least."""
    return 1 if settings.scouts else settings.startup


def _per_group(studies: Sequence[RecordedStudy], replays: Sequence[Replay]) -> list[GroupResult]:
    workloads = {study.name: study.workload for study in studies}
    parts: dict[tuple[str, str], list[Replay]] = {}
    for one in replays:
        parts.setdefault((one.study, one.policy), []).append(one)
    return [
        GroupResult(
            **_measures(summarised(own)[0]),
            group=group,
            workload=workloads[group],
            policy=policy,
        )
        for (group, policy), own in parts.items()
    ]


def _gains(replays: Sequence[Replay]) -> list[PolicyGain]:
    """Of each other policy what it takes more than ours, paired, with 95 % intervals."""
    names = list(dict.fromkeys(one.policy for one in replays))
    compute = group_values(replays, lambda one: one.compute)
    regret = group_values(replays, lambda one: one.regret)
    own = names.index(OURS)
    saved, gained = compute - compute[own], regret - regret[own]
    (saved_low, saved_high), (gained_low, gained_high) = _intervals(saved), _intervals(gained)
    return [
        PolicyGain(
            over=name,
            compute=float(saved[i].mean()),
            compute_low=saved_low[i],
            compute_high=saved_high[i],
            regret=float(gained[i].mean()),
            regret_low=gained_low[i],
            regret_high=gained_high[i],
        )
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
