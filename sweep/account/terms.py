"""What a study's resolved file says that its accounts go by.

It is read from the storage, where earlier versions wrote files that say less: each default here is
what such a file stood for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from sweep.account.constraints import Goal
from sweep.account.hours import Hours
from sweep.account.replicates import Plan
from sweep.documents import Json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredPruning:
    """What the section `pruning` asks of the study as a whole."""

    enabled: bool
    risk: float | None  # None: of a version that stated no probabilities
    min_gain: float
    startup: int
    stop: bool
    max_expected_misses: float | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a study file asks of the study as a whole, read from the resolved document."""

    goal: Goal  # objective.metric and objective.constraints
    num_trials: int | None  # that there will be, by run.trials; None: as many as there are
    confirm: Plan
    pruning: StoredPruning
    space: Mapping[str, Json]
    keep: str | None  # run.keep
    tuning: str  # model.tuning

    @property
    def metric(self) -> str:
        """What is optimised."""
        return self.goal.metric

    @staticmethod
    def of(document: Mapping[str, Json], facts: Mapping[str, Json] | None = None) -> Terms:
        """The terms of a resolved study file; `facts`: the study's, where run.trials auto may have
        been decided and the base model's measurements stand."""

        def setting(path: str, default: T) -> T:
            section, _, key = path.rpartition(".")
            return cast("T", at(document, section).get(key, default))

        trials = setting("run.trials", cast("int | str | None", None))
        return Terms(
            goal=Goal.of(at(document, "objective"), facts or {}),
            num_trials=Hours.of(facts or {}).trials if isinstance(trials, str) else trials,
            confirm=Plan(setting("run.confirm.top", 0), setting("run.confirm.seeds", 2)),
            pruning=StoredPruning(
                enabled=setting("pruning.enabled", True),
                risk=setting("pruning.risk", None),
                min_gain=setting("pruning.min_gain", 0.0),
                startup=setting("pruning.startup", 1),
                stop=setting("pruning.stop", False),
                max_expected_misses=setting("pruning.max_expected_misses", None),
            ),
            space=at(document, "search.space"),
            keep=setting("run.keep", None),
            tuning=setting("model.tuning", "full"),
        )


def at(document: Mapping[str, Json], path: str) -> Mapping[str, Json]:
    """The mapping at a path such as `search.space`; empty where there is none."""
    found: Json = document
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return cast("Mapping[str, Json]", found) if isinstance(found, Mapping) else {}
