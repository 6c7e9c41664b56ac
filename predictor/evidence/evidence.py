"""What the early dynamics of finished runs were worth: alone, and beyond the configuration.

Everything is said of the SCORE, minus the minimized objective, so that higher is better, and of
the early evaluation with the same sign: Pareja et al. (arXiv 2412.13337) expect a negative
correlation of the gradient norm with it and a positive one of the training loss.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from predictor.evidence.configurations import clusters_of, controls_of, varying
from predictor.evidence.correlations import Codes, Correlation, Floats, correlate
from predictor.evidence.nested import (
    SETS,
    LeftOut,
    SetGain,
    SetWorth,
    compare,
    left_out,
    set_family,
    worth,
)
from predictor.features import NOISE_FREE, RAW, enough_noise_free
from predictor.recorded.runs import RecordedStudy
from predictor.types import CohortTrial, WindowSignals

SIGNALS = ("early_eval", "loss", "grad_norm", "grad_norm_noise_free")
LEAST_RUNS = 3  # that have a signal, for a correlation
LEAST_DOF = 5  # that controls must leave
WINDOW = 0.1  # of the smallest horizon, where the record has no window of its own


@dataclass(frozen=True, slots=True)
class SignalEvidence:
    """How one early signal goes with the score, alone and given the configuration."""

    name: str  # one of SIGNALS
    alone: Correlation | None  # None: fewer than LEAST_RUNS runs have it, or nothing varies
    given_config: Correlation | None  # with what the configuration leaves of the ranks
    controls: str  # quadratic | linear | label: the configuration's columns; none
    num_missing: int  # finished runs without it


@dataclass(frozen=True, slots=True)
class Kept:
    """Which runs the correlations are over, and which not."""

    num_runs: int  # in all
    num_finished: int  # with a score and a comparable window
    num_configs: int  # different ones among the finished
    num_weighted: int  # audited runs that also stand for runs pruned
    pruned_by_rank: tuple[str, ...]  # names; at their window, or given up at a later look
    num_pruned_ahead: int | None  # of these: early evaluation below the median of the finished
    pruned_by_guard: tuple[str, ...]  # names, as all below
    not_finite: tuple[str, ...]  # trained to the end
    unfinished: tuple[str, ...]  # failed, or not recorded to the end
    without_window: tuple[str, ...]  # finished, but the window had not closed
    other_phase: tuple[str, ...]  # finished, but the window closed on other data than most


@dataclass(frozen=True, slots=True)
class StudyEvidence:
    """What a study's runs tell of its early signals."""

    name: str  # of the group
    workload: str  # base model and training data
    close: float  # the window: samples, or steps
    in_samples: bool  # whether the window is in samples
    config_names: tuple[str, ...]  # that vary
    kept: Kept  # which runs were looked at
    signals: tuple[SignalEvidence, ...]  # one for each of SIGNALS
    norm: str  # that the verdict and the sets are about: grad_norm or grad_norm_noise_free
    sets: tuple[SetWorth, ...]  # each run left out alone
    gains: tuple[SetGain, ...]  # what each set adds to a smaller one
    new_sets: tuple[SetWorth, ...]  # left out with its other seeds; empty where none has any
    new_gains: tuple[SetGain, ...]  # alike, of new_sets


class _Runs(NamedTuple):
    trials: list[CohortTrial]  # finished, with a comparable window
    cohort: list[CohortTrial]  # these and the unfinished ones with such a window
    weights: Floats
    clusters: Codes
    controls: dict[str, Floats]


def study_evidence(
    study: RecordedStudy,
    *,
    window: float = WINDOW,
    seed: int = 0,
    on_fit: Callable[[], None] = lambda: None,
) -> StudyEvidence:
    """What a study's runs tell of its early signals. Audited runs weigh one over the probability of
    their audit, others 1: in correlations and in means of densities. The regression selects by
    nothing that is not among its features, and needs no weights. `on_fit` is called num_fits(study)
    times at most."""
    close = study.recorded_window or study.window_at(window)
    kept, runs = _runs(study, close)
    found = [_signal(name, runs, seed) for name in SIGNALS]
    norm = _norm(found, len(runs.trials))
    num = len(runs.trials)
    names = _nested(found, norm)
    sets, gains = _sets(runs, norm, names, np.arange(num), seed, on_fit)
    repeats = kept.num_configs < num
    new = _sets(runs, norm, names, runs.clusters, seed, on_fit) if repeats else ((), ())
    return StudyEvidence(
        name=study.name,
        workload=study.workload,
        close=close,
        in_samples=study.in_samples,
        config_names=varying([trial.config for trial in runs.trials]),
        kept=kept,
        signals=tuple(found),
        norm=norm,
        sets=sets,
        gains=gains,
        new_sets=new[0],
        new_gains=new[1],
    )


def signal_evidence(
    study: RecordedStudy, *, window: float = WINDOW, seed: int = 0
) -> tuple[SignalEvidence, ...]:
    """The correlations alone, one for each of SIGNALS: `study_evidence` without what is fitted."""
    _, runs = _runs(study, study.recorded_window or study.window_at(window))
    return tuple(_signal(name, runs, seed) for name in SIGNALS)


def num_fits(study: RecordedStudy) -> int:
    """How many fits of the regression `study_evidence` makes at most: one a finished run for each
    set of signals, twice that where configurations are repeated."""
    configs = [run.config for run in study.runs if run.is_finished]
    if not configs:
        return 0
    repeats = len(np.unique(clusters_of(configs))) < len(configs)
    return (2 if repeats else 1) * len(SETS) * len(configs)


