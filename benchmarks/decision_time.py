"""How long one decision takes: `python -m benchmarks.decision_time [FINISHED...]`.

CPU time of `judge` for a trial at its window, among finished trials with four searched
hyperparameters; the median and the slowest of 50 trials, the first left out as it imports.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from predictor.judge import judge
from predictor.types import CohortTrial, Settings, WindowSignals

NUM_TIMED = 50


def cohort(num: int) -> list[CohortTrial]:
    rng = np.random.default_rng(0)
    return [
        CohortTrial(
            number,
            {
                "learning_rate": float(10 ** rng.uniform(-6, -3)),
                "batch_size": int(2 ** rng.integers(2, 8)),
                "schedule": ("constant", "linear")[number % 2],
                "weight_decay": float(rng.choice([0.0, 0.1])),
            },
            WindowSignals(100, *rng.uniform(1, 2, 3), early_eval=float(rng.uniform(1, 2))),
            float(rng.uniform(1, 2)),
        )
        for number in range(num)
    ]


def main(*sizes: str) -> None:
    for size in map(int, sizes or ("10", "100", "1000")):
        finished = cohort(size)
        times_ms: list[float] = []
        for trial in cohort(NUM_TIMED + 1):
            start = time.process_time()
            judge(CohortTrial(-1, trial.config, trial.window), finished, Settings())
            times_ms.append(1000 * (time.process_time() - start))
        print(
            f"{size} finished: median {statistics.median(times_ms[1:]):.2f} ms, "
            f"slowest {max(times_ms[1:]):.2f} ms"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
