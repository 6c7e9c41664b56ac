"""What scouting takes of the full grid: at least, and as expected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.account.grid import Grid


def test_the_floor_is_all_to_their_first_look_and_one_to_its_end() -> None:
    grid = Grid(num=10, flops=1000.0, first_look=0.1)
    assert grid.floor == pytest.approx(0.19)
    assert grid.expected == pytest.approx(0.37)  # three to their end


@given(st.integers(1, 10_000), st.floats(0.0, 1.0))
def test_no_more_is_expected_than_the_whole_and_no_less_than_the_floor(
    num: int, first_look: float
) -> None:
    grid = Grid(num, 1.0, first_look)
    assert first_look <= grid.floor <= grid.expected + 1e-9 <= 1 + 2e-9


def test_what_is_left_is_at_least_what_runs_still_takes() -> None:
    grid = Grid(num=10, flops=1000.0, first_look=0.1)
    assert grid.flops_left(used=100.0, under_way=30.0) == pytest.approx(270)
    assert grid.flops_left(used=900.0, under_way=30.0) == 30
