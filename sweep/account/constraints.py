"""What the best trial must hold: constraints, how a trial stands to each, and how trials rank.

A trial holds a constraint where its 95 % interval, extended by the constraint's margin, lies on the
right side of the bound: paired with the base model over rows or questions where the bound is of the
base, else the value's own. Of questions none of which differs the standard error is 1 / their
number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sweep import formats as f
from sweep.storage.ledger import TrialRow
from sweep.storage.states import State
from trainer.contract.metrics import higher_is_better, is_share

if TYPE_CHECKING:  # pydantic: of no use where there are no constraints
    from sweep.config.objective import Constraint

Z95 = 1.959964  # of a normal 95 % interval, in standard errors


@dataclass(frozen=True, slots=True)
class Limit:
    """A constraint, as accounts read it."""

    metric: str
    amount: float  # the bound, or its distance from the base model's value
    is_of_base: bool
    is_least: bool  # else the most
    margin: float
    text: str

    @staticmethod
    def of(one: Constraint) -> Limit:
        """The limit that a constraint of a study file sets."""
        bound = one.bound
        is_least = one.at_least is not None
        return Limit(one.metric, bound.amount, bound.is_of_base, is_least, one.margin, str(one))


@dataclass(frozen=True, slots=True)
class Held:
    """How a trial stands to one constraint."""

    metric: str
    """what is constrained"""
    value: float | None
    """the trial's; null where it was not measured or is not finite: that breaks the constraint"""
    base: float | None
    """the base model's; null where it was not measured"""
    bound: float | None
    """as a number; null where it is of the base model, which was not measured"""
    distance: float | None
    """of the value from the bound, above 0 on its right side"""
    stderr: float | None
    """of `distance`: paired with the base model where the bound is of it; null where not known"""
    low: float | None
    """lower end of the 95 % interval of `distance`"""
    high: float | None
    """upper end of it"""
    slack: float | None
    """`low` + the constraint's margin: held from 0 on, below by how much it is broken"""
    is_held: bool
    """whether the trial holds the constraint"""
    is_within_noise: bool
    """whether the interval has the bound inside, so that either side may be the true one"""

    @property
    def told(self) -> str:
        """`words`, and by how much where it is broken."""
        by = "" if self.is_held or self.slack is None else f", by {f.number(-self.slack)}"
        return self.words + by

    @property
    def words(self) -> str:
        """holds, broken, and how sure that is."""
        if self.distance is None:
            return "broken: not measured, or not finite"
        if self.is_held:
            by_margin = self.low is not None and self.low < 0
            noise = ", within noise" if self.is_within_noise else ""
            return f"holds by its margin{noise}" if by_margin else "holds"
        return "broken, within noise" if self.is_within_noise else "broken for certain"


Stored = Mapping[str, Any]  # a Measurement, as the storage has it


