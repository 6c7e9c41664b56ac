"""Replays of recorded runs: `python -m benchmarks.replay_recorded STEM [--draws 20] [--orders 10]`.

STEM: a recorded set, export or study, as `sweep replay` takes them. All policies with one setting
for everything, window 10 %, on the groups as given, and regrouped: per workload all runs in one
study cut at its smallest horizon, one seed per configuration, `--draws` times. Then what sft-sweep
gains over model M (k = 3), paired, whole workloads resampled; each workload; and the groups in
which random runs at equal compute would have lost less (t interval over orders).
`--rivals none`: without Optuna's pruners, which take half of the time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.progress import Progress
from scipy import stats

from predictor.comparison import bootstrap_interval, group_values, replay_all, summarised
from predictor.policies import Window
from predictor.recorded import RecordedStudy, regrouped
from predictor.replay import Policy, Replay, floor, replayable
from predictor.types import Settings
from sweep.replaying import OURS, UNAUDITED, policies_of
from sweep.rivals import OptunaPolicy
from sweep.sources import read_sources

POINTS = 20
WINDOW = Window(share=0.1)
MODEL_M = "model M"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stem", nargs="+")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rivals", choices=("all", "none"), default="all")
    arguments = parser.parse_args()
    studies = [replayable(study) for study in read_sources(arguments.stem)]
    policies = policies_of(Settings(), WINDOW, POINTS)
    if arguments.rivals == "none":
        policies = [policy for policy in policies if not isinstance(policy, OptunaPolicy)]
    sets = {"as given": (studies, arguments.orders)}
    drawn = regrouped(studies, arguments.draws)
    if drawn:
        sets["regrouped"] = drawn, max(1, arguments.orders // 5)
    for name, (chosen, num_orders) in sets.items():
        report(name, chosen, policies, num_orders, arguments.seed)


def report(
    name: str,
    studies: Sequence[RecordedStudy],
    policies: Sequence[Policy],
    num_orders: int,
    seed: int,
) -> None:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=len(studies) * num_orders)
        replays = replay_all(
            studies,
            policies,
            num_orders=num_orders,
            seed=seed,
            on_done=lambda: bar.advance(task),
        )
    floors = [floor(len(s.runs), Settings().startup, 0.1) for s in studies]
    print(f"\n== {name}: {len(studies)} groups, {num_orders} orders, floor {np.mean(floors):.3f}")
    show_policies(replays)
    for own in (UNAUDITED, OURS):
        show_gain(replays, studies, own)
    show_workloads(replays, studies)
    show_harm(replays)


def show_policies(replays: Sequence[Replay]) -> None:
    print(
        "\npolicy                       compute (95 %)          regret (95 %)           p90", end=""
    )
    print("    lost  config  wall   stated missed")
    for row in sorted(summarised(replays), key=lambda row: row.regret_mean):
        config = "-" if row.config_regret is None else f"{row.config_regret:.3f}"
        stated = "-" if row.stated_misses is None else f"{row.stated_misses:.2f}"
        print(
            f"{row.policy:27}  {_value(row.compute, row.compute_interval)}  "
            f"{_value(row.regret_mean, row.regret_interval)}  {row.regret_p90:.3f}  "
            f"{row.lost_best:.2f}  {config:>6}  {row.wall:5.1f}  {stated:>6} {row.misses:6.2f}"
        )


def show_gain(replays: Sequence[Replay], studies: Sequence[RecordedStudy], own: str) -> None:
    """Model M less ours: above 0 is better for us."""
    names = list(dict.fromkeys(one.policy for one in replays))
    workloads = [study.workload for study in studies]
    a, b = names.index(MODEL_M), names.index(own)
    print(f"\n{MODEL_M} (k = 3) less {own}, paired:")
    for what, values in (
        ("compute", group_values(replays, lambda one: one.compute)),
        ("regret", group_values(replays, lambda one: one.regret)),
        (
            "regret above random's",
            group_values(replays, lambda one: one.regret - one.random_regret),
        ),
    ):
        gain = (values[a] - values[b])[None]
        low, high = bootstrap_interval(gain, clusters=workloads)
        alone = bootstrap_interval(gain)
        texts = [
            f"{low[0]:+.4f} to {high[0]:+.4f} by workloads",
            f"{alone[0][0]:+.4f} to {alone[1][0]:+.4f} by groups",
        ]
        print(f"  {what:22} {gain.mean():+.4f}  95 % {', '.join(texts)}")


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


def show_harm(replays: Sequence[Replay]) -> None:
    for own in (UNAUDITED, OURS):
        chosen = [one for one in replays if one.policy == own]
        groups = list(dict.fromkeys(one.study for one in chosen))
        harmed: list[str] = []
        for group in groups:
            excess = [o.regret - o.random_regret for o in chosen if o.study == group]
            if len(excess) < 2:
                print("\nharm: takes two orders or more of each group")
                return
            sem = float(stats.sem(excess))
            low = np.mean(excess) - (stats.t.ppf(0.975, len(excess) - 1) * sem if sem else 0.0)
            harmed += [f"{group} ({np.mean(excess):+.3f}, above {low:+.3f})"] if low > 0 else []
        print(f"\nharm of {own}: {len(harmed)} of {len(groups)} groups", *harmed, sep="\n  ")


def _value(mean: float, interval: tuple[float, float] | None) -> str:
    return (
        f"{mean:.3f}"
        if interval is None
        else f"{mean:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
    )


if __name__ == "__main__":
    main()
