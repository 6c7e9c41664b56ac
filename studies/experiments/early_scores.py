"""What a smooth score of few questions is worth beside their accuracy, on 16 trained models:
`python -m studies.experiments.early_scores OUT`. Prints the table of studies/LOG.md.

The models are the trials of a quickstart study that prunes nothing, all of them kept. Each is
asked 64, 128 and 256 of the questions, in DRAWS different draws, and all of them. A score ranks the
models well if it orders them as their accuracy on the OTHER questions does.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM

from trainer.evaluation.measure import Scored, load_scored, measure

NUM_MODELS, SIZES, DRAWS = 16, (64, 128, 256), 20
SCORES = ("accuracy", "margin")


def train(out: Path) -> list[Path]:
    """The folders of the trained models."""
    settings = ["pruning.enabled=false", "pruning.early_eval=0", "run.keep=all"]
    sweep = str(Path(sys.executable).with_name("sweep"))
    command = [sweep, "run", "quickstart", "--trials", str(NUM_MODELS), "--out", str(out)]
    subprocess.run([*command, "--set", *settings], check=True, stdout=subprocess.DEVNULL)
    return sorted(out.glob("trials/*/model"))


def ask(model: Any, scored: Scored) -> tuple[dict[str, tuple[float, float]], np.ndarray]:
    """Value and standard error of each score, and which questions were answered right."""
    found, rows = measure(model, scored, torch.float32, lambda: None)
    assert found.stderr is not None
    assert found.margin is not None and found.margin_stderr is not None
    values = {
        "accuracy": (found.value, found.stderr),
        "margin": (found.margin, found.margin_stderr),
    }
    return values, rows.scores


def main(folder: str) -> None:
    out = Path(folder)
    folders = train(out)
    scored = load_scored(out / "data", "choice_accuracy")
    draws = {(size, seed): scored.subset(size, seed) for size in SIZES for seed in range(DRAWS)}
    few: dict[tuple[int, int, str], list[tuple[float, float]]] = defaultdict(list)
    rights: list[np.ndarray] = []
    for path in folders:
        model: Any = AutoModelForCausalLM.from_pretrained(path).eval()
        rights.append(ask(model, scored)[1])
        for (size, seed), part in draws.items():
            for name, value in ask(model, part)[0].items():
                few[size, seed, name].append(value)
    right = np.stack(rights)  # (num_models, num_questions)
    print(f"{len(folders)} models, {right.shape[1]} questions; means and 95 % of {DRAWS} draws")
    print("| questions | score | standard error / spread of the models | Spearman with the rest |")
    print("| --- | --- | --- | --- |")
    for size in SIZES:
        for name in SCORES:
            noise, order = [], []
            for seed in range(DRAWS):
                values, errors = np.array(few[size, seed, name]).T
                noise.append(np.mean(errors) / np.std(values, ddof=1))
                kept = draws[size, seed].kept
                assert kept is not None
                rest = np.delete(right, kept, axis=1).mean(axis=1)
                order.append(float(np.asarray(spearmanr(values, rest))[0]))
            print(f"| {size} | {name} | {shown(noise)} | {shown(order)} |")


def shown(values: list[float]) -> str:
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{np.mean(values):.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main(sys.argv[1])
