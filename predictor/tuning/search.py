"""Which thresholds are worth using: a search by replay whose report was not fitted on.

Screening first: every setting of the design on one order of each study, the better ones on more.
Everything that chooses is done once on all of the studies, for what is recommended, and once
without each fold, for what is reported: the held-out numbers of a study come from a setting that
was chosen without it, screening included.

What is recommended is the first line of the frontier, from the allowed regret to the strictest, of
which the held-out gain is beyond its interval. As each line is another chance to be wrong, the
level of these intervals is 1 - 0.05 / the number of lines that are judged (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from predictor.recorded.runs import RecordedStudy
from predictor.replay.policies import WindowSetting
from predictor.replay.replay import replayable
from predictor.tuning.design import RECORDED, Candidate, allowed, design
from predictor.tuning.replays import Replays
from predictor.tuning.report import Interval, Loss, Report, SettingResult
from predictor.tuning.steps import (
    FEWEST_RUNS,
    LIMITS,
    REGRET_LIMIT,
    FoldsOver,
    Search,
    make_folds,
)

LEAST_GAIN = 0.01  # of compute: what a change of settings is worth
WRONG = 0.05  # how often a setting that is no better is recommended, over all lines judged


@dataclass(frozen=True, slots=True)
class Line:
    """A point of the frontier: the cheapest setting at a mean regret of at most `limit`."""

    limit: float
    candidate: Candidate  # chosen on everything
    in_sample: SettingResult
    held_out: SettingResult  # of what was chosen without the fold that it is measured on


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a search found; `recommended` is `base` where nothing is better beyond its interval."""

    present: Candidate
    base: Candidate  # the present setting as far as it may be recommended
    recommended: Candidate
    is_better: bool
    frontier: tuple[Line, ...]  # one for each of LIMITS
    present_measured: SettingResult
    recommended_in_sample: SettingResult
    recommended_held_out: SettingResult
    judged: tuple[float, ...]  # limits of the lines that could be recommended, in their order
    gained_at: float  # the limit of the line recommended; of the first where none is
    gained_level: float  # of the two intervals below
    compute_gained: Interval  # held-out, of the line at `gained_at` less the base's
    regret_gained: Interval  # negative: less regret
    present_losses: tuple[Loss, ...]
    recommended_losses: tuple[Loss, ...]
    folds_over: FoldsOver
    num_folds: int
    intervals_over: FoldsOver
    num_resampled: int  # of these
    num_groups: int  # as given: one that came apart by its seeds is one
    num_runs: int
    num_orders: int
    num_candidates: int
    num_replays: int


def too_few(studies: Sequence[RecordedStudy]) -> str | None:
    """Why there is nothing to tune on, in a sentence; None where there is."""
    finished = sum(run.is_finished for study in studies for run in study.runs)
    if finished < FEWEST_RUNS:
        runs = "1 run was" if finished == 1 else f"{finished} runs were"
        return (
            f"too few runs to tune on: {runs} trained to the end, and it takes {FEWEST_RUNS} or "
            "more"
        )
    return None


def tune(
    studies: Sequence[RecordedStudy],
    present: Candidate,
    *,
    risk: float | None = None,
    recorded: WindowSetting = RECORDED,
    fixed: Collection[str] = (),
    num_orders: int = 5,
    num_workers: int = 1,
    num_processes: int = 1,
    seed: int = 0,
    on_start: Callable[[int], None] = lambda num_more: None,
    on_done: Callable[[], None] = lambda: None,
) -> Tuning:
    """The settings worth using, the same for any number of processes. `recorded`: the window that a
    `present` without one stands for. `fixed`: keys that keep their value. `on_start` is told of
    further replays to come.

    Studies without a run that was trained to its end are left out. ValueError where `too_few` says
    so; NothingToHoldOut for one study with one seed in a single order.
    """
    reason = too_few(studies)
    if reason is not None:
        raise ValueError(reason)
    usable = [replayable(s) for s in studies if any(run.is_finished for run in s.runs)]
    folds = make_folds(usable, num_orders, seed)
    base = allowed(present, risk)
    candidates = design(base, folds.studies, risk, seed, recorded, fixed)
    with Replays(
        folds.studies, num_workers=num_workers, num_processes=num_processes, on_done=on_done
    ) as replays:
        search = Search(folds, replays, base, on_start)
        chosen = search.choose(candidates)
        search.run([(c, u) for c in (present, base) for u in search.units])
        return _result(search, chosen, present, base, len(usable), len(candidates), seed)


