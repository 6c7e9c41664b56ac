"""Which parked trial goes on: the one that promises most, while any is likely to overtake."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.features import config_columns, standardise, with_squares
from predictor.gap.bent import unbent
from predictor.gap.choice import GapForecast, choose
from predictor.gap.feasible import ALL_HELD, LIKELY, p_feasible
from predictor.gap.prior import GapPrior, shipped_prior
from predictor.gap.regression import Ends, Rows, final_gaps, prior_slopes
from predictor.gap.units import SIGNALS, Units, bend, gaps
from predictor.target import best_and_spread
from predictor.types import CohortTrial, Settings, WindowSignals

Floats = NDArray[np.float64]

FEWEST_ENDS = 3  # finished trials that give the unit of the ends where there is no early evaluation


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do next with the trials that have been looked at."""

    next: int | None  # the trial that goes on to its next look; None: none is worth it
    leader: int | None  # the best finished trial that holds every constraint
    forecasts: Mapping[int, GapForecast]  # by number; empty while no trial is finished
    silent: float | None  # how far it is believed that no early number tells; None: not asked
    spread: float | None = None  # median - best of all ends, expected where not known; objective's
    ranking: tuple[int, ...] = ()  # all that are not finished, the most promising first
    reference: int | None = None  # the leader; without one the best finished trial

    @property
    def expected_misses(self) -> float:
        """The sum of the probabilities of all that would be given up."""
        return math.fsum(one.probability for one in self.forecasts.values())


def plan(
    trials: Sequence[CohortTrial],
    shares: Sequence[float],
    settings: Settings,
    prior: GapPrior | None = None,
    busy: Collection[int] = (),
) -> Plan:
    """The trial that goes on, and what is expected of all that are not finished.

    `trials`: all that reached the first look and were not ended by a guard, in any order; `shares`:
    of the budget, of each look. While none is finished, the trial that the prior prefers goes on.
    Then it is the one of the largest expected improvement for the compute that it takes to its end,
    among those whose P of overtaking the leader is at least `settings.risk`, or whose giving up
    would bring the expected misses above `settings.max_expected_misses`. Trials in `busy`, on a
    worker now, are judged but not chosen.

    Where there are constraints, P and the improvement are times P(feasible). While no finished
    trial is feasible, P is P(feasible) alone and the likeliest goes on; of those that are as likely
    as not, the one that is expected to end best.
    """
    cohort = _Cohort.of(trials, shares, prior or shipped_prior())
    waiting = [t for t in cohort.unfinished if t.number not in busy]
    leader, reference = cohort.leader, cohort.reference
    if reference is None:
        ranking = cohort.by_preference()
        waits = {t.number for t in waiting}
        chosen = next((number for number in ranking if number in waits), None)
        return Plan(chosen, None, {}, None, ranking=ranking)
    number = None if leader is None else leader.number
    found = cohort.forecasts(reference, settings.min_gain)
    if found is None:
        ranking = tuple(t.number for t in cohort.unfinished)
        chosen = waiting[0].number if waiting else None
        return Plan(chosen, number, {}, None, ranking=ranking, reference=reference.number)
    forecasts, silent, spread = found
    ranking = tuple(sorted(forecasts, key=lambda n: (-forecasts[n].probability, n)))
    chosen = choose([forecasts[t.number] for t in waiting], settings, has_leader=leader is not None)
    return Plan(chosen, number, forecasts, silent, spread, ranking, reference.number)


def end_intervals(
    trials: Sequence[CohortTrial],
    shares: Sequence[float],
    prior: GapPrior | None = None,
    share: float = 0.8,
) -> tuple[int, dict[int, tuple[float, float, float]]] | None:
    """The plan's reference, and by number of each unfinished trial: where it is expected to end,
    between the ends of the central interval that holds `share`; as differences from its objective,
    lower is better.

    `trials` and `shares` as for `plan`. None while none is finished, or nothing gives ends a unit.
    """
    cohort = _Cohort.of(trials, shares, prior or shipped_prior())
    reference = cohort.reference
    found = cohort.intervals(reference, share) if reference else None
    return (reference.number, found) if reference and found is not None else None


