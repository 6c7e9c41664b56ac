"""What `sweep tune` found: the report as Python has it and as `--json` prints it.

Compute is a share of training every run to its end. Regret is the best objective kept less the best
of all, as a share of median - best. Objectives are minimized. Settings go by
the keys of the study file's `pruning` section. Held out: of each fold what the setting chosen
without it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from predictor.replay.policies import WindowSetting
from predictor.replay.sample import Sample
from predictor.tuning.report import Interval, Loss, SettingResult
from predictor.tuning.steps import FoldsOver
from sweep.config.edit import Change

Setting = bool | float | str | tuple[float, ...] | None
Settings = Mapping[str, Setting]  # a window or min_steps of None: as recorded


@dataclass(frozen=True, slots=True)
class FrontierLine:
    """The cheapest setting at a mean regret of at most `limit`."""

    limit: float  # of the mean regret
    candidate: Settings  # chosen on everything
    in_sample: SettingResult  # what the candidate did on everything
    held_out: SettingResult  # what was chosen without the fold that it is measured on


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the study file that was to be written to."""

    file: str  # path of the study file
    changes: tuple[Change, ...] = ()  # keys that were given another value
    error: str | None = None  # why nothing was written


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """The pruning settings worth using, what they save and what they cost."""

    present: Settings  # what the search is compared with
    origin: str  # of the present setting, in words
    base: Settings  # the present setting, with no more risk than was asked for
    recommended: Settings  # the base where nothing is better beyond its interval
    changes: Mapping[str, tuple[Setting, Setting]]  # present and recommended, where they differ
    is_better: bool  # the recommended setting is better than the base beyond its interval
    verdict: tuple[str, ...] = ()  # sentences: what to do, and what it is worth
    limits: tuple[str, ...]  # sentences: what to bear in mind
    present_measured: SettingResult  # what the present setting did
    recommended_in_sample: SettingResult  # what the recommended setting did on everything
    recommended_held_out: SettingResult  # what was chosen like it did where it was not chosen on
    compute_gained: Interval  # held out, of the line at `gained_at` less the base's; below 0: saved
    regret_gained: Interval  # alike; below 0: less regret
    gained_at: float  # the limit of the line recommended; of the first judged where none is
    gained_level: float  # of these two intervals, as a share
    regret_limit: float  # most that a recommended setting may have, on average
    frontier: tuple[FrontierLine, ...]  # one for each limit of regret
    judged: tuple[float, ...]  # limits of the lines that could be recommended, in their order
    present_losses: tuple[Loss, ...]  # runs that it stops, better than any it keeps
    recommended_losses: tuple[Loss, ...]  # alike, of the recommended setting
    recorded_window: WindowSetting  # what a window of None stands for
    recorded_differ: tuple[str, ...]  # window, min_steps: what of it is not the same in all sources
    metrics: tuple[tuple[str, str], ...]  # the groups' objectives, each with its direction
    folds_over: FoldsOver  # what was held out
    num_folds: int  # how many of them
    intervals_over: FoldsOver  # what was resampled
    num_resampled: int  # how many of them
    num_groups: int  # studies of one name, or groups of a recorded set
    num_runs: int  # that were replayed
    num_orders: int  # shuffled orders in which each group was replayed
    num_workers: int  # trials that ran side by side
    num_candidates: int  # settings tried
    num_replays: int  # of one group in one order with one setting
    seed: int  # of orders and folds
    samples: tuple[Sample, ...]  # groups of which only a sample of the runs was replayed
    written: Written | None = None  # None: no study file was to be written to
