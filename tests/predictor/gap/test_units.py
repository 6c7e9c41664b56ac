"""What separates trials at one look."""

from __future__ import annotations

import math

import pytest

from predictor.gap.units import SIGNALS, Units, gaps
from predictor.types import WindowSignals

OTHERS = SIGNALS.index("others")


def window(early_eval: float, **others: float) -> WindowSignals:
    return WindowSignals(100, 1.0, 1.0, None, early_eval, early_others=others)


def test_other_evaluations_count_by_their_mean_each_in_units_of_its_own() -> None:
    one = [window(float(i), accuracy=-0.1 * i) for i in range(5)]
    two = [window(float(i), accuracy=-0.1 * i, margin=-20.0 * i) for i in range(5)]
    same = [gaps(own, own[2], Units.of(own))[:, OTHERS] for own in (one, two)]
    assert same[0] == pytest.approx(same[1])
    assert same[0][2] == 0
    assert same[0][1] == pytest.approx(-same[0][3])
    assert same[0][1] > 0


def test_what_nobody_measured_or_all_share_is_missing() -> None:
    assert Units.of([window(1.0), window(2.0)]).missing == {"others", "loss", "grad_norm"}
    alike = [window(1.0, accuracy=0.5), window(2.0, accuracy=0.5)]
    assert "others" in Units.of(alike).missing


def test_an_evaluation_that_is_not_finite_counts_as_the_worst() -> None:
    own = [window(1.0, margin=0.0), window(2.0, margin=1.0), window(3.0, margin=math.nan)]
    found = gaps(own, own[0], Units.of(own))[:, OTHERS]
    assert found[2] == found[1] > 0