def behind_by_prior(
    trials: Sequence[CohortTrial], share: float, prior: GapPrior, units: Units
) -> dict[int, float]:
    """By number, in the trials' order: how far each is expected to end behind the best early
    evaluation, by past studies and its first look alone, `share` of the budget; in early spreads,
    bent. Each trial has a window, and there is one at least."""
    firsts = [_looks(t)[0] for t in trials]
    best = min(firsts, key=lambda w: _or_last(w.early_eval))
    behind: list[float] = (gaps(firsts, best, units) @ prior_slopes(prior, share, units)).tolist()
    return {t.number: gap for t, gap in zip(trials, behind, strict=True)}


class _Cohort(NamedTuple):
    trials: tuple[CohortTrial, ...]  # by number, each with a window
    shares: Sequence[float]
    units: Units
    config: Floats  # (num_trials, num_columns)
    prior: GapPrior

    @staticmethod
    def of(trials: Sequence[CohortTrial], shares: Sequence[float], prior: GapPrior) -> _Cohort:
        own = tuple(sorted((t for t in trials if t.window), key=lambda t: t.number))
        config = config_columns([t.config for t in own])
        units = Units.of([t.window for t in own if t.window])
        return _Cohort(own, shares, units, standardise(with_squares(config)), prior)

    @property
    def unfinished(self) -> list[CohortTrial]:
        return [t for t in self.trials if not t.is_finished]

    @property
    def leader(self) -> CohortTrial | None:
        finished = [t for t in self.trials if t.is_finished and t.is_feasible]
        return min(finished, key=lambda t: (t.objective, t.number), default=None)

    @property
    def reference(self) -> CohortTrial | None:
        finished = [t for t in self.trials if t.is_finished]
        best = min(finished, key=lambda t: (t.objective, t.number), default=None)
        return self.leader or best

    @property
    def ends(self) -> list[float]:
        return [t.objective for t in self.trials if t.is_finished and t.objective is not None]

    @property
    def has_evals(self) -> bool:
        return math.isfinite(self.units.early_eval)

    def by_preference(self) -> tuple[int, ...]:
        """All, the one that the prior alone prefers first, against the best at the first look; ties
        by number. Those that are less likely feasible than not come after, the likeliest first."""
        if not self.trials:
            return ()
        behind = behind_by_prior(self.trials, self.shares[0], self.prior, self.units)
        feasible = p_feasible(self.trials)

        def place(number: int) -> tuple[float, float]:
            likely = feasible[number].probability if feasible else 1.0
            return -min(likely, LIKELY), behind[number]

        return tuple(sorted(behind, key=place))

    def forecasts(
        self, leader: CohortTrial, min_gain: float
    ) -> tuple[dict[int, GapForecast], float, float] | None:
        """None while ends have no unit. `leader`: the reference; none of its kind is feasible where
        it is not."""
        unit = self._unit_of_ends()
        if unit is None:
            return None
        found = list(self._judged(leader, unit))
        spread = self._spread_of_ends(leader, unit, [ends.mean for _, ends, _, _ in found])
        goal = -min_gain * spread
        forecasts: dict[int, GapForecast] = {}
        feasible = p_feasible(self.trials)
        for look, ends, gap, asked in found:
            below, improvement = ends.below(goal)
            effects: list[list[float]] = (ends.slopes * gap).tolist()
            stated = zip(below.tolist(), improvement.tolist(), ends.mean.tolist(), strict=True)
            for i, (p, gain, behind), by_signal in zip(asked, stated, effects, strict=True):
                number, share = self.trials[i].number, self.shares[look]
                named: dict[str, float] = dict(zip(SIGNALS, by_signal, strict=True))
                overtakes = p if leader.is_feasible else 1.0
                holds = feasible.get(number, ALL_HELD)
                both = overtakes * holds.probability, gain * holds.probability
                forecasts[number] = GapForecast(
                    number, share, *both, behind, named, overtakes, holds
                )
        silent = max((ends.silent for _, ends, _, _ in found), default=0.0)
        return forecasts, silent, spread * unit

    def intervals(
        self, leader: CohortTrial, share: float
    ) -> dict[int, tuple[float, float, float]] | None:
        """Of each unfinished trial the ends of the central interval that holds `share`, and the
        expected end between them, as differences from the leader's. None while ends have no unit.
        """
        unit = self._unit_of_ends()
        if unit is None:
            return None
        found: dict[int, tuple[float, float, float]] = {}
        for _, ends, _, asked in self._judged(leader, unit):
            parts = (ends.quantile((1 - share) / 2), ends.mean, ends.quantile((1 + share) / 2))
            for i, bent in zip(asked, np.stack(parts, axis=1).tolist(), strict=True):
                low, mean, high = (unit * unbent(gap) for gap in bent)
                found[self.trials[i].number] = low, mean, high
        return found

    def _judged(
        self, leader: CohortTrial, unit: float
    ) -> Iterator[tuple[int, Ends, Floats, list[int]]]:
        """By look: the final gaps of those that reached it last, their gaps there, and which."""
        at = self._last(leader)
        for look in range(len(self.shares)):
            asked = [i for i, last in enumerate(at) if last == look]
            if asked:
                ends, gap = self._ends(leader, look, asked, unit)
                yield look, ends, gap, asked

    def _ends(
        self, leader: CohortTrial, look: int, asked: Sequence[int], unit: float
    ) -> tuple[Ends, Floats]:
        """The final gaps of the trials `asked`, and their gaps at this look."""
        at_leader = _looks(leader)[look]
        finished = [
            i
            for i, t in enumerate(self.trials)
            if t.is_finished and len(_looks(t)) > look and _alike(_looks(t)[look], at_leader)
        ]
        objectives = np.array([self.trials[i].objective for i in finished], dtype=np.float64)
        assert leader.objective is not None
        # Compared all together: what is not finite is as bad as the worst of them.
        windows = [_looks(self.trials[i])[look] for i in (*asked, *finished)]
        gap = gaps(windows, at_leader, self.units)
        own = Rows(gap[: len(asked)], self.config[list(asked)])
        there = Rows(gap[len(asked) :], self.config[finished])
        final = bend((objectives - leader.objective) / unit)
        share = self.shares[look]
        ends = final_gaps(self.prior, share, there, final, own, self.units)
        assert ends is not None
        return ends, own.gaps

    def _last(self, leader: CohortTrial) -> list[int | None]:
        """Of each trial the last look that it and the leader have reached, and were evaluated at
        where any trial was; None of a finished one."""
        other, has_evals = _looks(leader), self.has_evals
        found: list[int | None] = []
        for trial in self.trials:
            own = _looks(trial)
            last = look = min(len(own), len(other), len(self.shares)) - 1
            while has_evals and look >= 0:
                if own[look].early_eval is not None and other[look].early_eval is not None:
                    break
                look -= 1
            found.append(None if trial.is_finished else look if look >= 0 else last)
        return found

    def _unit_of_ends(self) -> float | None:
        if self.has_evals:
            return self.units.early_eval
        if len(self.ends) < FEWEST_ENDS:
            return None
        return best_and_spread(self.ends)[1] or None

    def _spread_of_ends(self, leader: CohortTrial, unit: float, means: Sequence[Floats]) -> float:
        """Median - best of all ends, expected ones where they are not known, in early spreads."""
        assert leader.objective is not None
        final = bend((np.array(self.ends) - leader.objective) / unit)
        return best_and_spread(np.concatenate([final, *means]))[1]


def _looks(trial: CohortTrial) -> tuple[WindowSignals, ...]:
    assert trial.window is not None
    return (trial.window, *trial.looks)


def _alike(one: WindowSignals, other: WindowSignals) -> bool:
    is_evaluated = (one.early_eval is None) == (other.early_eval is None)
    return is_evaluated and one.samples == other.samples and one.phase == other.phase


def _or_last(value: float | None) -> float:
    return math.inf if value is None or not math.isfinite(value) else value