@dataclass(frozen=True, slots=True)
class Goal:
    """What a study optimises, and what its best trial must hold."""

    metric: str
    limits: tuple[Limit, ...] = ()
    base: Mapping[str, Stored] = field(default_factory=dict[str, Stored])
    """the base model's measurements, by metric"""

    @staticmethod
    def of(objective: Mapping[str, Any], facts: Mapping[str, Any]) -> Goal:
        """From the section `objective` of a resolved study file, and the study's facts."""
        base = cast("Mapping[str, Stored]", facts.get("base_measurements") or {})
        return Goal(objective.get("metric", ""), _limits(objective), base)

    def held(self, row: TrialRow) -> tuple[Held, ...]:
        """How a trial at its end stands to each constraint."""
        found = row.measurements or {}
        return tuple(
            _held(limit, found.get(limit.metric), self.base.get(limit.metric))
            for limit in self.limits
        )

    def shortfall(self, row: TrialRow) -> float:
        """By how much a trial at its end breaks the constraints, all together; 0.0 where it holds
        each, infinite where one was not measured.

        The sum over constraints, as Optuna's samplers rank trials that are not feasible.
        """
        if not self.limits:
            return 0.0
        slacks = (held.slack for held in self.held(row))
        return math.fsum(math.inf if slack is None else max(0.0, -slack) for slack in slacks)

    def is_feasible(self, row: TrialRow) -> bool:
        """Whether a trial at its end holds every constraint."""
        return self.shortfall(row) == 0

    def broken(self, row: TrialRow) -> list[str]:
        """Each constraint that a trial at its end breaks, in words, and by how much."""
        pairs = zip(self.limits, self.held(row), strict=True)
        return [f"{limit.text}: {held.told}" for limit, held in pairs if not held.is_held]

    def place(self, row: TrialRow) -> tuple[float, float, int]:
        """What completed trials are ranked by, the best first: feasible ones by their objective,
        then the others, the nearest to feasible first; the earliest of equals first."""
        sign = -1 if higher_is_better(self.metric) else 1
        assert row.objective is not None
        return self.shortfall(row), sign * row.objective, row.number

    def slacks(self, row: TrialRow) -> dict[str, float]:
        """The slack of each constraint at a trial's end, by metric; -inf of what is not finite."""
        return {h.metric: -math.inf if h.slack is None else h.slack for h in self.held(row)}

    def broken_by(self, row: TrialRow) -> dict[str, float]:
        """By how much a completed trial breaks each constraint, by metric, 0 or less where it holds
        it, as samplers take it; {} of others."""
        slacks = self.slacks(row) if row.state == State.COMPLETED else {}
        return {metric: -slack for metric, slack in slacks.items()}

    def early_slacks(self, look: Stored) -> dict[str, tuple[float, float]]:
        """The slack that each constraint would have if the end were as the look, and the standard
        error of that, by metric; none of what the look did not measure.

        The interval at the end is narrower than the look's by the root of how many more rows or
        questions it has, which the base model's measurement tells.
        """
        found: dict[str, tuple[float, float]] = {}
        for limit in self.limits:
            own = self._at_look(look, limit.metric)
            if own is None:
                continue
            base = self.base.get(limit.metric)
            held = _held(limit, own, base)
            if held.distance is None:
                found[limit.metric] = (-math.inf, 0.0)
                continue
            error = held.stderr or 0.0
            at_end = error * math.sqrt(min(1.0, own["num"] / base["num"])) if base else error
            found[limit.metric] = (held.distance + limit.margin - Z95 * at_end, error)
        return found

    def _at_look(self, look: Stored, metric: str) -> Stored | None:
        """A metric as a look measured it, in the form of a Measurement; None where it did not."""
        if metric == self.metric:
            names = ("early_eval", "early_eval_num", "early_eval_stderr")
            value, num, stderr = (look.get(name) for name in names)
            own = None if value is None else {"value": value, "num": num, "stderr": stderr}
        else:
            own = look.get("early_others", {}).get(metric)
        over = look.get("over_base", {}).get(metric, {})
        pair = {"over_base": over.get("value"), "over_base_stderr": over.get("stderr")}
        return None if own is None else {**own, **pair}


def front(ends: Iterable[tuple[int, float, float]]) -> list[int]:
    """The trials that no other one dominates, of (number, objective, distance), both the higher the
    better: by the objective, the best first. Of equals all are on it."""
    found: list[int] = []
    most, last = -math.inf, None
    for number, objective, distance in sorted(ends, key=lambda one: (-one[1], -one[2], one[0])):
        if distance > most or (objective, distance) == last:
            found.append(number)
            most, last = distance, (objective, distance)
    return found


def _limits(objective: Mapping[str, Any]) -> tuple[Limit, ...]:
    stored = objective.get("constraints") or ()
    if not stored:
        return ()
    from sweep.config.objective import Constraint

    return tuple(Limit.of(Constraint.model_validate(one)) for one in stored)


def _held(limit: Limit, found: Stored | None, base: Stored | None) -> Held:
    value, at_base = _finite(found, "value"), _finite(base, "value")
    bound = limit.amount
    if limit.is_of_base:
        bound = None if at_base is None else at_base + limit.amount
    over, stderr = _finite(found, "over_base"), _finite(found, "stderr")
    side = 1.0 if limit.is_least else -1.0
    distance: float | None = None
    if value is not None and limit.is_of_base and over is not None:
        distance, stderr = side * (over - limit.amount), _finite(found, "over_base_stderr")
    elif value is not None and bound is not None:
        distance = side * (value - bound)
        if limit.is_of_base and stderr is not None:  # not paired: both err
            stderr = math.hypot(stderr, _finite(base, "stderr") or 0.0)
    if stderr == 0 and found is not None and is_share(limit.metric):
        stderr = 1 / found["num"]  # no question differs: one more might
    if distance is None:
        return Held(limit.metric, value, at_base, bound, None, None, None, None, None, False, False)
    half = Z95 * (stderr or 0.0)
    low, high = distance - half, distance + half
    slack = low + limit.margin
    ends = (distance, stderr, low, high, slack)
    return Held(limit.metric, value, at_base, bound, *ends, slack >= 0, low < 0 <= high)


def _finite(found: Stored | None, name: str) -> float | None:
    value = None if found is None else found.get(name)
    return value if value is not None and math.isfinite(value) else None
