"""The driver's trials, with what is asked of all of them counted as they move.

A study of ten thousand trials is asked at every tick, decision and settling: how many there are of
a state, which is best, whom to compare with, what was spent. So no answer here goes through the
trials; `cohort`, which must list them, lists what was made when each was settled.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field, replace

from predictor.types import CohortTrial
from sweep.account.compute import usage_of
from sweep.account.constraints import Goal
from sweep.account.grid import Grid
from sweep.account.objective import ended_with, phase_of
from sweep.account.outlook import Phases
from sweep.account.replicates import best_first
from sweep.driver.cohort import Look, cohort_trial, look_of
from sweep.driver.trial import SETTLED, State, Trial
from sweep.storage.ledger import TrialRow
from sweep.storage.states import UNDER_WAY


@dataclass(slots=True)
class Totals:
    """Counts of settled trials, replicates among them, as `account.compute.account` counts them."""

    num: int = 0
    audited: int = 0
    used_flops: float = 0.0
    planned_flops: float = 0.0  # of failed trials none
    seconds: float = 0.0

    def add(self, trial: Trial, state: State, sign: int = 1) -> None:
        """Count a settled trial, or with `sign` -1 take it out again."""
        spent = usage_of(trial.costs.values())
        self.num += sign
        self.audited += sign * trial.is_audited
        self.used_flops += sign * spent.flops
        if state is not State.FAILED:
            self.planned_flops += sign * trial.row.planned_flops
        self.seconds += sign * spent.seconds


@dataclass(slots=True)
class _Alike:
    """Settled originals whose windows were looked at alike: as they are, and without the window."""

    seen: dict[int, CohortTrial] = field(default_factory=dict[int, CohortTrial])
    blank: dict[int, CohortTrial] = field(default_factory=dict[int, CohortTrial])


class Roster:
    """A study's trials by number, and what is counted of them."""

    def __init__(self, goal: Goal, num_contenders: int = 1) -> None:
        """`num_contenders`: how many of the best originals are to be known."""
        self.goal, self.metric = goal, goal.metric
        self.num_contenders = num_contenders
        self.trials: dict[int, Trial] = {}
        self.totals = Totals()
        self.planned_flops = 0.0  # of all originals
        self.first_look_flops = 0.0  # of these, up to their first looks
        self._of_state: dict[State, dict[int, Trial]] = {state: {} for state in State}
        self._replicates: dict[int, Trial] = {}
        self._alike: dict[Look, _Alike] = {}
        self._ranked: list[tuple[float, float, int]] = []  # completed originals, by Goal.place
        self._ended: dict[int, dict[int, float]] = {}  # by phase, then trial

    def add(self, trial: Trial) -> None:
        """The trial, in whatever state, is in the roster; its moves are followed from now on."""
        self.trials[trial.number] = trial
        if trial.is_replicate:
            self._replicates[trial.number] = trial
        else:
            spec, planned = trial.spec, trial.row.planned_flops
            self.planned_flops += planned
            self.first_look_flops += planned * spec.window_steps / spec.num_steps
        trial.on_move = self._moved
        self._enter(trial)

    # --- what there is

    @property
    def originals(self) -> int:
        """How many trials there are but for the replicates."""
        return len(self.trials) - len(self._replicates)

    def grid(self, num: int) -> Grid | None:
        """The full grid of `num` trials, by the mean of the originals. None before there is one."""
        if not self.planned_flops:
            return None
        flops = self.planned_flops / self.originals * num
        return Grid(num, flops, self.first_look_flops / self.planned_flops)

    def count(self, *states: State) -> int:
        """How many of the originals are in one of these states."""
        return sum(len(self._of_state[state]) for state in states)

    def of(self, *states: State) -> list[Trial]:
        """The originals in these states, in no order."""
        return [trial for state in states for trial in self._of_state[state].values()]

    @property
    def has_replicates(self) -> bool:
        """Whether any replicate has been made."""
        return bool(self._replicates)

    @property
    def running(self) -> list[Trial]:
        """The trials that run, replicates too, by number."""
        replicates = (trial for trial in self._replicates.values() if trial.state is State.RUNNING)
        return sorted([*self.of(State.RUNNING), *replicates], key=lambda trial: trial.number)

    @property
    def contenders(self) -> list[TrialRow]:
        """All that the best is chosen from: the best originals, and the replicates."""
        best = [self.trials[number].row for *_, number in self._ranked[: self.num_contenders]]
        return [*best, *(trial.row for trial in self._replicates.values())]

    @property
    def phases(self) -> Phases:
        """The phases of originals with a window, for `account.outlook`."""
        found = {phase: ended.items() for phase, ended in self._ended.items()}
        under_way = self.of(*UNDER_WAY)
        seen = {phase for trial in under_way if (phase := phase_of(trial.row)) is not None}
        return {**dict.fromkeys(seen, ()), **found}

    def cohort_of(self, trial: Trial) -> list[CohortTrial]:
        """All originals; without its window one that was looked at in another way, as `pruning` may
        have changed. Its expected miss counts all the same. One that breaks a constraint has no
        end: it is nothing to beat."""
        own, found = look_of(trial), list[CohortTrial]()
        for look, alike in self._alike.items():
            found += (alike.seen if look == own else alike.blank).values()
        for other in self.of(*UNDER_WAY):
            seen = cohort_trial(other, self.metric)
            found.append(seen if look_of(other) == own else replace(seen, window=None))
        return found

    @property
    def objectives(self) -> list[float]:
        """The objectives of completed originals that hold every constraint, lower is better."""
        settled = (seen for alike in self._alike.values() for seen in alike.seen.values())
        return [seen.objective for seen in settled if seen.objective is not None]

    # --- as they move

    def _moved(self, trial: Trial, before: State) -> None:
        if not trial.is_replicate:
            del self._of_state[before][trial.number]
        if before in SETTLED:  # a failed one is to be tried again
            self.totals.add(trial, before, -1)
            self._alike[look_of(trial)].seen.pop(trial.number, None)
            self._alike[look_of(trial)].blank.pop(trial.number, None)
        self._enter(trial)

    def _enter(self, trial: Trial) -> None:
        if trial.state in SETTLED:
            self.totals.add(trial, trial.state)
        if trial.is_replicate:
            return
        self._of_state[trial.state][trial.number] = trial
        if trial.state not in SETTLED:
            return
        seen, is_feasible = cohort_trial(trial, self.metric), self.goal.is_feasible(trial.row)
        if not is_feasible:
            seen = replace(seen, objective=None)
        alike = self._alike.setdefault(look_of(trial), _Alike())
        alike.seen[trial.number] = seen
        alike.blank[trial.number] = replace(seen, window=None)
        if (phase := phase_of(trial.row)) is not None:
            ended = self._ended.setdefault(phase, {})
            objective = ended_with(trial.row, self.metric)
            if objective is not None and is_feasible:
                ended[trial.number] = objective
        if found := best_first([trial.row], self.goal):
            insort(self._ranked, self.goal.place(found[0]))
