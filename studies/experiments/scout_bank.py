"""Make the bank of sweeps with looks: `python -m studies.experiments.scout_bank OUT`.

The quickstart's base on three mixes: 24 configurations drawn at random, each with two orders of the
data, all trained to their end; at five looks and at the end both metrics and the margin of the
choices are measured. A study that was interrupted goes on where it stands.
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.experiments.bank import make_mix, run

MIXES = ("retention", "acquisition", "mixed")
NUM_CONFIGURATIONS = 24
SETTINGS = (
    "search.sampler=random",
    "search.space.learning_rate={low: 1.0e-5, high: 3.0e-2, log: true}",
    "search.space.batch_size={choices: [8, 16, 32, 64]}",
    "search.space.schedule={choices: [constant, linear, cosine]}",
    "search.space.warmup_ratio={low: 0.0, high: 0.1}",
    "search.space.weight_decay={choices: [0.0, 0.01, 0.1]}",
    "budget.samples=3072",
    "pruning.mode=scout",
    "pruning.window=0.05",
    "pruning.min_steps=2",
    "pruning.looks=[0.1, 0.2, 0.3, 0.5]",
    "pruning.early_eval=256",
    f"run.trials={NUM_CONFIGURATIONS}",
    "run.seed=0",
    "run.workers=2",
)
CONFIRM = f"run.confirm={{top: {NUM_CONFIGURATIONS}, seeds: 1}}"  # all of them, in another order


def main(folder: str) -> None:
    out = Path(folder).absolute()
    for mix in MIXES:
        make_mix(out / f"data-{mix}", mix)
    for confirm in ((), (CONFIRM,)):
        for mix in MIXES:
            settings = [f"name=quickstart-looks-{mix}", *SETTINGS, *confirm]
            run(out / mix, "quickstart", out / f"data-{mix}", settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
