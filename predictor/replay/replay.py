"""What a policy would have done on a recorded study, event by event.

The runs start in an order shuffled by a seed, on some workers; a worker that is free takes the next
one. Time and cost of a run are proportional to its cost along its position. A policy hears of
starts, looks and ends in the order of time, and of nothing before it has happened.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from predictor.recorded.runs import RecordedRun, RecordedStudy
from predictor.replay.regret import LOST, Ends
from predictor.target import beats
from predictor.types import Settings


class Answer(NamedTuple):
    """A policy's decision on a run that it looks at. A run that waits keeps no worker."""

    action: Literal["go on", "stop", "wait"]
    probability: float | None = None  # P(beats the incumbent), where the policy states one
    p0: float | None = None  # P before the run is looked at
    reason: str | None = None  # in words, where the policy has some


TIME_DIGITS = 9  # events that differ by less are of one moment

GO_ON, STOP, WAIT = Answer("go on"), Answer("stop"), Answer("wait")


class Session(Protocol):
    """A policy on one study in one order. `run` is an index into the study's runs.

    It may hold the study, but must not use of a run what lies behind its last event.
    """

    def start(self, run: int) -> Sequence[float]:
        """A run starts: the positions, ascending, at which the session wants to look at it."""
        ...

    def look(self, run: int, position: float) -> Answer:
        """The run has come to a position that was asked for."""
        ...

    def end(self, run: int) -> None:
        """The run has ended: at its horizon, its objective known, or by a guard."""
        ...

    def wants_more(self) -> bool:
        """Whether a further run is to be started: asked whenever a worker is free."""
        ...

    def resume(self, waiting: Sequence[int]) -> int | None:
        """Which of the runs that wait goes on: asked while a worker is free and none is to start.

        None: none for now. Those that wait when nothing runs any more are given up.
        """
        ...

    def give_up(self, run: int) -> Answer:
        """What there is to say of a run that waits when nothing runs any more."""
        ...


class Policy(Protocol):
    """What decides in a replay which runs go on."""

    @property
    def name(self) -> str:
        """What tables and messages call it."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What it was run with, as JSON values."""
        ...

    def begin(self, study: RecordedStudy, seed: int) -> Session:
        """A session on `study`, all of whose runs can be replayed; `seed` is that of the order."""
        ...


@dataclass(frozen=True, slots=True)
class Prune:
    """A run that a policy stopped."""

    run: str
    share: float  # of the run that was trained
    probability: float | None
    p0: float | None
    is_miss: bool  # it would have beaten the incumbent of that moment by min_gain x spread
    reason: str | None = None  # the policy's; trials in it are indices into the study's runs


@dataclass(frozen=True, slots=True)
class Replay:
    """One study, replayed once. Regrets are shares of (median - best) of all its objectives."""

    study: str
    policy: str
    seed: int  # of the order
    compute: float  # share of running everything to its end
    regret: float  # best kept - best of all; 0 where all tie
    random_regret: float  # expected of as many random runs as this compute trains to their end
    config_regret: float | None  # by seed means of configurations; None where each has one seed
    wall: float  # in mean full runs
    kept: tuple[str, ...]  # trained to their end, with an objective
    prunes: tuple[Prune, ...]
    states_risk: bool  # the policy stated a probability of some run

    @property
    def lost_best(self) -> bool:
        """Whether the best run was lost: the regret is more than LOST."""
        return self.regret > LOST

    @property
    def stated_misses(self) -> float | None:
        """The sum of P over the prunes; None where the policy states none."""
        stated = [p.probability for p in self.prunes if p.probability is not None]
        return sum(stated) if self.states_risk and len(stated) == len(self.prunes) else None

    @property
    def num_misses(self) -> int:
        """How many pruned runs would have beaten the best of that moment."""
        return sum(prune.is_miss for prune in self.prunes)


def replayable(study: RecordedStudy) -> RecordedStudy:
    """The study without runs whose end is not known: those that failed or were pruned by rank.

    ValueError where no run is left that was trained to its end.
    """
    runs = tuple(run for run in study.runs if run.is_finished or run.stopped_at is not None)
    if not any(run.is_finished for run in runs):
        raise ValueError(f"{study.name}: none of its {len(study.runs)} runs was trained to its end")
    return replace(study, runs=runs)


def floor(num_runs: int, startup: int, window: float) -> float:
    """The least compute of one look: `startup` runs in full, of the others the window alone."""
    startup = min(startup, num_runs)
    return (startup + window * (num_runs - startup)) / num_runs


