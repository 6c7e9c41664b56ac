"""CPU time of a sampler's draw among 1,000 trials of a study that scouts: `python -m
benchmarks.ask_time`. A tenth of them are finished, the others parked at their first look."""

from __future__ import annotations

import math
import random
import time

import optuna

from predictor.gap.ends import expected_ends
from predictor.types import CohortTrial, WindowSignals
from sweep.driver import sampling
from sweep.driver.shadow import End, shadow_study
from tests.support.studies import make_study

NUM = 1000
SPACE = {
    "warmup_ratio": {"low": 0.0, "high": 0.1},
    "schedule": {"choices": ["constant", "cosine"]},
}


def main() -> None:
    """Print a line for each sampler: the least of five draws, the first of which imports."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for sampler in ("tpe", "cmaes"):
        study = make_study(SPACE, search={"sampler": sampler})
        truth = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
        rng = random.Random(0)
        cohort: list[CohortTrial] = []
        for number in range(NUM):
            params = sampling.suggest(truth.ask(), study)
            end = abs(math.log10(params["learning_rate"]) + 3) + rng.gauss(1, 0.1)
            window = WindowSignals(100, end + 0.3, end, None, end + rng.gauss(0, 0.1))
            cohort.append(CohortTrial(number, params, window, None if number % 10 else end))
        taken: list[tuple[float, float, float]] = []
        for _ in range(5):
            start = time.process_time()
            ends = expected_ends(cohort, [0.1])
            known = time.process_time()
            shadow = shadow_study(truth, {n: End(end) for n, end in ends.items()})
            shown = time.process_time()
            own = sampling.make_sampler(study, NUM, parallel=True)
            shadow.ask()
            trial = shadow.get_trials(deepcopy=False)[NUM]
            own.sample_relative(shadow, trial, own.infer_relative_search_space(shadow, trial))
            taken.append((known - start, shown - known, time.process_time() - shown))
        ends_s, shadow_s, draw_s = min(taken, key=sum)
        print(f"{sampler}: ends {ends_s:.3f} s, shadow {shadow_s:.3f} s, draw {draw_s:.3f} s")


if __name__ == "__main__":
    main()
