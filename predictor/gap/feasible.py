"""P(feasible): whether a trial will hold its constraints at its end, from how it stands at a look.

    final slack = early slack + a + b x (early slack - their mean) + h . c + d . e + noise

For each constraint by itself, from the finished trials at the same look; a trial holds them all
with the product. h is the configuration and d what else the look showed, both standardised over the
trials: how much is forgotten from the look to the end differs by the rate, and at a look where
nobody has lost a question it does not show yet. a, b, c and e are normal around 0, their variances
over the noise's, whose scale beforehand is that of the early standard errors and of how far the
trials' early slacks lie apart: before a trial is finished the end is expected to be as the look,
give or take that. So of a configuration unlike all that are finished little is claimed.
Source: Bishop, Pattern Recognition and Machine Learning, 3.3 (normal inverse gamma); the product of
improvement and feasibility as in Gardner et al., Bayesian Optimization with Inequality Constraints
(ICML 2014).
Known weakness: constraints that fail together are taken for independent, and what forgetting adds
from the look to the end is not known before a trial is finished.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.features import config_columns, signal_column, standardise, with_squares
from predictor.stats import student_cdf
from predictor.types import CohortTrial

Floats = NDArray[np.float64]

NU = 4.0  # finished trials that the scale of the noise counts for
DRIFT_SD = 2.0  # of a beforehand, in scales of the noise: what all trials forget by the end
SLOPE_SD = 0.5  # of b beforehand
CONFIG_SD = 2.0  # of h . c beforehand, of a trial one sd from the others in all of h; as of a
TOLD_SD = 1.0  # of d . e, likewise
FAR = 20.0  # scales: what lies further from the bound counts as so far
LIKELY = 0.5  # trials this likely to be feasible are alike: then the objective counts


class Feasible(NamedTuple):
    """What is expected of a trial's constraints."""

    probability: float  # that it holds them all
    slacks: Mapping[str, float] = {}  # expected at the end, by constraint; 0 or more: it holds

    @property
    def worst(self) -> str | None:
        """The constraint that it is expected to hold the least; None without one."""
        return min(self.slacks, key=self.slacks.__getitem__, default=None)


ALL_HELD = Feasible(1.0)  # of a study without constraints


def p_feasible(trials: Sequence[CohortTrial]) -> dict[int, Feasible]:
    """Of each trial that is not finished, by number; {} where no trial has constraints.

    Each is compared at its last look with the finished trials that were at the same one.
    """
    names = sorted({name for t in trials for name in _names(t)})
    if not names:
        return {}
    at_look: dict[int, list[CohortTrial]] = {}
    for trial in trials:
        if not trial.is_finished:
            at_look.setdefault(len(trial.early_slacks) - 1, []).append(trial)
    each: dict[int, dict[str, tuple[float, float | None]]] = {}
    for look, asked in at_look.items():
        for name in names:
            for number, one in _at_look(trials, asked, name, look).items():
                each.setdefault(number, {})[name] = one
    found: dict[int, Feasible] = {}
    for trial in trials:
        if (own := each.get(trial.number)) is not None:
            probability = math.prod(chance for chance, _ in own.values())
            slacks = {name: mean for name, (_, mean) in own.items() if mean is not None}
            found[trial.number] = Feasible(probability, slacks)
    return found


def expected_slacks(trials: Sequence[CohortTrial]) -> dict[int, dict[str, float]]:
    """The slack of each constraint at each trial's end by number: known of a finished one, else
    expected, where its last look measured it."""
    known = {t.number: dict(t.slacks) for t in trials if t.is_finished}
    return {number: dict(one.slacks) for number, one in p_feasible(trials).items()} | known