def replay(
    study: RecordedStudy,
    policy: Policy,
    *,
    seed: int,
    num_workers: int = 1,
    min_gain: float = Settings().min_gain,
) -> Replay:
    """What the policy did on `study`, which is as `replayable` gives it. Events of one moment come
    in the order of the starts.

    A run that a guard ended ends there under every policy. `min_gain`: of what counts as a miss.
    """
    return _Engine(study, policy, seed, num_workers, min_gain).run()


class _Event(NamedTuple):
    time: float  # in mean full runs
    place: int  # of the run in the order
    run: int
    look: int  # of the run's looks; their number is its end


class _Engine:
    def __init__(
        self, study: RecordedStudy, policy: Policy, seed: int, num_workers: int, min_gain: float
    ) -> None:
        self.study, self.policy, self.seed, self.min_gain = study, policy, seed, min_gain
        self.ends = Ends.of(study)
        self.mean_cost = sum(run.cost for run in study.runs) / len(study.runs)
        self.session = policy.begin(study, seed)
        order = np.random.default_rng(seed).permutation(len(study.runs))
        self.queue = deque(int(i) for i in order)
        self.place = {run: place for place, run in enumerate(self.queue)}
        self.num_free = num_workers
        self.events: list[_Event] = []
        self.looks: dict[int, list[float]] = {}
        self.reached = [0.0] * len(study.runs)  # positions
        self.waiting: dict[int, int] = {}  # the run and its next look
        self.kept: list[int] = []
        self.prunes: list[Prune] = []
        self.states_risk = False
        self.now = 0.0

    def run(self) -> Replay:
        self._fill_workers()
        while self.events:
            event = heapq.heappop(self.events)
            self.now = event.time
            looks = self.looks[event.run]
            if event.look == len(looks):
                self._end(event.run)
            else:
                self._look(event.run, event.look, looks[event.look])
            self._fill_workers()
        for run in self.waiting:
            self._give_up(run)
        return self._result()

    def _fill_workers(self) -> None:
        while self.num_free and self.queue and self.session.wants_more():
            run = self.queue.popleft()
            end = _end_of(self.study.runs[run])
            self.looks[run] = [p for p in self.session.start(run) if p < end]
            self._go_on(run, 0)
        while self.num_free and self.waiting:
            run = self.session.resume(tuple(self.waiting))
            if run is None:
                return
            self._go_on(run, self.waiting.pop(run))

    def _go_on(self, run: int, look: int) -> None:
        """To the run's next look, or to its end, on a worker that was free."""
        self.num_free -= 1
        self._schedule(run, look)

    def _schedule(self, run: int, look: int) -> None:
        recorded, looks = self.study.runs[run], self.looks[run]
        target = looks[look] if look < len(looks) else _end_of(recorded)
        share = (target - self.reached[run]) / recorded.horizon
        self.reached[run] = target
        time = round(self.now + share * recorded.cost / self.mean_cost, TIME_DIGITS)
        heapq.heappush(self.events, _Event(time, self.place[run], run, look))

    def _look(self, run: int, look: int, position: float) -> None:
        answer = self.session.look(run, position)
        self.states_risk |= answer.probability is not None
        if answer.action == "go on":
            self._schedule(run, look + 1)
            return
        self.num_free += 1
        if answer.action == "wait":
            self.waiting[run] = look + 1
        else:
            self._prune(run, answer)

    def _give_up(self, run: int) -> None:
        answer = self.session.give_up(run)
        self.states_risk |= answer.probability is not None
        self._prune(run, answer)

    def _end(self, run: int) -> None:
        self.num_free += 1
        if self.study.runs[run].is_finished:
            self.kept.append(run)
        self.session.end(run)

    def _prune(self, run: int, answer: Answer) -> None:
        recorded = self.study.runs[run]
        finished = [self.ends.objectives[i] for i in self.kept]
        self.prunes.append(
            Prune(
                recorded.name,
                self.reached[run] / recorded.horizon,
                answer.probability,
                answer.p0,
                is_miss=beats(recorded.objective, finished, self.min_gain),
                reason=answer.reason,
            )
        )

    def _result(self) -> Replay:
        costs = np.array([run.cost for run in self.study.runs])
        horizons = np.array([run.horizon for run in self.study.runs])
        compute = float(costs @ (np.array(self.reached) / horizons) / costs.sum())
        return Replay(
            study=self.study.name,
            policy=self.policy.name,
            seed=self.seed,
            compute=compute,
            regret=self.ends.regret(self.kept),
            random_regret=self.ends.random_regret(compute),
            config_regret=self.ends.config_regret(self.kept),
            wall=self.now,
            kept=tuple(self.study.runs[run].name for run in self.kept),
            prunes=tuple(self.prunes),
            states_risk=self.states_risk,
        )


def _end_of(run: RecordedRun) -> float:
    return run.horizon if run.stopped_at is None else run.stopped_at
