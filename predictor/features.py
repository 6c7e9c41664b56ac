"""Trials as columns of numbers, standardised over every trial seen, finished or not."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.regression import Design
from predictor.types import CohortTrial, WindowSignals

Floats = NDArray[np.float64]

NOISE_FREE, RAW = "grad_norm_noise_free", "grad_norm"
MOST = sys.float_info.max
NUMBERS = {int, float, bool, type(None)}


class Table(NamedTuple):
    """The cohort, the trial that is judged first."""

    design: Design  # (num_trials, ...)
    names: tuple[str, ...]  # of the signals' columns; the norm is "grad_norm", whichever it is
    norm: str  # NOISE_FREE or RAW


def tabulate(trials: Sequence[CohortTrial], num_needed: int) -> Table:
    """The table of `trials` with a window each, of which the first is judged; the others in any
    fixed order.

    A signal that the first trial lacks has no column. What another lacks stands at the mean, where
    it tells nothing. There is one column of norms, all of one kind.
    """
    windows = [trial.window for trial in trials if trial.window is not None]
    assert len(windows) == len(trials)
    norm = choose_norm(trials, num_needed)
    columns = {
        "early_eval": [w.early_eval for w in windows],
        "loss": [w.loss for w in windows],
        "grad_norm": [getattr(w, norm) for w in windows],
    }
    present = {name: values for name, values in columns.items() if values[0] is not None}
    signals = np.array([signal_column(values) for values in present.values()]).T
    config = config_columns([trial.config for trial in trials])
    design = Design(standardise(signals), standardise(with_squares(config)), point_codes(config))
    return Table(design, tuple(present), norm)


def choose_norm(trials: Sequence[CohortTrial], num_needed: int) -> str:
    """The norm to compare by: noise-free if the first trial has it, and of the finished others
    `num_needed` and half; else the raw one.

    Known weakness: it goes missing where noise dominates, so not at random.
    """
    has = [_window(t).grad_norm_noise_free is not None for t in trials if t.objective is not None]
    if trials[0].objective is not None:
        has = has[1:]
    enough = enough_noise_free(sum(has), len(has), num_needed)
    return NOISE_FREE if enough and _window(trials[0]).grad_norm_noise_free is not None else RAW


def enough_noise_free(num_with: int, num_finished: int, num_needed: int = 1) -> bool:
    """Whether finished trials are compared by their noise-free norm: at least half have it, and
    `num_needed`. If not, by the raw one."""
    return num_with >= max(1, num_needed, num_finished / 2)


def signal_column(values: Sequence[float | None]) -> Floats:
    """A signal's column (num_trials,): logarithms where all are positive; NaN where missing.

    What was measured and is not finite counts as the largest finite value seen: a run that went
    astray. Known weakness: no further than the worst that did not.
    """
    column = np.array(values, dtype=np.float64)  # None becomes NaN
    measured = finite = np.isfinite(column)
    if not finite.all():
        measured = np.array([v is not None for v in values])
        column[measured & ~finite] = column[finite].max() if finite.any() else 1.0
    if (column[measured] > 0).all():
        column[measured] = np.log(column[measured])
    return column


def config_columns(configs: Sequence[Mapping[str, Any]]) -> Floats:
    """(num_trials, num_columns): log10 of numbers that are all positive, other numbers as they are,
    of words one column for each. NaN where a configuration lacks the key.

    A key whose values are all equal gives columns that are constant: standardised, all 0.
    """
    columns: list[Floats] = []
    for key in sorted(set[str]().union(*configs)):
        values = [config.get(key) for config in configs]
        if set(map(type, values)) <= NUMBERS:
            column = _numbers(values)
            positive = np.all(column[~np.isnan(column)] > 0)
            columns.append(np.log10(column) if positive else column)
        else:
            texts = [None if value is None else str(value) for value in values]
            kinds = sorted({text for text in texts if text is not None})
            for kind in kinds if len(kinds) > 2 else kinds[1:]:
                columns.append(np.array([math.nan if t is None else t == kind for t in texts]))
    return np.array(columns).T if columns else np.zeros((len(configs), 0))


def _numbers(values: Sequence[float | None]) -> Floats:
    """NaN where there is none, or none that a float can hold. Shape (num_trials,)."""
    try:
        column = np.array(values, dtype=np.float64)  # None becomes NaN
    except OverflowError:  # an integer above 1e308
        column = np.array([math.nan if v is None or abs(v) > MOST else v for v in values])
    return np.where(np.isfinite(column), column, math.nan)


def with_squares(config: Floats) -> Floats:
    """`config` and the squares, about the mean, of its columns with more than two values: the best
    learning rate lies somewhere in the middle. Shape (num_trials, up to 2 num_columns)."""
    curved = [_is_between(column[~np.isnan(column)]) for column in config.T]
    return np.concatenate([config, standardise(config[:, curved]) ** 2], axis=1)


def _is_between(values: Floats) -> bool:
    """Whether any lies between the least and the largest: whether there are more than two."""
    return bool(len(values) and ((values > values.min()) & (values < values.max())).any())


def standardise(columns: Floats) -> Floats:
    """(x - mean) / sd over the values that are there; 0 where missing, or where all are equal.

    As sklearn.preprocessing.StandardScaler where nothing is missing. Columns without any spread are
    kept as zeros: they carry nothing and change no prediction.
    """
    there = np.isfinite(columns)
    num = np.maximum(1, there.sum(axis=0))
    mean = np.where(there, columns, 0.0).sum(axis=0) / num
    centred = np.where(there, columns - mean, 0.0)
    sd = np.sqrt((centred**2).sum(axis=0) / num)
    has_spread = sd > 1e-9 * np.maximum(1e-300, np.abs(mean) + sd)
    return np.where(has_spread, centred / np.where(has_spread, sd, 1.0), 0.0)


def point_codes(config: Floats) -> NDArray[np.int64]:
    """Codes (num_trials,) from 0, equal for equal rows; with nothing known of any configuration,
    all are different. As np.unique with axis=0, which takes eight times as long of 10,000 rows."""
    if config.shape[1] == 0:
        return np.arange(len(config))
    codes = np.zeros(len(config), dtype=np.int64)
    for column in np.where(np.isnan(config), np.inf, config).T:
        values, at = np.unique(column, return_inverse=True)
        if len(values) > 1:  # the rows so far are told apart further
            codes = np.unique(codes * len(values) + at, return_inverse=True)[1]
    return codes


def _window(trial: CohortTrial) -> WindowSignals:
    assert trial.window is not None
    return trial.window