def _result(
    search: Search,
    chosen: list[list[Candidate]],
    present: Candidate,
    base: Candidate,
    num_groups: int,
    num_candidates: int,
    seed: int,
) -> Tuning:
    report = Report(search, seed)
    frontier = tuple(
        Line(
            limit,
            chosen[0][i],
            report.measure(report.same(chosen[0][i])),
            report.measure(report.held_out([own[i] for own in chosen[1:]])),
        )
        for i, limit in enumerate(LIMITS)
    )
    unchanged = report.same(base)
    own = report.measure(unchanged)
    judged = _judged(frontier, base)
    level = 1 - WRONG / max(1, len(judged))

    def gained(i: int) -> tuple[Interval, Interval]:
        held_out = report.held_out([one[i] for one in chosen[1:]])
        return (
            report.difference(held_out, unchanged, "compute", level),
            report.difference(held_out, unchanged, "regret", level),
        )

    better = [i for i in judged if _is_better(frontier[i], own, *gained(i))]
    is_better = bool(better)
    at = (better or judged or [LIMITS.index(REGRET_LIMIT)])[0]
    line, (compute_gained, regret_gained) = frontier[at], gained(at)
    recommended = line.candidate if is_better else base
    return Tuning(
        present=present,
        base=base,
        recommended=recommended,
        is_better=is_better,
        frontier=frontier,
        present_measured=report.measure(report.same(present)),
        recommended_in_sample=line.in_sample if is_better else own,
        recommended_held_out=line.held_out if is_better else own,
        judged=tuple(LIMITS[i] for i in judged),
        gained_at=LIMITS[at],
        gained_level=level,
        compute_gained=compute_gained,
        regret_gained=regret_gained,
        present_losses=report.losses(present),
        recommended_losses=report.losses(recommended),
        folds_over=search.folds.over,
        num_folds=len(search.folds.held_out),
        intervals_over=report.over,
        num_resampled=report.num_clusters,
        num_groups=num_groups,
        num_runs=sum(len(study.runs) for study in search.folds.studies),
        num_orders=search.folds.num_orders,
        num_candidates=num_candidates,
        num_replays=len(search.replays.known),
    )


def _judged(frontier: Sequence[Line], base: Candidate) -> list[int]:
    """The places of the lines at REGRET_LIMIT and below, from the highest: of equal ones one, and
    without the base's own, which is what they are compared with."""
    lines = {
        (line.candidate, line.held_out): place
        for place, line in enumerate(frontier)
        if line.limit <= REGRET_LIMIT and line.candidate != base
    }
    return sorted(lines.values(), reverse=True)


def _is_better(line: Line, own: SettingResult, compute: Interval, regret: Interval) -> bool:
    """Held-out, beyond its interval: cheaper at a regret that is allowed or no more than it was,
    or of less regret where that was beyond the limit."""
    within = line.held_out.regret.mean <= max(REGRET_LIMIT, own.regret.mean)
    cheaper = _is_below(compute) and compute.mean <= -LEAST_GAIN and within
    safer = own.regret.mean > REGRET_LIMIT and _is_below(regret)
    return cheaper or safer


def _is_below(one: Interval) -> bool:
    """0, beyond its interval."""
    return one.high is not None and one.high < 0
