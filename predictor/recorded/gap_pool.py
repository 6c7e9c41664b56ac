"""The gap model's prior, from recorded studies: `pooled_gaps`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.gap.prior import GapPrior, Pooled, Signals
from predictor.gap.regression import BELIEF
from predictor.gap.units import SIGNALS, Units, bend, gaps
from predictor.recorded.runs import RecordedStudy
from predictor.target import best_and_spread
from predictor.types import CohortTrial, WindowSignals

Floats = NDArray[np.float64]

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)  # of the budget: where the prior is known
FIRST = 0.1  # the look that gives the units
FEWEST_FINISHED = 5  # of a study that is of use
RIDGE = 0.1  # precision of the slopes in a study's own fit, over the noise's
LEAST_VARIANCE = 0.02  # of a slope between studies
LEAST_NOISE = 1e-4


class _Fit(NamedTuple):
    slopes: Floats  # (k,)
    noise: float


def pooled_gaps(families: Mapping[str, Sequence[RecordedStudy]]) -> GapPrior:
    """The prior of several families of studies: those of one family share a model, a task or a lab,
    and count together as much as any other family.

    In each study every run of the better quarter leads once, the others' final gaps to it are
    fitted on the early ones, and fits are averaged over the leaders; over studies the slopes' mean
    and covariance and the geometric mean of the noise are taken. A look without an early evaluation
    of its own gives models without it alone.
    ValueError where no study is of use.
    """
    found: dict[tuple[Signals, float], list[tuple[float, _Fit]]] = {}
    for studies in families.values():
        fits = [fitted for study in studies if (fitted := dict(_fits(study)))]
        for fitted in fits:
            for key, one in fitted.items():
                found.setdefault(key, []).append((1 / len(fits), one))
    if not found:
        raise ValueError(
            f"none of {', '.join(families)} has a study with {FEWEST_FINISHED} finished runs that "
            "ended differently, so nothing can be learned from them"
        )
    models: dict[Signals, dict[float, Pooled]] = {}
    for (signals, share), weighted in found.items():
        models.setdefault(signals, {})[share] = _pooled(weighted)
    return GapPrior(models, tuple(families))


def looks_of(
    study: RecordedStudy, shares: Sequence[float]
) -> list[tuple[CohortTrial, list[WindowSignals | None]]]:
    """Every run with its windows at those shares of the smallest horizon, ascending; None where it
    had ended before. An early evaluation is that look's own, or None: one that was taken before
    two thirds of the way is not shown again."""
    closes = [close_of(study, share) for share in shares]
    tables = [study.trials(close) for close in closes]
    rows: list[tuple[CohortTrial, list[WindowSignals | None]]] = []
    for number, trials in enumerate(zip(*tables, strict=True)):
        evals = study.runs[number].evals
        windows = [
            _fresh(trial.window, evals, close) for trial, close in zip(trials, closes, strict=True)
        ]
        rows.append((trials[0], windows))
    return rows


def close_of(study: RecordedStudy, share: float) -> float:
    """The position of a look at that share of the smallest horizon, or the recorded window where
    that is within a quarter of it: there the early evaluations were taken."""
    close = share * min(run.horizon for run in study.runs)
    recorded = study.recorded_window
    return recorded if recorded and 0.8 <= recorded / close <= 1.25 else close


def _fresh(window: WindowSignals | None, evals: Floats, close: float) -> WindowSignals | None:
    if window is None or window.early_eval is None:
        return window
    latest = max((float(at) for at in evals[:, 0] if at <= max(close, window.samples)), default=0.0)
    if latest >= 2 / 3 * close:
        return window
    return replace(window, early_eval=None)


def _fits(study: RecordedStudy) -> Iterator[tuple[tuple[Signals, float], _Fit]]:
    """Of every set of signals at every look."""
    rows = looks_of(study, (FIRST, *SHARES))
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
        for signals in BELIEF:
            if has_evals or "early_eval" not in signals:
                used = [i for i, name in enumerate(SIGNALS) if name in signals]
                fits = [_fit(table[:, used], ends) for table, ends in tables]
                slopes = np.mean([one.slopes for one in fits], axis=0)
                noise = float(np.mean([one.noise for one in fits]))
                yield (signals, share), _Fit(slopes, noise)


def _fit(table: Floats, ends: Floats) -> _Fit:
    """A ridge fit with an intercept of its own: how far the leader was lucky."""
    x = np.concatenate([np.ones((len(ends), 1)), table], axis=1)
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 1e-6
    slopes = np.linalg.solve(x.T @ x + penalty, x.T @ ends)
    left = ends - x @ slopes
    return _Fit(slopes[1:], float(left @ left) / max(1, len(ends) - x.shape[1]))


def _pooled(weighted: Sequence[tuple[float, _Fit]]) -> Pooled:
    weights = np.array([weight for weight, _ in weighted])
    weights /= weights.sum()
    slopes = np.array([one.slopes for _, one in weighted])
    noise = np.array([max(one.noise, LEAST_NOISE) for _, one in weighted])
    mean = weights @ slopes
    centred = slopes - mean
    covariance = (weights[:, None] * centred).T @ centred + LEAST_VARIANCE * np.eye(len(mean))
    return Pooled(mean, covariance, math.exp(float(weights @ np.log(noise))))
