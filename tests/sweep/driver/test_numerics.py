"""Rounding that would decide in the configuration's place, and a data type that the device is slow
with, are told before a step is trained."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.driver.numerics import cautions
from tests.support.studies import make_study

SPACE = {"learning_rate": {"low": 1e-6, "high": 1e-4, "log": True}, "batch_size": 8}


def test_steps_that_bfloat16_weights_lose_are_told_with_numbers() -> None:
    (told,) = cautions(make_study(SPACE, model={"weights": "bfloat16"}), "cuda")
    assert "learning_rate 1e-06 moves only weights smaller than 0.00051" in told
    assert "0.0001 those smaller than 0.051" in told


@pytest.mark.parametrize("model", [{}, {"tuning": "lora", "weights": "bfloat16"}])
def test_nothing_is_told_where_steps_are_kept(model: dict[str, Any]) -> None:
    assert not list(cautions(make_study(SPACE, model=model), "cuda"))


@pytest.mark.parametrize(
    ("dtype", "device", "is_slow"),
    [
        ("bfloat16", "cpu", True),
        ("float32", "cpu", False),
        ("bfloat16", "cuda", False),
        ("bfloat16", "mps", False),
    ],
)
def test_that_a_cpu_is_slow_in_bfloat16_is_told(dtype: str, device: str, is_slow: bool) -> None:
    told = list(cautions(make_study(SPACE, model={"dtype": dtype}), device))
    assert [each.partition(":")[0] for each in told] == ["model.dtype"] * is_slow
    assert all("several times slower than float32" in each for each in told)


def test_both_are_told() -> None:
    told = cautions(make_study(SPACE, model={"weights": "bfloat16"}), "cpu")
    assert [each.partition(":")[0] for each in told] == ["model.weights", "model.dtype"]
