"""The predictor's regression as a scikit-learn estimator, for pipelines and model selection.

The judge fits the same models through the same functions (`predictor.regression`), but not through
this class: a driver that decides on a trial does not wait for scikit-learn to be imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Literal, Self, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin  # pyright: ignore[reportMissingTypeStubs]
from sklearn.utils.validation import check_is_fitted, validate_data  # pyright: ignore

from predictor.features import point_codes
from predictor.prior import Prior
from predictor.regression import Design, Family, Fit, Mixture, fit, predict

Floats = NDArray[np.float64]
_validated = cast("Callable[..., Any]", validate_data)


class AveragedBayesianRegression(RegressorMixin, BaseEstimator):
    """Bayesian linear regression averaged over which columns to use and how far to trust them.

    See `predictor.regression` for the model and its sources. The first columns of X are signals,
    each of which may tell nothing; the others are the configuration, equal rows of which share an
    effect of their own. Put it behind a StandardScaler: prior variances are those of standardised
    columns, and `noise_b0` is in the square of y's unit, for a y of a spread near 1.

    Parameters
    ----------
    signals
        Names of the first columns of X; all others are the configuration.
    inclusion
        The probability, before the data, that a signal tells anything; one for all, or one each.
    config_scales, config_weights
        Prior variances of the configuration's slopes, and the weight of each before the data.
    point_scales
        Prior variances of the effect that equal configurations share, where any are equal.
    noise_b0
        Scales of the inverse gamma prior on the noise variance.
    inflate
        Whether predictions are widened where left-out residuals are larger than expected.
    prior
        A direction for the signals by their names (`predictor.prior`); None: none.

    Attributes
    ----------
    fit_
        The models that carry weight (`predictor.regression.Fit`).
    mean_
        The mean of y, which is taken off before the fit.
    """

    def __init__(
        self,
        signals: Sequence[str] = (),
        *,
        inclusion: float | Sequence[float] = 0.5,
        config_scales: Sequence[float] = (1.0, 0.25, 0.0),
        config_weights: Sequence[float] = (0.25, 0.25, 0.5),
        point_scales: Sequence[float] = (10.0, 1.0),
        noise_b0: Sequence[float] = (0.01, 0.03, 0.1, 0.3),
        inflate: bool = True,
        prior: Prior | None = None,
    ) -> None:
        self.signals = signals
        self.inclusion = inclusion
        self.config_scales = config_scales
        self.config_weights = config_weights
        self.point_scales = point_scales
        self.noise_b0 = noise_b0
        self.inflate = inflate
        self.prior = prior

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Itself, fitted on X (num_trials, num_columns) and y (num_trials,).

        ValueError for fewer than two rows, values that are not finite, or fewer columns than
        signals.
        """
        x: Floats
        targets: Floats
        x, targets = _validated(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        if x.shape[1] < len(self.signals):
            raise ValueError(f"X has {x.shape[1]} columns for {len(self.signals)} signals")
        self.mean_ = float(targets.mean())
        design = self._design(x)
        family = self._family()
        if len(np.unique(design.points)) == len(design.points):
            family = replace(family, point_scales=(0.0,))
        prior = Prior(0.0) if self.prior is None else self.prior
        self.fit_: Fit = fit(design, targets - self.mean_, tuple(self.signals), prior, family)
        return self

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> Floats: ...

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True]) -> tuple[Floats, Floats]: ...

    def predict(self, X: ArrayLike, return_std: bool = False) -> Floats | tuple[Floats, Floats]:
        """The mean of y at each row of X, (num_rows,), and with `return_std` its standard
        deviation, noise included. Known weakness: tails are Student's t, which an sd hides."""
        found = self.predict_mixtures(X)
        means = np.array([one.weights @ one.means for one in found])
        if not return_std:
            return means
        return means, np.array([_sd(one) for one in found])

    def predict_mixtures(self, X: ArrayLike) -> list[Mixture]:
        """The distribution of y at each row of X: `.below(threshold)` is P(y < threshold)."""
        check_is_fitted(self)
        x: Floats = _validated(self, X, dtype=np.float64, reset=False)
        design, trained = self._design(x), self.fit_.design
        codes = point_codes(np.concatenate([trained.config, design.config]))
        first = {int(code): point for code, point in zip(codes, trained.points, strict=False)}
        points = np.array([first.get(int(code), -1) for code in codes[len(trained.points) :]])
        rows = [design._replace(points=points).rows([i]) for i in range(len(x))]
        found = [predict(self.fit_, row) for row in rows]
        return [one._replace(means=one.means + self.mean_) for one in found]

    def _design(self, x: Floats) -> Design:
        num = len(self.signals)
        return Design(x[:, :num], x[:, num:], point_codes(x[:, num:]))

    def _family(self) -> Family:
        """Every subset of the signals, as likely as its members' inclusion makes it."""
        each = np.broadcast_to(np.asarray(self.inclusion, dtype=np.float64), len(self.signals))
        chosen = list(product((False, True), repeat=len(self.signals)))
        return Family(
            signal_sets=tuple(
                frozenset(name for name, used in zip(self.signals, row, strict=True) if used)
                for row in chosen
            ),
            set_weights=tuple(
                math.prod(
                    float(p) if used else 1 - float(p) for p, used in zip(each, row, strict=True)
                )
                for row in chosen
            ),
            config_scales=tuple(self.config_scales),
            config_weights=tuple(self.config_weights),
            point_scales=tuple(self.point_scales),
            noise_b0=tuple(self.noise_b0),
            inflate=self.inflate,
        )


def _sd(found: Mixture) -> float:
    """Of a mixture of Student-t distributions with more than two degrees of freedom."""
    variance = found.scales**2 * found.dof / (found.dof - 2)
    mean = found.weights @ found.means
    return float(found.weights @ (variance + (found.means - mean) ** 2)) ** 0.5
