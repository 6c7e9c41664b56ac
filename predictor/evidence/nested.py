"""What sets of features are worth: every finished run predicted from the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import cast

import numpy as np
from numpy.typing import NDArray

from predictor.evidence.correlations import correlate, rank_correlations
from predictor.features import NOISE_FREE, tabulate
from predictor.model import OURS, regress
from predictor.prior import Prior
from predictor.regression import Family, Mixture
from predictor.stats import cluster_counts, mean_interval
from predictor.target import Scale, scale_of
from predictor.types import CohortTrial

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

SETS: dict[str, tuple[str, ...]] = {
    "configuration": (),
    "+ early evaluation": ("early_eval",),
    "+ training loss": ("loss",),
    "+ gradient norm": ("grad_norm",),
    "+ dynamics": ("loss", "grad_norm"),
    "all": ("early_eval", "loss", "grad_norm"),
}
NESTED = (
    *(("configuration", name) for name in SETS if name != "configuration"),
    ("+ training loss", "+ dynamics"),
    ("+ gradient norm", "+ dynamics"),
    ("+ early evaluation", "all"),
    ("+ dynamics", "all"),
)
LEAST_RUNS = 4  # finished: a scale and two to fit remain when one is left out


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Finished runs, each predicted from the others. Shapes (num_runs,)."""

    objectives: Floats
    log_density: Floats  # nats, of the objective on its own scale
    predicted: Floats  # squashed, less the mean of the runs that it was predicted from
    num_noise_free: int  # runs predicted with the noise-free norm; the others with the raw one


@dataclass(frozen=True, slots=True)
class SetWorth:
    """What a set of signals is worth. 95 % intervals, of the runs that were predicted: the fits are
    not drawn anew."""

    name: str  # one of SETS
    log_density: float  # nats a run, in the objective's unit: compare within one study
    log_density_low: float | None  # None: too few configurations
    log_density_high: float | None  # upper end, alike
    rank_correlation: float | None  # of prediction and objective; None if one is constant
    rank_correlation_low: float | None  # lower end; None: too few configurations
    rank_correlation_high: float | None  # upper end, alike


@dataclass(frozen=True, slots=True)
class SetGain:
    """What a set adds to one that it contains; 95 % intervals, paired over runs."""

    base: str  # the smaller set
    name: str  # the larger set
    log_density: float  # nats a run
    log_density_low: float | None  # None: too few configurations
    log_density_high: float | None  # upper end, alike
    rank_correlation: float | None  # None: one of them is constant
    rank_correlation_low: float | None  # lower end; None: too few configurations
    rank_correlation_high: float | None  # upper end, alike

    @property
    def is_above(self) -> bool:
        """Whether the whole interval of the densities' gain lies above 0."""
        return self.log_density_low is not None and self.log_density_low > 0


def set_family(signals: Sequence[str]) -> Family:
    """The product's family with these signals alone: every subset of them averaged over, those of a
    size together as likely beforehand as those of another, so that no signal has to earn its place.
    """
    subsets = [
        frozenset(c) for size in range(len(signals) + 1) for c in combinations(signals, size)
    ]
    weights = tuple(1 / math.comb(len(signals), len(subset)) for subset in subsets)
    return replace(OURS, signal_sets=tuple(subsets), set_weights=weights)


