"""Recorded studies as the gap model reads them: their looks, and what they say as past ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from predictor.gap.prior import Fit, StudyFits
from predictor.gap.regression import beliefs
from predictor.gap.units import Signals, Units, bend, columns_of, gaps
from predictor.recorded.runs import RecordedStudy
from predictor.target import best_and_spread
from predictor.types import CohortTrial, WindowSignals

Floats = NDArray[np.float64]

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)  # of the budget: where the prior is known
FIRST = 0.1  # the look that gives the units
FEWEST_FINISHED = 5  # of a study that is of use
RIDGE = 0.1  # precision of the slopes in a study's own fit, over the noise's


def study_fits(study: RecordedStudy, family: str) -> StudyFits | None:
    """What a study says of gaps: fits of every set of signals at every look.

    Every run of the better quarter leads once, the others' final gaps to it are fitted on the early
    ones, and fits are averaged over the leaders. A look without early evaluations of its own gives
    nothing where there are any. None for a study of no use: too few finished runs, or all alike.
    """
    fits = dict(_fits(study))
    return StudyFits(family, study.name, fits) if fits else None


def looks_of(
    study: RecordedStudy, closes: Sequence[float]
) -> list[tuple[CohortTrial, list[WindowSignals | None]]]:
    """Every run with its windows that close at those positions, ascending; None where it had ended
    before. An early evaluation is that look's own, or None: one that was taken before
    two thirds of the way is not shown again."""
    tables = [study.trials(close) for close in closes]
    ends = [study.closing_positions(close) for close in closes]
    rows: list[tuple[CohortTrial, list[WindowSignals | None]]] = []
    for number, trials in enumerate(zip(*tables, strict=True)):
        evals = study.runs[number].evals
        windows = [
            _fresh(trial.window, evals, close, own[number])
            for trial, close, own in zip(trials, closes, ends, strict=True)
        ]
        rows.append((trials[0], windows))
    return rows


def _close_of(study: RecordedStudy, share: float) -> float:
    """The position of a look at that share of the smallest horizon, or the recorded window where
    that is within a quarter of it: there the early evaluations were taken."""
    close = share * min(run.horizon for run in study.runs)
    recorded = study.recorded_window
    return recorded if recorded and 0.8 <= recorded / close <= 1.25 else close


def _fresh(
    window: WindowSignals | None, evals: Floats, close: float, end: float
) -> WindowSignals | None:
    """`end`: after the step that closes the window, with which it is evaluated."""
    if window is None or window.early_eval is None:
        return window
    latest = max((float(at) for at in evals[:, 0] if at <= max(close, end)), default=0.0)
    if latest >= 2 / 3 * close:
        return window
    return replace(window, early_eval=None, early_others={}, early_eval_stderr=None)


def _fits(study: RecordedStudy) -> Iterator[tuple[tuple[Signals, float], Fit]]:
    """Of every set of signals at every look."""
    rows = looks_of(study, [_close_of(study, share) for share in (FIRST, *SHARES)])
    firsts = [windows[0] for _, windows in rows]
    rows = [row for row, first in zip(rows, firsts, strict=True) if first is not None]
    units = Units.of([first for first in firsts if first is not None])
    has_evals = math.isfinite(units.early_eval)
    finished = [(t.objective, windows) for t, windows in rows if t.is_finished]
    objectives = np.array([y for y, _ in finished], dtype=np.float64)
    if len(objectives) < FEWEST_FINISHED:
        return
    unit = units.early_eval if has_evals else best_and_spread(objectives)[1]
    if not unit > 0:
        return
    leaders = np.flatnonzero(objectives <= np.quantile(objectives, 0.25))
    for look, share in enumerate(SHARES, start=1):
        windows = [own[look] for _, own in finished]
        seen = [w for w in windows if w is not None]
        if len(seen) < len(windows) or (has_evals and any(w.early_eval is None for w in seen)):
            continue
        tables = [
            (gaps(seen, seen[i], units), bend((objectives - objectives[i]) / unit)) for i in leaders
        ]
        for signals in beliefs(units.missing):
            used = columns_of(signals)
            fits = [_fit(table[:, used], ends) for table, ends in tables]
            slopes = np.array([one.slopes for one in fits]).mean(axis=0)
            noise = float(np.mean([one.noise for one in fits]))
            yield (signals, share), Fit(slopes, noise)


def _fit(table: Floats, ends: Floats) -> Fit:
    """A ridge fit with an intercept of its own: how far the leader was lucky."""
    x = np.concatenate([np.ones((len(ends), 1)), table], axis=1)
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 1e-6
    slopes = np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ ends), dtype=np.float64)
    left = ends - x @ slopes
    return Fit(slopes[1:], float(left @ left) / max(1, len(ends) - x.shape[1]))
