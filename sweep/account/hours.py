"""How many trials `run.trials: auto` means: as many scouts as `run.max_hours` has room for.

Pure arithmetic on what the scouts so far took. What was decided is on record with the study's
facts, under KEY, before anybody acts on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweep.account.grid import EXPECTED_ENDS

KEY = "hours"
FEWEST_SCOUTS = 4  # before any has told how long it takes
MARGIN = 1.1  # of the time that is kept: no two trials take the same


@dataclass(frozen=True, slots=True)
class Pace:
    """What trials take of a worker, in seconds of wall time: means over the scouts measured."""

    num: int = 0  # scouts measured
    scout_s: float = 0.0  # from its start, the model's loading included, to where it was parked
    rest_s: float = 0.0  # from there to its end, started anew at every look

    def measured(self, scout_s: float, rest_s: float) -> Pace:
        """With one more scout."""
        num = self.num + 1
        return Pace(
            num,
            self.scout_s + (scout_s - self.scout_s) / num,
            self.rest_s + (rest_s - self.rest_s) / num,
        )


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of a study with `run.trials: auto`, as they are on record."""

    trials: int = FEWEST_SCOUTS  # that there will be, as decided last
    used_s: float = 0.0  # wall time of all sessions so far
    pace: Pace = Pace()
    max_hours: float = 0.0  # run.max_hours as it was then
    ended: str = ""  # why no further scout is to come; "": one may

    def to_json(self) -> dict[str, Any]:
        """JSON values; `of` reads them."""
        return asdict(self)

    @staticmethod
    def of(facts: Mapping[str, Any]) -> Hours:
        """As a study's facts have them, or as they are before anything was decided."""
        values: dict[str, Any] | None = facts.get(KEY)
        if values is None:
            return Hours()
        pace = Pace(**values["pace"])
        return Hours(**{name: value for name, value in values.items() if name != "pace"}, pace=pace)


def kept_s(pace: Pace, workers: int, num_ended: int, replicates: int = 0) -> float:
    """Seconds of wall time that are kept for finishing.

    For EXPECTED_ENDS trials, less those that have ended already and never fewer than one, from
    their first look to their ends, and for the replicates asked for, each a whole run; so many at a
    time as there are workers; a tenth more, as no two trials take the same. The parts of other
    trials that are given up on the way are in EXPECTED_ENDS.
    """
    ends = max(1, math.ceil(EXPECTED_ENDS) - num_ended)
    finishing = math.ceil(ends / workers) * pace.rest_s
    again = math.ceil(replicates / workers) * (pace.scout_s + pace.rest_s)
    return MARGIN * (finishing + again)


def room(pace: Pace, workers: int, seconds: float) -> int:
    """How many scouts these seconds hold, on so many workers."""
    if pace.scout_s <= 0:
        return 0
    return max(0, math.floor(workers * seconds / pace.scout_s))