def left_out(
    cohort: Sequence[CohortTrial],
    family: Family,
    clusters: Codes,
    on_run: Callable[[], None] = lambda: None,
) -> LeftOut | None:
    """Every finished trial of the cohort predicted by the product's regression from the others,
    with no direction in its prior, and the scale of the target fitted without it.

    `clusters` (num_finished,): trials of one are left out together. All different, this is
    leave-one-out, in which other seeds of a configuration tell of it; equal for seeds of one
    configuration, it is the prediction of a configuration never trained to its end.

    All have a window, as in `predictor.model.forecast`: features are standardised over every trial
    seen. None with fewer than LEAST_RUNS finished, or where those left tie.
    The mean of the others is taken off each prediction, as it falls where the left-out run is
    high: left in, predictions without any content correlate with the objective at -1.
    """
    # Here, as it is slow to import.
    from sklearn.model_selection import LeaveOneGroupOut  # pyright: ignore[reportMissingTypeStubs]

    places = [place for place, trial in enumerate(cohort) if trial.is_finished]
    num = len(places)
    if num < LEAST_RUNS or len(np.unique(clusters)) < 2:
        return None
    densities, predicted, num_noise_free = np.zeros(num), np.zeros(num), 0
    split = LeaveOneGroupOut().split(places, groups=clusters)  # pyright: ignore
    for train, test in cast("Iterator[tuple[Codes, Codes]]", split):
        rest = [places[int(j)] for j in train]
        for i in map(int, test):
            own = places[i]
            trial, others = cohort[own], [t for place, t in enumerate(cohort) if place != own]
            kept = [place + (place < own) for place in rest]  # rows: the trial's is the 0th
            objectives = np.array([_objective(cohort[place]) for place in rest])
            scale = scale_of(list(objectives))
            if scale is None or len(kept) < LEAST_RUNS - 1:
                return None
            table = tabulate([trial, *others], 1)
            targets = scale.squash(objectives)
            found = regress(table, kept, targets, Prior(0.0), family)[1]
            densities[i] = log_density(found, scale, _objective(trial))
            predicted[i] = float(found.weights @ found.means) - float(targets.mean())
            num_noise_free += table.norm == NOISE_FREE
            on_run()
    own_ends = np.array([_objective(cohort[place]) for place in places])
    return LeftOut(own_ends, densities, predicted, num_noise_free)


def compare(
    found: dict[str, LeftOut], weights: Floats, clusters: Codes, seed: int
) -> list[SetGain]:
    """The gain of each nested pair in `found`. weights, clusters: (num_runs,), as the LeftOut."""
    drawn = weights * cluster_counts(clusters, seed)
    num = len(np.unique(clusters))
    ranks = {name: (_rank(one, weights[None])[0], _rank(one, drawn)) for name, one in found.items()}
    gains: list[SetGain] = []
    for base, name in NESTED:
        if base not in found or name not in found:
            continue
        more = found[name].log_density - found[base].log_density
        mean = float(weights @ more / weights.sum())
        density = mean_interval(mean, drawn @ more / drawn.sum(1), num)
        (rank, rank_drawn), (base_rank, base_drawn) = ranks[name], ranks[base]
        rank_gain = float(rank - base_rank)
        of_rank = mean_interval(rank_gain, rank_drawn - base_drawn, num)
        gains.append(SetGain(base, name, mean, *density, none_if_nan(rank_gain), *of_rank))
    return gains


def worth(name: str, found: LeftOut, weights: Floats, clusters: Codes, seed: int) -> SetWorth:
    """What a set of signals is worth, from its predictions `found`. weights, clusters:
    (num_runs,)."""
    drawn = weights * cluster_counts(clusters, seed)
    mean = float(weights @ found.log_density / weights.sum())
    density = mean_interval(
        mean, drawn @ found.log_density / drawn.sum(1), len(np.unique(clusters))
    )
    nothing = np.zeros((len(weights), 0))
    rank = correlate(found.predicted, found.objectives, weights, clusters, nothing, seed)
    if rank is None:
        return SetWorth(name, mean, *density, None, None, None)
    return SetWorth(name, mean, *density, *map(none_if_nan, (rank.rho, rank.low, rank.high)))


def log_density(mixture: Mixture, scale: Scale, objective: float) -> float:
    """log p(objective), in nats per unit of the objective, of a distribution of its squash."""
    target = float(scale.squash(np.array(objective)))
    return mixture.log_density(target) + scale.log_slope(objective)


def none_if_nan(value: float) -> float | None:
    """The value, or None for NaN."""
    return None if math.isnan(value) else value


def _rank(found: LeftOut, weights: Floats) -> Floats:
    return rank_correlations(found.predicted, found.objectives, weights)


def _objective(trial: CohortTrial) -> float:
    assert trial.objective is not None
    return trial.objective
