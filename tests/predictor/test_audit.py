"""The audit coin: fair, fixed by seed and trial number, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.audit import is_audited


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_the_share_of_audited_trials_is_the_one_asked_for(share):
    num_trials = 20_000
    num_audited = sum(is_audited(seed, n, share) for seed in range(10) for n in range(2_000))
    standard_error = np.sqrt(share * (1 - share) / num_trials)
    assert abs(num_audited / num_trials - share) < 4 * standard_error


@pytest.mark.parametrize(("share", "expected"), [(0.0, False), (1.0, True)])
def test_share_0_is_never_and_1_is_always(share, expected):
    assert all(is_audited(0, n, share) is expected for n in range(1_000))


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_only_adds_trials(seed, number, one, other):
    low, high = sorted((one, other))
    assert is_audited(seed, number, low) <= is_audited(seed, number, high)


def test_seeds_and_numbers_do_not_run_together():
    assert [is_audited(1, 23 + n, 0.5) for n in range(50)] != [
        is_audited(12, 3 + n, 0.5) for n in range(50)
    ]


def test_the_coin_is_the_same_in_every_process():
    code = (
        "from predictor.audit import is_audited;"
        "print([n for n in range(200) if is_audited(7, n, 0.1)])"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == str([n for n in range(200) if is_audited(7, n, 0.1)])
