"""Measurements row by row, and two of them paired."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.contract.measurement import Measurement
from trainer.evaluation.rows import Rows, by_group, over_base

SEED = 7


def test_packing_keeps_scores_and_weights() -> None:
    rows = Rows(np.array([0.5, 1.0, -2.25]), np.array([1.0, 2.0, 4.0]))
    found = Rows.unpacked(rows.packed())
    np.testing.assert_array_equal(found.scores, rows.scores)
    np.testing.assert_array_equal(found.weights, rows.weights)


def test_weights_that_are_alike_take_no_room() -> None:
    rows = Rows.alike(np.array([0.0, 1.0, 1.0]))
    assert rows.packed().weights == b""
    np.testing.assert_array_equal(Rows.unpacked(rows.packed()).weights, rows.weights)


def test_a_mean_is_weighted_and_its_error_that_of_draws() -> None:
    rng = np.random.default_rng(SEED)
    rows = Rows(rng.normal(size=300), rng.integers(1, 9, 300).astype(float))
    draws = [rows.at(rng.integers(0, 300, 300)).mean for _ in range(4000)]
    assert rows.mean == pytest.approx(np.average(rows.scores, weights=rows.weights))
    assert rows.stderr == pytest.approx(np.std(draws), rel=0.1)


def test_one_row_has_no_error() -> None:
    assert Rows.alike(np.array([1.0])).stderr is None


def test_groups_without_a_name_are_none() -> None:
    found = by_group(Rows.alike(np.array([1.0, 0.0, 0.0])), ["a", "", "a"])
    assert {name: rows.mean for name, rows in found.items()} == {"a": 0.5}


def test_the_difference_to_the_base_is_paired() -> None:
    """Questions that both get right or wrong tell nothing, so the error is far below a single
    one's."""
    rng = np.random.default_rng(SEED)
    base = Rows.alike((rng.random(1000) < 0.5).astype(float))
    scores = base.scores.copy()
    scores[np.flatnonzero(scores == 0)[:20]] = 1.0
    own = Rows.alike(scores)
    found = over_base(Measurement(own.mean, 1000, 0, 0.0), own, base)
    assert found.over_base == pytest.approx(0.02)
    assert found.over_base_stderr == pytest.approx(np.sqrt(0.02 * 0.98 / 999))
    assert own.stderr is not None and found.over_base_stderr is not None
    assert found.over_base_stderr < own.stderr / 3
