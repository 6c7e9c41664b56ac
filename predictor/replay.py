"""What a policy would have done on a recorded study, event by event."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from predictor.types import CohortTrial

# (the trial at its window, all others whose window has closed, order's seed) -> (prune?, its P)
Policy = Callable[[CohortTrial, Sequence[CohortTrial], int], tuple[bool, float | None]]

LOST = 0.05  # of the median-best spread: a best run lost by more counts as lost


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay. Regrets are shares of (median - best) of the study's objectives."""

    compute: float  # share of running everything
    regret: float  # best kept - best of all
    config_regret: float  # seed mean of the configuration kept - the best seed mean
    lost_best: bool  # regret above LOST
    wall: float  # in full runs, on these workers
    num_pruned: int
    stated_misses: float  # sum of P over the prunes
    misses: int  # prunes that would have beaten the incumbent of that moment by min_gain
    kept: tuple[int, ...]  # the trials trained to their end


def replay(
    trials: Sequence[CohortTrial],
    policy: Policy,
    *,
    window: float,
    seed: int,
    workers: int = 1,
    min_gain: float = 0.05,
) -> Replay:
    """Trials in an order shuffled by `seed` on `workers`, each a full run long if not pruned.

    A worker that is free takes the next trial. At the window the policy sees the windows that have
    closed by then and the objectives that are finished by then; windows that close at the same
    moment are judged in the order of their start.
    """
    order = [int(i) for i in np.random.default_rng(seed).permutation(len(trials))]
    queue = list(reversed(order))
    seen: dict[int, CohortTrial] = {}
    events: list[tuple[float, int, int]] = []  # (time, tie-break, trial)
    started = 0
    windows_open: set[int] = set()
    kept: list[int] = []
    stated, misses, now = 0.0, 0, 0.0

    def start(at: float) -> None:
        nonlocal started
        if queue:
            number = queue.pop()
            windows_open.add(number)
            heapq.heappush(events, (at + window, started, number))
            started += 1

    for _ in range(workers):
        start(0.0)
    while events:
        now, rank, number = heapq.heappop(events)
        if number not in windows_open:  # the end of a run
            seen[number] = replace(seen[number], objective=trials[number].objective)
            kept.append(number)
            start(now)
            continue
        windows_open.remove(number)
        own = replace(trials[number], objective=None)
        prune, probability = policy(own, list(seen.values()), seed)
        if prune:
            stated += probability or 0.0
            misses += _is_miss(trials[number], seen.values(), min_gain)
            own = replace(own, expected_miss=probability or 0.0)
            start(now)
        else:
            heapq.heappush(events, (now + 1 - window, rank, number))
        seen[number] = own
    return _scored(trials, kept, window, now, stated, misses)


def scout(trials: Sequence[CohortTrial], score: Sequence[float], top: int, window: float) -> Replay:
    """Every trial to its window, then the `top` with the lowest scores to their end."""
    kept = [int(i) for i in np.argsort(np.array(score), kind="stable")[:top]]
    wall = len(trials) * window + len(kept) * (1 - window)
    return _scored(trials, kept, window, wall, 0.0, 0)


def random_regret(objectives: Sequence[float], num_kept: float) -> float:
    """The mean regret of keeping `num_kept` trials drawn at random; between whole numbers a line.

    Exact: P(the i-th best is the best kept) = C(n - i, k - 1) / C(n, k), i from 1.
    """
    low = int(np.floor(num_kept))
    share = num_kept - low
    at_low = _random_regret(objectives, max(1, low))
    if share == 0:
        return at_low
    return (1 - share) * at_low + share * _random_regret(objectives, max(1, low + 1))


def _random_regret(objectives: Sequence[float], num_kept: int) -> float:
    ordered = np.sort(np.array(objectives, dtype=np.float64))
    n, remaining, mean = len(ordered), 1.0, 0.0
    best, spread = ordered[0], float(np.median(ordered)) - ordered[0]
    for i, y in enumerate(ordered):  # P(kept is the best | no better one is)
        p = min(1.0, num_kept / (n - i))
        mean += remaining * p * (float(y) - best)
        remaining *= 1 - p
    return float(mean / spread) if spread > 0 else 0.0


def floor(num_trials: int, startup: int, window: float) -> float:
    """The least compute: the startup trials in full, of the others the window alone."""
    return (startup + window * (num_trials - startup)) / num_trials


def _scored(
    trials: Sequence[CohortTrial],
    kept: Sequence[int],
    window: float,
    wall: float,
    stated: float,
    misses: int,
) -> Replay:
    objectives = np.array([_objective(t) for t in trials])
    n, best = len(trials), float(objectives.min())
    spread = float(np.median(objectives)) - best

    def share(difference: float) -> float:
        return difference / spread if spread > 0 else 0.0

    means = _config_means(trials)
    chosen = min(kept, key=lambda i: objectives[i])
    regret = share(float(objectives[chosen]) - best)
    return Replay(
        compute=(len(kept) + window * (n - len(kept))) / n,
        regret=regret,
        config_regret=share(means[chosen] - min(means.values())),
        lost_best=regret > LOST,
        wall=wall,
        num_pruned=n - len(kept),
        stated_misses=stated,
        misses=misses,
        kept=tuple(sorted(kept)),
    )


def _config_means(trials: Sequence[CohortTrial]) -> Mapping[int, float]:
    """Of each trial the mean objective of all trials of its configuration."""
    members: dict[str, list[int]] = {}
    for i, trial in enumerate(trials):
        members.setdefault(repr(sorted(trial.config.items())), []).append(i)
    means: dict[int, float] = {}
    for numbers in members.values():
        mean = float(np.mean([_objective(trials[i]) for i in numbers]))
        means.update(dict.fromkeys(numbers, mean))
    return means


def _is_miss(trial: CohortTrial, seen: Iterable[CohortTrial], min_gain: float) -> bool:
    finished = [t.objective for t in seen if t.objective is not None]
    if not finished:
        return False
    best = min(finished)
    return _objective(trial) < best - min_gain * (float(np.median(finished)) - best)


def _objective(trial: CohortTrial) -> float:
    assert trial.objective is not None
    return trial.objective
