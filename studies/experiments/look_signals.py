"""How each early number orders the ends: `python -m studies.experiments.look_signals DIR/X [SEED]`.

Spearman's rho with the final objective, all as minimized, at each share of the budget; of every
group of a recorded set, over its finished runs with that seed (0).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr  # pyright: ignore[reportMissingTypeStubs]

from predictor.recorded.files import read_frames
from predictor.recorded.frames import studies_from_frames
from predictor.recorded.runs import RecordedStudy
from predictor.types import WindowSignals

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)


def rhos(study: RecordedStudy, share: float) -> Mapping[str, float]:
    """By the number's name."""
    close = math.ceil(share * min(run.horizon for run in study.runs))
    seen: list[tuple[WindowSignals, float]] = [
        (trial.window, trial.objective)
        for trial in study.trials(close)
        if trial.is_finished and trial.window is not None and trial.objective is not None
    ]
    ends = [end for _, end in seen]
    columns = {
        "objective": [window.early_eval for window, _ in seen],
        "training loss": [window.loss for window, _ in seen],
        "gradient norm": [window.grad_norm for window, _ in seen],
    }
    for name in sorted(seen[0][0].early_others):
        columns[name] = [window.early_others.get(name) for window, _ in seen]
    found: Mapping[str, Any] = {n: spearmanr(values, ends) for n, values in columns.items()}
    return {name: float(one.statistic) for name, one in found.items()}


def main(prefix: str, seed: str = "0") -> None:
    for whole in studies_from_frames(*read_frames(Path(prefix))):
        study = replace(whole, runs=tuple(run for run in whole.runs if run.seed == seed))
        num = sum(run.is_finished for run in study.runs)
        tables = {share: rhos(study, share) for share in SHARES}
        names = list(next(iter(tables.values())))
        print(f"\n{study.name}, {num} runs\n| share | {' | '.join(names)} |")
        print("| --- " * (1 + len(names)) + "|")
        for share, table in tables.items():
            print(f"| {share:g} | {' | '.join(f'{table[name]:+.2f}' for name in names)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
