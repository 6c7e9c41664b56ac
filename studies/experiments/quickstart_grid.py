"""Learning rate x batch size of the quickstart, unpruned, three seeds a cell:
`python -m studies.experiments.quickstart_grid OUT`. Prints the table of studies/LOG.md.

Every cell is a trial of the product itself; the seed is the order of the samples. A study that was
interrupted goes on where it stands.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from sweep.documents import to_json
from sweep.report.study_report import study_report
from sweep.storage.find import open_study

SEEDS = (0, 1, 2)
LEARNING_RATES = (5e-5, 2e-4, 5e-4, 2e-3)
BATCH_SIZES = (4, 8, 16, 64)


def run(out: Path, seed: int) -> None:
    settings = [
        f"name=quickstart-grid-{seed}",
        "search.sampler=grid",
        f"search.space.learning_rate={{choices: {list(LEARNING_RATES)}}}",
        f"search.space.batch_size={{choices: {list(BATCH_SIZES)}}}",
        "pruning.enabled=false",
        "pruning.early_eval=0",
        f"run.seed={seed}",
        f"run.trials={len(LEARNING_RATES) * len(BATCH_SIZES)}",
        "run.keep=none",
        "run.workers=2",
    ]
    sweep = str(Path(sys.executable).with_name("sweep"))
    command = [sweep, "run", "quickstart", "--out", str(out), "--set", *settings]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main(folder: str) -> None:
    cells: dict[tuple[float, int], list[float]] = defaultdict(list)
    for seed in SEEDS:
        out = Path(folder) / str(seed)
        run(out, seed)
        for trial in to_json(study_report(*open_study(str(out))))["trials"]:
            params = trial["params"]
            value = trial["objective"]
            cells[params["learning_rate"], params["batch_size"]].append(value or float("nan"))
    print("| learning rate | " + " | ".join(f"batch {size}" for size in BATCH_SIZES) + " |")
    print("| --- |" + " --- |" * len(BATCH_SIZES))
    for rate in LEARNING_RATES:
        shown = [show(cells[rate, size]) for size in BATCH_SIZES]
        print(f"| {rate:g} | " + " | ".join(shown) + " |")
    compare_with_edges(cells)


def show(values: list[float]) -> str:
    """Mean and its standard error over the seeds."""
    return f"{statistics.mean(values):.3f} ± {error(values):.3f}"


def error(values: list[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5


def compare_with_edges(cells: dict[tuple[float, int], list[float]]) -> None:
    """How far the best cell is above the best cell on each edge, in standard errors of the
    difference."""
    best = max(cells, key=lambda cell: statistics.mean(cells[cell]))
    print(f"best: learning rate {best[0]:g}, batch {best[1]}: {show(cells[best])}")
    edges = {
        "lowest rate": [cell for cell in cells if cell[0] == LEARNING_RATES[0]],
        "highest rate": [cell for cell in cells if cell[0] == LEARNING_RATES[-1]],
        "smallest batch": [cell for cell in cells if cell[1] == BATCH_SIZES[0]],
        "largest batch": [cell for cell in cells if cell[1] == BATCH_SIZES[-1]],
    }
    for name, edge in edges.items():
        other = max(edge, key=lambda cell: statistics.mean(cells[cell]))
        gap = statistics.mean(cells[best]) - statistics.mean(cells[other])
        spread = (error(cells[best]) ** 2 + error(cells[other]) ** 2) ** 0.5
        print(f"{name}: {show(cells[other])}; the best is {gap:+.3f}, {gap / spread:.1f} SE above")


if __name__ == "__main__":
    main(*sys.argv[1:])
