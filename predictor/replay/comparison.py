"""Policies side by side: every study replayed in several orders, with intervals over groups."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from predictor.recorded.runs import RecordedStudy
from predictor.replay.replay import Policy, Replay, replay
from predictor.replay.workers import Workers
from predictor.stats import FEWEST_UNITS, bootstrap_interval, mean_of_known
from predictor.types import Settings

Floats = NDArray[np.float64]

WORTH_A_PROCESS = 3000  # runs to replay: some seconds


@dataclass(frozen=True, slots=True)
class Row:
    """One policy over all replays. Intervals are at 95 %; None of fewer than three units."""

    policy: str
    compute: float
    compute_interval: tuple[float, float] | None
    regret_mean: float
    regret_interval: tuple[float, float] | None
    regret_p90: float  # over replays
    lost_best: float  # share of the replays
    config_regret: float | None  # over groups in which configurations have several seeds
    wall: float  # in mean full runs
    random_regret: float  # at equal compute
    num_pruned: float  # of a replay, as the two below
    stated_misses: float | None
    misses: float
    groups: int
    replays: int


def replay_all(
    studies: Sequence[RecordedStudy],
    policies: Sequence[Policy],
    *,
    num_orders: int,
    seed: int = 0,
    num_workers: int = 1,
    min_gain: float = Settings().min_gain,
    num_processes: int | None = None,
    on_done: Callable[[], None] = lambda: None,
) -> list[Replay]:
    """Every study in every order under every policy, in that order of nesting.

    `studies` as `replayable` gives them. All policies see the same orders. With `num_processes`
    above 1 the replays are shared between spawned processes; the result is the same. None: as many
    as there are cores, if there is enough to do. `on_done` is called after each order of a study.
    """
    tasks = [
        (i, order)
        for i, study in enumerate(studies)
        for order in order_seeds(seed, study.name, num_orders)
    ]
    if num_processes is None:
        num_runs = num_orders * len(policies) * sum(len(study.runs) for study in studies)
        num_processes = 1 if num_runs < WORTH_A_PROCESS else num_cores()
    asked = _Asked(tuple(studies), tuple(policies), num_workers, min_gain)
    found: list[Replay] = []
    with Workers(asked, min(num_processes, len(tasks))) as workers:
        for replays in workers.map(_replayed, tasks):
            found += replays
            on_done()
    return found


def order_seeds(seed: int, study: str, num_orders: int) -> list[int]:
    """The seeds of a study's orders: studies of one size are shuffled differently."""
    mixed = np.random.SeedSequence([seed, crc32(study.encode())])
    return [int(word) for word in mixed.generate_state(num_orders)]


def summarised(
    replays: Sequence[Replay], seed: int = 0, clusters: Mapping[str, str] | None = None
) -> list[Row]:
    """One row for each policy, as they come. Means weigh every group the same.

    The intervals resample groups (of one or two groups: their orders), the same for all policies;
    whole `clusters` of groups where they are given by the groups' names. They end where compute and
    regret do: neither is below 0, compute not above 1.
    """
    policies = list(dict.fromkeys(one.policy for one in replays))
    of_policy = {name: [one for one in replays if one.policy == name] for name in policies}
    compute = group_values(replays, lambda one: one.compute)
    regret = group_values(replays, lambda one: one.regret)
    groups, units = _groups(replays), None
    if clusters is not None and len(groups) >= FEWEST_UNITS:
        units = [clusters[name] for name in groups]
    computes = bootstrap_interval(compute, seed, units, least=0, most=1)
    regrets = bootstrap_interval(regret, seed, units, least=0)
    rows: list[Row] = []
    for i, name in enumerate(policies):
        own = of_policy[name]
        rows.append(
            Row(
                policy=name,
                compute=float(compute[i].mean()),
                compute_interval=None if computes is None else (computes[0][i], computes[1][i]),
                regret_mean=float(regret[i].mean()),
                regret_interval=None if regrets is None else (regrets[0][i], regrets[1][i]),
                regret_p90=float(np.quantile([one.regret for one in own], 0.9)),
                lost_best=_mean(one.lost_best for one in own),
                config_regret=mean_of_known(one.config_regret for one in own),
                wall=_mean(one.wall for one in own),
                random_regret=_mean(one.random_regret for one in own),
                num_pruned=_mean(len(one.prunes) for one in own),
                stated_misses=mean_of_known(one.stated_misses for one in own),
                misses=_mean(one.num_misses for one in own),
                groups=len({one.study for one in own}),
                replays=len(own),
            )
        )
    return rows


def group_values(replays: Sequence[Replay], value: Callable[[Replay], float]) -> Floats:
    """(num_policies, num_groups) means over orders, in the order in which both first come; of one
    or two groups (num_policies, num_groups x num_orders)."""
    policies = {name: i for i, name in enumerate(dict.fromkeys(one.policy for one in replays))}
    is_few = len(_groups(replays)) < FEWEST_UNITS

    def unit(one: Replay) -> tuple[str, int]:
        return one.study, one.seed if is_few else 0

    places = {own: i for i, own in enumerate(dict.fromkeys(unit(one) for one in replays))}
    sums, counts = (np.zeros((len(policies), len(places))) for _ in range(2))
    for one in replays:
        at = policies[one.policy], places[unit(one)]
        sums[at] += value(one)
        counts[at] += 1
    return sums / counts


def _groups(replays: Sequence[Replay]) -> list[str]:
    return list(dict.fromkeys(one.study for one in replays))


class _Asked(NamedTuple):
    """What all replays share."""

    studies: tuple[RecordedStudy, ...]
    policies: tuple[Policy, ...]
    num_workers: int
    min_gain: float


def _replayed(asked: _Asked, task: tuple[int, int]) -> list[Replay]:
    """A study, by its index, in one order under every policy."""
    index, seed = task
    study, num_workers, min_gain = asked.studies[index], asked.num_workers, asked.min_gain
    return [
        replay(study, policy, seed=seed, num_workers=num_workers, min_gain=min_gain)
        for policy in asked.policies
    ]


def num_cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))
