"""Scouting where nothing tells: `python -m studies.experiments.scouting_noise [STUDIES]`.

All trials of a study answer multiple choice at chance, so that neither their 64 early questions nor
any other number says which of them ends best. In `noise` half of the questions are answered alike
by all trials; in `mute` early evaluations truly differ, and say nothing all the same.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from predictor.recorded.runs import Curve, RecordedRun, RecordedStudy
from predictor.replay.comparison import replay_all
from predictor.replay.scouting import Scouting
from predictor.types import LOOKS, Settings

HORIZON, STEPS = 1000.0, 100
QUESTIONS, AT_THE_END, CHANCE = 64, 1024, 0.25


def study(seed: int, num_runs: int, kind: str) -> RecordedStudy:
    """A sweep of `num_runs` whose ends no early number tells."""
    rng = np.random.default_rng([seed, num_runs])
    shared = rng.random(QUESTIONS) < CHANCE
    runs = tuple(_run(rng, i, kind, shared) for i in range(num_runs))
    name = f"{kind} {num_runs} {seed}"
    return RecordedStudy(name, "noise", runs, in_samples=True, direction="maximize")


def _run(
    rng: np.random.Generator, number: int, kind: str, shared: NDArray[np.bool_]
) -> RecordedRun:
    skill = CHANCE if kind == "noise" else float(rng.uniform(0.1, 0.6))
    rows: list[tuple[float, float, float]] = []
    for look in LOOKS:
        right = rng.random(QUESTIONS) < skill
        if kind == "noise":
            right[: QUESTIONS // 2] = shared[: QUESTIONS // 2]
        share = float(right.mean())
        rows.append((look * HORIZON, 1 - share, np.sqrt(share * (1 - share) / QUESTIONS)))
    end = 1 - float((rng.random(AT_THE_END) < CHANCE).mean())
    table = np.array([*rows, (HORIZON, end, np.nan)])
    position = np.linspace(HORIZON / STEPS, HORIZON, STEPS)
    loss, norm = rng.normal(2, 0.1) + np.zeros(STEPS), np.exp(rng.normal(0, 0.3)) + np.zeros(STEPS)
    phase = np.zeros(STEPS, dtype=np.int64)
    curve = Curve(position, loss, norm, np.ones(STEPS), np.full(STEPS, np.nan), phase)
    config = {
        "learning_rate": float(10 ** rng.uniform(-5, -2)),
        "batch_size": int(2 ** rng.integers(3, 7)),
    }
    return RecordedRun(
        str(number), config, "0", HORIZON, curve, table[:, :2], end, eval_stderrs=table[:, 2]
    )


def main(num_studies: str = "1000") -> None:
    """Print compute, and misses as stated and as they were, for studies of 10 and 20 runs."""
    for kind in ("noise", "mute"):
        for num_runs in (10, 20):
            studies = [study(seed, num_runs, kind) for seed in range(int(num_studies))]
            policy = Scouting(Settings(audit=0.0), name="scouting")
            replays = replay_all(studies, [policy], num_orders=1)
            means = {
                "compute": np.mean([one.compute for one in replays]),
                "regret": np.mean([one.regret for one in replays]),
                "best lost": np.mean([one.lost_best for one in replays]),
                "misses stated": np.mean([one.stated_misses or 0.0 for one in replays]),
                "misses": np.mean([one.num_misses for one in replays]),
            }
            shown = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
            print(f"{kind}, {num_runs} runs: {shown}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
