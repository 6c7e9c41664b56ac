"""What scouting costs, as shares of the full grid: every trial of the study trained to its end."""

from __future__ import annotations

from dataclasses import dataclass

EXPECTED_ENDS = 3.0
"""Full runs' worth of compute that is reckoned with beyond the first looks: the winner, one or two
more, and parts of others that are given up on the way. Recorded sets took more: 5 of 17 runs on the
GPU groups (studies/LOG.md, "scouting, replayed again")."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The trials that there will be, by the mean of those that have begun."""

    num: int  # trials that there will be
    flops: float  # of all of them to their ends; evaluations at looks are not counted
    first_look: float  # share of a trial that its first look closes

    @property
    def floor(self) -> float:
        """The share that scouting takes at least: all to their first look, and one to its end."""
        return self.first_look + (1 - self.first_look) / max(self.num, 1)

    @property
    def expected(self) -> float:
        """The share that is expected: all to their first look, and EXPECTED_ENDS to their ends."""
        ends = min(EXPECTED_ENDS, self.num)
        return self.first_look + (1 - self.first_look) * ends / max(self.num, 1)

    def flops_left(self, used: float, under_way: float) -> float:
        """FLOPs to come where `used` have been: at least those that what runs still takes."""
        return max(self.expected * self.flops - used, under_way)