def _at_look(
    trials: Sequence[CohortTrial], asked: Sequence[CohortTrial], name: str, look: int
) -> dict[int, tuple[float, float | None]]:
    """P that each of the trials `asked` holds one constraint, and its expected slack, by number;
    that is None where the look did not measure it, and P the share of the finished that hold it."""
    ended = [t for t in trials if t.is_finished and name in t.slacks]
    num_held = sum(t.slacks[name] >= 0 for t in ended)
    seen = [(t, at) for t in trials if (at := _early(t, name, look)) is not None]
    unseen = (num_held + 1) / (len(ended) + 2), None
    found: dict[int, tuple[float, float | None]] = {t.number: unseen for t in asked}
    numbers = found.keys() & {t.number for t, _ in seen}
    if not numbers:
        return found
    scale = _scale([at for _, at in seen])
    most = FAR * scale
    there = [(at[0], t.slacks[name]) for t, at in seen if t.is_finished and name in t.slacks]
    pairs = np.clip(np.array(there, dtype=np.float64).reshape(-1, 2), -most, most)
    early = np.array([at[0] for _, at in seen], dtype=np.float64).clip(-most, most)
    middle = float(early.mean())
    beside, variances = _beside([t for t, _ in seen], look)
    at_end = [i for i, (t, _) in enumerate(seen) if t.is_finished and name in t.slacks]
    x = np.column_stack([np.ones(len(pairs)), pairs[:, 0] - middle, beside[at_end]])
    precision = np.concatenate([[DRIFT_SD**-2, (scale / SLOPE_SD) ** 2], 1 / variances])
    rest = _Rest.of(x, pairs[:, 1] - pairs[:, 0], precision, scale)
    for (trial, _), own, besides in zip(seen, early.tolist(), beside, strict=True):
        if trial.number in numbers:
            change, spread = rest.at(np.concatenate([[1.0, own - middle], besides]))
            mean = own + change
            found[trial.number] = float(student_cdf(mean / spread, rest.dof)), mean
    return found


class _Rest(NamedTuple):
    """What comes from the look to the end, as the finished trials tell it: k columns."""

    change: Floats  # (k,), expected
    posterior: Floats  # (k, k), precision, times the noise's variance
    noise: float
    dof: float

    @staticmethod
    def of(x: Floats, left: Floats, precision: Floats, scale: float) -> _Rest:
        """`x`: (num_finished, k); `left`: (num_finished,), what came of them; `precision`: (k,), of
        the slopes beforehand, times the noise's variance."""
        posterior = np.diag(precision) + x.T @ x
        change = np.asarray(np.linalg.solve(posterior, x.T @ left), dtype=np.float64)
        unexplained = max(0.0, float(left @ left - change @ posterior @ change))
        dof = NU + len(left)
        return _Rest(change, posterior, (NU * scale**2 + unexplained) / dof, dof)

    def at(self, row: Floats) -> tuple[float, float]:
        """Mean and scale at `row`, (k,)."""
        around = 1 + float(row @ np.linalg.solve(self.posterior, row))
        return float(row @ self.change), math.sqrt(self.noise * around)


def _beside(trials: Sequence[CohortTrial], look: int) -> tuple[Floats, Floats]:
    """What is known of trials at a look beside their slacks, standardised, and how much each
    column's slope varies beforehand, over the noise's variance. Shapes (num_trials, k), (k,)."""
    config = standardise(with_squares(config_columns([t.config for t in trials])))
    windows = [(t.window, *t.looks)[look] for t in trials]
    others = sorted({name for w in windows if w is not None for name in w.early_others})
    told = [
        [getattr(w, name, None) for w in windows] for name in ("early_eval", "loss", "grad_norm")
    ]
    told += [[w and w.early_others.get(name) for w in windows] for name in others]
    seen = standardise(np.array([signal_column(values) for values in told]).T)
    variances = [
        np.full(columns.shape[1], sd**2 / max(1, int(columns.any(axis=0).sum())))
        for columns, sd in ((config, CONFIG_SD), (seen, TOLD_SD))
    ]
    return np.concatenate([config, seen], axis=1), np.concatenate(variances)


def _scale(early: Sequence[tuple[float, float]]) -> float:
    """Of the noise beforehand: early standard errors, and how far trials lie from their median."""
    slacks = np.array([slack for slack, _ in early if math.isfinite(slack)])
    if len(slacks) == 0:
        return 1.0
    errors = np.array([error for slack, error in early if math.isfinite(slack)])
    apart = 1.4826 * float(np.median(np.abs(slacks - np.median(slacks))))
    scale = math.hypot(float(np.sqrt((errors**2).mean())), apart)
    return scale or float(np.abs(slacks).max()) or 1.0


def _early(trial: CohortTrial, name: str, look: int) -> tuple[float, float] | None:
    looks = trial.early_slacks
    return looks[look].get(name) if 0 <= look < len(looks) else None


def _names(trial: CohortTrial) -> set[str]:
    return {*trial.slacks, *(name for at in trial.early_slacks for name in at)}
