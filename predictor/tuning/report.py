"""What settings did, with intervals, and which runs they lost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from predictor.recorded.runs import RecordedStudy
from predictor.stats import FEWEST_UNITS, bootstrap_interval, mean_of_known
from predictor.tuning.design import Candidate
from predictor.tuning.replays import LostRun, Outcome
from predictor.tuning.steps import FoldsOver, Search

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the ends of its interval."""

    mean: float  # of all units
    low: float | None  # None of fewer than three units, and where all are equal
    high: float | None  # upper end, or None alike


@dataclass(frozen=True, slots=True)
class SettingResult:
    """What settings did, on average over the units. Intervals are at 95 %."""

    compute: Interval  # share of training everything to its end
    regret: Interval  # share of median - best
    lost_best: float  # share of the replays that lost the best by more than LOST
    prunes: float  # per replay
    misses: float  # per replay
    stated_misses: float  # per replay, the sum of P over its prunes


@dataclass(frozen=True, slots=True)
class Loss:
    """A run that a setting loses, over the replays in which it does."""

    study: str  # its name
    run: str  # its name
    objective: float  # as minimized, like the next
    best_kept: float  # mean
    regret: float  # mean, share of median - best
    num_replays: int  # in which the run is lost
    of_replays: int  # as many there are of its study
    probability: float | None  # mean, stated when it was stopped
    before: float | None  # P0, mean
    reason: str | None  # why it was stopped, in the first of these replays
    config: Mapping[str, object]  # what of it other runs of the study do not have


class Report:
    """Means over the units of a search. The intervals resample what is held out as a whole, as one
    choice was made for all of it; of one or two groups (of one study that came apart: seeds) their
    orders, which tell how far the order of the trials matters, and no more."""

    def __init__(self, search: Search, seed: int) -> None:
        folds = search.folds
        self.search, self.seed = search, seed
        self.over: FoldsOver = folds.over if len(folds.studies) >= FEWEST_UNITS else "orders"
        fold_of = {unit: i for i, held in enumerate(folds.held_out) for unit in held}
        self.clusters = None if self.over == "orders" else [str(fold_of[u]) for u in search.units]
        self.num_clusters = len(folds.units if self.clusters is None else folds.held_out)

    def same(self, candidate: Candidate) -> list[Outcome]:
        """What this one setting did on each unit, in their order."""
        return [self.search.replays.of(candidate, unit) for unit in self.search.units]

    def held_out(self, chosen: Sequence[Candidate]) -> list[Outcome]:
        """What the setting chosen without a unit's fold did on it, for each unit in their order."""
        held = self.search.folds.held_out
        own = {unit: c for c, units in zip(chosen, held, strict=True) for unit in units}
        return [self.search.replays.of(own[unit], unit) for unit in self.search.units]

    def measure(self, outcomes: Sequence[Outcome]) -> SettingResult:
        """The means of the outcomes, one for each unit in their order, with their intervals."""
        return SettingResult(
            self._interval(np.array([o.compute for o in outcomes]), least=0, most=1),
            self._interval(np.array([o.regret for o in outcomes]), least=0),
            lost_best=float(np.mean([bool(o.lost) for o in outcomes])),
            prunes=float(np.mean([o.num_prunes for o in outcomes])),
            misses=float(np.mean([o.num_misses for o in outcomes])),
            stated_misses=float(np.mean([o.stated_misses for o in outcomes])),
        )

    def difference(
        self,
        outcomes: Sequence[Outcome],
        others: Sequence[Outcome],
        name: Literal["compute", "regret"],
        level: float = 0.95,
    ) -> Interval:
        """The mean of outcomes less others, paired by unit, with its interval: in shares of all
        compute, or of (median - best)."""
        pairs = zip(outcomes, others, strict=True)
        values = np.array([getattr(a, name) - getattr(b, name) for a, b in pairs])
        return self._interval(values, level)

    def losses(self, candidate: Candidate) -> tuple[Loss, ...]:
        """The runs that the setting loses, those lost most often first."""
        found: dict[tuple[int, str], list[LostRun]] = {}
        for unit, outcome in zip(self.search.units, self.same(candidate), strict=True):
            for lost in outcome.lost:
                found.setdefault((unit.study, lost.run), []).append(lost)
        losses = [self._loss(study, runs) for (study, _), runs in found.items()]
        return tuple(sorted(losses, key=lambda one: (-one.num_replays, -one.regret)))

    def _loss(self, study: int, lost: Sequence[LostRun]) -> Loss:
        recorded = self.search.folds.studies[study]
        return Loss(
            study=recorded.name,
            run=lost[0].run,
            objective=lost[0].objective,
            best_kept=float(np.mean([one.best_kept for one in lost])),
            regret=float(np.mean([one.regret for one in lost])),
            num_replays=len(lost),
            of_replays=self.search.folds.num_orders,
            probability=mean_of_known([one.probability for one in lost]),
            before=mean_of_known([one.before for one in lost]),
            reason=lost[0].reason,
            config=_differing(recorded, lost[0].run),
        )

    def _interval(
        self,
        values: Floats,
        level: float = 0.95,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> Interval:
        """`values` (num_units,), in the order of the units. Where all that is resampled is equal an
        interval would have no width, and say more than is known."""
        mean, ends = float(values.mean()), {"least": least, "most": most}
        found = bootstrap_interval(values[None], self.seed, self.clusters, level=level, **ends)
        if found is None or math.isclose(found[0][0], found[1][0], abs_tol=1e-9):
            return Interval(mean, None, None)
        return Interval(mean, found[0][0], found[1][0])


def _differing(study: RecordedStudy, name: str) -> dict[str, object]:
    """Of the run's configuration the keys in which another of the study's differs."""
    own = next(run.config for run in study.runs if run.name == name)
    return {
        key: value
        for key, value in own.items()
        if any(run.config.get(key) != value for run in study.runs)
    }