def _num_ahead(pruned: Sequence[CohortTrial], finished: Sequence[CohortTrial]) -> int | None:
    """How many have a better early evaluation than the median of the finished; None: none known."""
    own, kept = (
        [t.window.early_eval for t in trials if t.window and t.window.early_eval is not None]
        for trials in (pruned, finished)
    )
    return sum(value < np.median(kept) for value in own) if own and kept else None


def _runs(study: RecordedStudy, close: float) -> tuple[Kept, _Runs]:
    trials = study.trials(close)
    phases = Counter(t.window.phase for t in trials if t.window is not None)
    phase = phases.most_common(1)[0][0] if phases else 0
    finished = [run.is_finished for run in study.runs]

    def names(chosen: Callable[[int], bool]) -> tuple[str, ...]:
        return tuple(run.name for i, run in enumerate(study.runs) if chosen(i))

    def pruned_by(kind: str, i: int) -> bool:
        return not finished[i] and study.runs[i].pruned_by == kind

    def is_astray(i: int) -> bool:
        run = study.runs[i]
        return not finished[i] and run.pruned_by is None and run.objective is not None

    windows = [trial.window for trial in trials]
    comparable = [window is not None and window.phase == phase for window in windows]
    chosen = [i for i, ok in enumerate(comparable) if ok and finished[i]]
    used = [trials[i] for i in chosen]
    each = np.array([1 / (study.runs[i].audit or 1.0) for i in chosen])
    clusters = clusters_of([trial.config for trial in used])
    kept = Kept(
        num_runs=len(study.runs),
        num_finished=len(chosen),
        num_configs=len(np.unique(clusters)),
        num_weighted=int((each > 1).sum()),
        pruned_by_rank=names(lambda i: pruned_by("rank", i)),
        num_pruned_ahead=_num_ahead(
            [trial for i, trial in enumerate(trials) if pruned_by("rank", i)], used
        ),
        pruned_by_guard=names(lambda i: pruned_by("guard", i)),
        not_finite=names(is_astray),
        unfinished=names(
            lambda i: (
                not finished[i]
                and not is_astray(i)
                and study.runs[i].pruned_by not in ("rank", "guard")
            )
        ),
        without_window=names(lambda i: finished[i] and windows[i] is None),
        other_phase=names(lambda i: finished[i] and windows[i] is not None and not comparable[i]),
    )
    cohort = [trial for trial, ok in zip(trials, comparable, strict=True) if ok]
    controls = controls_of([trial.config for trial in used], clusters)
    return kept, _Runs(used, cohort, each, clusters, controls)


def _signal(name: str, runs: _Runs, seed: int) -> SignalEvidence:
    """Raw and noise-free norm are two signals, each over the runs that have it."""
    values = [getattr(_window(trial), name) for trial in runs.trials]
    there = np.array([value is not None for value in values], dtype=bool)
    missing = int((~there).sum())
    if there.sum() < LEAST_RUNS:
        return SignalEvidence(name, None, None, "none", missing)
    x = np.array([value for value in values if value is not None], dtype=np.float64)
    x[~np.isfinite(x)] = math.inf  # astray: the highest loss, norm or lower-is-better evaluation
    if name == "early_eval":
        x = -x
    score = np.array([-trial.objective for trial in runs.trials if trial.objective is not None])
    y, weights, clusters = score[there], runs.weights[there], runs.clusters[there]
    nothing = np.zeros((len(x), 0))
    alone = correlate(x, y, weights, clusters, nothing, seed)
    for kind, columns in runs.controls.items():
        controls = columns[there]
        units = len(x) if kind == "label" else len(np.unique(clusters))
        if units - 2 - np.linalg.matrix_rank(controls - controls.mean(0)) >= LEAST_DOF:
            given = correlate(x, y, weights, clusters, controls, seed)
            return SignalEvidence(name, alone, given, kind, missing)
    return SignalEvidence(name, alone, None, "none", missing)


def _sets(
    runs: _Runs,
    norm: str,
    names: Sequence[str],
    together: Codes,
    seed: int,
    on_fit: Callable[[], None],
) -> tuple[tuple[SetWorth, ...], tuple[SetGain, ...]]:
    cohort = runs.cohort if norm != "grad_norm" else [_with_raw_norm(t) for t in runs.cohort]
    found: dict[str, LeftOut] = {}
    for name in names:
        one = left_out(cohort, set_family(SETS[name]), together, on_fit)
        if one is not None:
            found[name] = one
    if not found:
        return (), ()
    of = runs.weights, runs.clusters, seed
    sets = tuple(worth(name, one, *of) for name, one in found.items())
    return sets, tuple(compare(found, *of))


def _nested(signals: Sequence[SignalEvidence], norm: str) -> list[str]:
    """Of SETS, those that differ: without early evaluations "all" is "+ dynamics", say, and where
    the norm does not vary "+ training loss" is."""
    told = {signal.name for signal in signals if signal.alone is not None}
    there = {"early_eval": "early_eval" in told}
    there |= dict.fromkeys(("loss", "grad_norm"), bool(told & {"loss", norm}))
    same = set[tuple[str, ...]]() if {"loss", norm} <= told else {("loss",), ("grad_norm",)}
    return [
        name
        for name, own in SETS.items()
        if own not in same and all(there[signal] for signal in own)
    ]


def _norm(signals: Sequence[SignalEvidence], num_finished: int) -> str:
    """The norm that the study is judged by. A run that a sweep judges must have it as well."""
    missing = next(signal.num_missing for signal in signals if signal.name == NOISE_FREE)
    return NOISE_FREE if enough_noise_free(num_finished - missing, num_finished) else RAW


def _with_raw_norm(trial: CohortTrial) -> CohortTrial:
    return replace(trial, window=replace(_window(trial), grad_norm_noise_free=None))


def _window(trial: CohortTrial) -> WindowSignals:
    assert trial.window is not None
    return trial.window
