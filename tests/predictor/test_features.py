"""The columns that a cohort becomes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from predictor.features import config_columns, tabulate
from predictor.types import CohortTrial, WindowSignals

VALUES = {
    "batch_size": (8, 16, 16.0, True),
    "learning_rate": (1e-3, 1e-4, None, 3e-4),
    "schedule": ("constant", "cosine", "linear"),
    "warmup_ratio": (0.0, -0.0, 0.03, None),
    "weight_decay": (0.1,),
}


@pytest.mark.parametrize("num", (1, 2, 40, 500))
@pytest.mark.parametrize("share_missing", (0.0, 0.3))
def test_points_are_numbered_as_numpy_numbers_the_rows_of_a_table(
    num: int, share_missing: float
) -> None:
    rng = random.Random(num)
    configs = [
        {name: rng.choice(of) for name, of in VALUES.items() if rng.random() >= share_missing}
        for _ in range(num)
    ]
    window = WindowSignals(100, 2.0, 1.0, None, 1.5)
    trials = [CohortTrial(number, config, window) for number, config in enumerate(configs)]
    columns = np.nan_to_num(config_columns(configs), nan=np.inf)
    expected = np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1)
    assert tabulate(trials, 3).design.points.tolist() == expected.tolist()
