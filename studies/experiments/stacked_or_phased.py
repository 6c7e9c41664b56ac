"""Stacked against phased on the quickstart's data, three seeds each.

`python -m studies.experiments.stacked_or_phased OUT`. Prints the table of studies/LOG.md.

Phase 1 is knowledge (facts, known and new), phase 2 skills (counting, ordering, ...), as LAB orders
them. Everything else is the same, each strategy at its own best of three learning rates.
The seed is the order of the samples.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

from studies.experiments.quickstart_grid import error, show
from sweep.documents import to_json
from sweep.report.study_report import study_report
from sweep.storage.find import open_study

SEEDS = (0, 1, 2)
LEARNING_RATES = (2e-4, 5e-4, 1e-3)
REPLAYS = (0.0, 0.2)
DATA = Path(__file__).parents[1] / "quickstart"


def write_phases(folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    rows = (DATA / "train.jsonl").read_text().splitlines()
    is_knowledge = [
        json.loads(row)["group"].startswith("retention")
        or json.loads(row)["group"] == "acquisition-facts"
        for row in rows
    ]
    paths = []
    for name, wanted in (("knowledge", True), ("skills", False)):
        path = (folder / f"{name}.jsonl").absolute()
        own = [row for row, known in zip(rows, is_knowledge, strict=True) if known is wanted]
        path.write_text("\n".join(own) + "\n")
        paths.append(str(path))
    return paths


def run(out: Path, phases: list[str], seed: int, replay: float) -> None:
    strategies = "{choices: [stacked, phased]}" if replay == 0 else "phased"
    study = out / f"phases-{seed}-{replay:g}.yaml"
    study.write_text(
        f"""name: phases-{seed}-{replay:g}
model: {{base: {DATA / "base"}, dtype: float32}}
data:
  phases: {json.dumps(phases)}
  replay: {replay}
  eval: {DATA / "eval.jsonl"}
  max_length: 64
budget: {{samples: 2048}}
search:
  sampler: grid
  recipes: []
  space:
    learning_rate: {{choices: {list(LEARNING_RATES)}}}
    batch_size: 16
    strategy: {strategies}
objective: {{metric: choice_accuracy, also: [eval_loss]}}
pruning: {{enabled: false, early_eval: 0}}
run: {{trials: {3 if replay else 6}, workers: 2, seed: {seed}, keep: none}}
"""
    )
    sweep = str(Path(sys.executable).with_name("sweep"))
    command = [sweep, "run", str(study), "--out", str(out / study.stem)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main(folder: str) -> None:
    out = Path(folder)
    phases = write_phases(out)
    cells: dict[tuple[str, float], list[float]] = defaultdict(list)
    losses: dict[tuple[str, float], list[float]] = defaultdict(list)
    for seed in SEEDS:
        for replay in REPLAYS:
            run(out, phases, seed, replay)
            name = str(out / f"phases-{seed}-{replay:g}")
            for trial in to_json(study_report(*open_study(name)))["trials"]:
                strategy = trial["params"]["strategy"] + (f", replay {replay:g}" if replay else "")
                cell = strategy, trial["params"]["learning_rate"]
                cells[cell].append(trial["measurements"]["choice_accuracy"]["value"])
                losses[cell].append(trial["measurements"]["eval_loss"]["value"])
    strategies = sorted({strategy for strategy, _ in cells}, reverse=True)
    print("| strategy | " + " | ".join(f"{rate:g}" for rate in LEARNING_RATES) + " | at its best |")
    print("| --- |" + " --- |" * (len(LEARNING_RATES) + 1))
    best = {}
    for strategy in strategies:
        own = [cells[strategy, rate] for rate in LEARNING_RATES]
        best[strategy] = max(own, key=mean)
        shown = " | ".join(map(show, [*own, best[strategy]]))
        print(f"| {strategy} | {shown} |")
    for strategy in strategies[1:]:
        gap = mean(best[strategy]) - mean(best["stacked"])
        spread = (error(best[strategy]) ** 2 + error(best["stacked"]) ** 2) ** 0.5
        print(f"{strategy} - stacked: {gap:+.3f}, standard error {spread:.3f}")
    for cell, values in losses.items():
        print(f"eval loss, {cell[0]}, {cell[1]:g}: {show(values)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
