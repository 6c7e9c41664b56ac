"""Replays of recorded runs.

`python -m studies.experiments.replay_recorded STEM [--draws 20] [--orders 10]`.

STEM: a recorded set, export or study, as `sweep replay` takes them. All policies with one setting
for everything, on the groups as given, and regrouped: per workload all runs in one study cut at its
smallest horizon, one seed per configuration, `--draws` times. Then sft-sweep with its settings
chosen leaving workloads out (of three or more), of those that keep the others' mean regret to
REGRET_LIMIT the cheapest; what it gains over model M (k = 3) and over the configuration alone,
paired; each workload; and those in which random runs at equal compute would have lost less (t
interval over orders or draws). Other intervals resample groups, of redraws whole workloads.
`--window recorded`: where the early evaluations were taken, else that share of the horizon.
`--baselines none`: without Optuna's pruners, which take half of the time.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy import stats

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import group_values, replay_all, summarised
from predictor.replay.policies import OneLook, WindowSetting, ours
from predictor.replay.replay import Policy, Replay, floor, replayable
from predictor.stats import FEWEST_UNITS, bootstrap_interval
from predictor.types import Settings
from studies.experiments.model_m import ModelM
from studies.experiments.regrouped import regrouped
from sweep.analysis.recorded.sources import read_sources
from sweep.analysis.replay.optuna_policies import OptunaPolicy
from sweep.analysis.replay.replay import policies_of
from sweep.analysis.replay.report import OURS, UNAUDITED

POINTS = 20
MODEL_M, CONFIG_ONLY = "model M", "configuration only"
REGRET_LIMIT = 0.02
CANDIDATES = [
    Settings(audit=0.0, risk=risk, max_expected_misses=most, min_gain=gain)
    for risk in (0.05, 0.1, 0.15, 0.2, 0.3)
    for most in (1.0, 3.0)
    for gain in (0.05, 0.1)
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stem", nargs="+")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--baselines", choices=("all", "none"), default="all")
    parser.add_argument("--window", default="0.1")
    arguments = parser.parse_args()
    studies = [replayable(study) for study in read_sources(arguments.stem)]
    window = (
        WindowSetting()
        if arguments.window == "recorded"
        else WindowSetting(float(arguments.window))
    )
    policies = policies_of(Settings(), window, POINTS)
    policies.append(
        OneLook(MODEL_M, ModelM(), window, {"risk": 0.1, "min_gain": 0.05, "startup": 3})
    )
    if arguments.baselines == "none":
        policies = [policy for policy in policies if not isinstance(policy, OptunaPolicy)]
    sets = {"as given": (studies, arguments.orders)}
    drawn = regrouped(studies, arguments.draws)
    if drawn:
        sets["regrouped"] = drawn, max(1, arguments.orders // 5)
    for name, (chosen, num_orders) in sets.items():
        replays = replayed(name, chosen, policies, num_orders, arguments.seed)
        floors = [floor(len(s.runs), Settings().startup, share_of(window, s)) for s in chosen]
        print(
            f"\n== {name}: {len(chosen)} groups, {num_orders} orders, floor {np.mean(floors):.3f}"
        )
        report(replays, chosen)
        if len({study.workload for study in chosen}) < FEWEST_UNITS:
            continue
        named = {ours(c, window).name + f" {i}": c for i, c in enumerate(CANDIDATES)}
        candidates = [ours(settings, window, name) for name, settings in named.items()]
        tried = replayed(f"{name}, settings", chosen, candidates, num_orders, arguments.seed)
        show_chosen(tried, named, chosen)


def share_of(window: WindowSetting, study: RecordedStudy) -> float:
    return window.close(study) / min(run.horizon for run in study.runs)


def replayed(
    name: str,
    studies: Sequence[RecordedStudy],
    policies: Sequence[Policy],
    num_orders: int,
    seed: int,
) -> list[Replay]:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=len(studies) * num_orders)
        return replay_all(
            studies,
            policies,
            num_orders=num_orders,
            seed=seed,
            on_done=lambda: bar.advance(task),
        )


def report(replays: Sequence[Replay], studies: Sequence[RecordedStudy]) -> None:
    show_policies(replays, studies)
    for other in (MODEL_M, CONFIG_ONLY):
        show_gain(replays, studies, other)
    show_workloads(replays, studies)
    show_harm(replays, studies)


def clusters_of(studies: Sequence[RecordedStudy]) -> dict[str, str]:
    """Redraws of the same runs tell together what one of them tells."""
    return {s.name: s.workload if " draw " in s.name else s.name for s in studies}


def show_policies(replays: Sequence[Replay], studies: Sequence[RecordedStudy]) -> None:
    print("\npolicy                       compute (95 %)          regret (95 %)", end="")
    print("           p90    lost  config  wall   stated missed")
    rows = summarised(replays, clusters=clusters_of(studies))
    for row in sorted(rows, key=lambda row: row.regret_mean):
        config = "-" if row.config_regret is None else f"{row.config_regret:.3f}"
        stated = "-" if row.stated_misses is None else f"{row.stated_misses:.2f}"
        print(
            f"{row.policy:27}  {_value(row.compute, row.compute_interval)}  "
            f"{_value(row.regret_mean, row.regret_interval)}  {row.regret_p90:.3f}  "
            f"{row.lost_best:.2f}  {config:>6}  {row.wall:5.1f}  {stated:>6} {row.misses:6.2f}"
        )


def show_gain(replays: Sequence[Replay], studies: Sequence[RecordedStudy], other: str) -> None:
    """The other less ours: above 0 is better for us."""
    names = list(dict.fromkeys(one.policy for one in replays))
    a, b = names.index(other), names.index(UNAUDITED)
    print(f"\n{other} less {UNAUDITED}, paired:")
    for what, values in (
        ("compute", group_values(replays, lambda one: one.compute)),
        ("regret", group_values(replays, lambda one: one.regret)),
        ("above random's", group_values(replays, lambda one: one.regret - one.random_regret)),
    ):
        gain = (values[a] - values[b])[None]
        by_workload = interval(gain, [study.workload for study in studies])
        by_group = interval(gain, list(clusters_of(studies).values()))
        print(
            f"  {what:15} {gain.mean():+.4f}  95 % by workloads {by_workload}, by groups {by_group}"
        )


def show_chosen(
    replays: Sequence[Replay], settings: Mapping[str, Settings], studies: Sequence[RecordedStudy]
) -> None:
    """Every workload under the settings that were best on the others."""
    names = list(dict.fromkeys(one.policy for one in replays))
    compute = group_values(replays, lambda one: one.compute)
    regret = group_values(replays, lambda one: one.regret)
    workloads = np.array([study.workload for study in studies])
    held_out = np.zeros((2, len(studies)))
    print(f"\nsettings chosen leaving workloads out, mean regret at most {REGRET_LIMIT:g}:")
    for workload in dict.fromkeys(workloads):
        own = workloads == workload
        kept = [i for i in range(len(names)) if regret[i, ~own].mean() <= REGRET_LIMIT]
        best = min(kept or range(len(names)), key=lambda i: compute[i, ~own].mean())
        held_out[:, own] = compute[best, own], regret[best, own]
        one = settings[names[best]]
        print(
            f"  {workload:26} risk {one.risk:g}, max_expected_misses {one.max_expected_misses:g}, "
            f"min_gain {one.min_gain:g}: {compute[best, own].mean():.3f} / "
            f"{regret[best, own].mean():.3f}"
        )
    for what, values in zip(("compute", "regret"), held_out, strict=True):
        by_workload = interval(values[None], list(workloads))
        print(f"  held out: {what} {values.mean():.3f}, 95 % by workloads {by_workload}")
    for i, name in enumerate(names):
        one = settings[name]
        print(
            f"  risk {one.risk:4g} most {one.max_expected_misses:g} gain {one.min_gain:4g}: "
            f"{compute[i].mean():.3f} / {regret[i].mean():.4f}"
        )


def show_workloads(replays: Sequence[Replay], studies: Sequence[RecordedStudy]) -> None:
    workloads = {study.name: study.workload for study in studies}
    shown = (UNAUDITED, OURS, MODEL_M, "MedianPruner (eval)")
    chosen = [one for one in replays if one.policy in shown]
    names = list(dict.fromkeys(one.policy for one in chosen))
    print("\nworkload                    ", "".join(f"{name:>24}" for name in names))
    for workload in dict.fromkeys(workloads.values()):
        own = [one for one in chosen if workloads[one.study] == workload]
        cells = [
            f"{np.mean([o.compute for o in own if o.policy == name]):.3f} / "
            f"{np.mean([o.regret for o in own if o.policy == name]):.3f}"
            for name in names
        ]
        print(f"{workload:28}", "".join(f"{cell:>24}" for cell in cells))


def show_harm(replays: Sequence[Replay], studies: Sequence[RecordedStudy]) -> None:
    unit_of = clusters_of(studies)
    for own in (UNAUDITED, OURS):
        excess: dict[str, list[float]] = {}
        for one in replays:
            if one.policy == own:
                excess.setdefault(unit_of[one.study], []).append(one.regret - one.random_regret)
        harmed: list[str] = []
        for unit, values in excess.items():
            if len(values) < 2:
                print("\nharm: takes two orders or more of each group")
                return
            sem = float(stats.sem(values))
            low = np.mean(values) - (stats.t.ppf(0.975, len(values) - 1) * sem if sem else 0.0)
            harmed += [f"{unit} ({np.mean(values):+.3f}, above {low:+.3f})"] if low > 0 else []
        print(f"\nharm of {own}: {len(harmed)} of {len(excess)}", *harmed, sep="\n  ")


def interval(values: NDArray[np.float64], clusters: list[str]) -> str:
    """Of the mean of (1, num_groups), whole clusters resampled."""
    found = bootstrap_interval(values, clusters=clusters)
    return "none" if found is None else f"{found[0][0]:+.4f} to {found[1][0]:+.4f}"


def _value(mean: float, interval: tuple[float, float] | None) -> str:
    return (
        f"{mean:.3f}"
        if interval is None
        else f"{mean:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
    )


if __name__ == "__main__":
    main()
