"""What a smooth score of few questions is worth beside their accuracy, on 16 trained models:
`python -m studies.experiments.early_scores OUT`. Prints the table of studies/LOG.md.

The models are the trials of a quickstart study that prunes nothing, all of them kept. Each is
asked 64, 128 and 256 of the questions, in DRAWS different draws, and all of them. A score ranks the
models well if it orders them as their accuracy on the OTHER questions does.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM

from trainer.evaluation import measure
from trainer.evaluation.measure import Scored, load_scored
from trainer.evaluation.rows import Rows
from trainer.model.team import Team

NUM_MODELS, SIZES, DRAWS, SEED = 16, (64, 128, 256), 1000, 0
SCORES = ("accuracy", "margin", "probability")


def train(out: Path) -> list[Path]:
    """The folders of the trained models."""
    settings = ["pruning.enabled=false", "pruning.early_eval=0", "run.keep=all"]
    sweep = str(Path(sys.executable).with_name("sweep"))
    command = [sweep, "run", "quickstart", "--trials", str(NUM_MODELS), "--out", str(out)]
    subprocess.run([*command, "--set", *settings], check=True, stdout=subprocess.DEVNULL)
    return sorted(out.glob("trials/*/model"))


def ask(model: Any, scored: Scored) -> dict[str, Rows]:
    """Each score, question by question."""
    sums, counts = measure._score(model, scored, torch.float32, lambda: None, Team())
    means = sums / counts
    return {
        "accuracy": Rows.alike(measure._right(means, scored)),
        "margin": Rows.alike(measure._margins(means, scored)),
        "probability": Rows.alike(probabilities(means, scored)),
    }


def probabilities(means: np.ndarray, scored: Scored) -> np.ndarray:
    """Per question, that of the right choice among its choices, by their mean log-probabilities."""
    assert scored.is_answer is not None
    starts = np.flatnonzero(np.diff(scored.unit, prepend=-1))
    weights = np.exp(means - np.maximum.reduceat(means, starts)[scored.unit])
    return (weights / np.add.reduceat(weights, starts)[scored.unit])[scored.is_answer]


def main(folder: str) -> None:
    out = Path(folder)
    folders = train(out)
    scored = load_scored(out / "data", "choice_accuracy")
    asked: list[dict[str, Rows]] = []
    for path in folders:
        model: Any = AutoModelForCausalLM.from_pretrained(path).eval()
        asked.append(ask(model, scored))
    right = np.stack([one["accuracy"].scores for one in asked])  # (num_models, num_questions)
    print(f"{len(folders)} models, {right.shape[1]} questions; means and 95 % of {DRAWS} draws")
    print("| questions | score | standard error / spread of the models | Spearman with the rest |")
    print("| --- | --- | --- | --- |")
    rng = np.random.default_rng(SEED)
    for size in SIZES:
        draws = [rng.choice(right.shape[1], size, replace=False) for _ in range(DRAWS)]
        for name in SCORES:
            noise, order = [], []
            for kept in draws:
                few = [one[name].at(kept) for one in asked]
                values = [rows.mean for rows in few]
                errors = [rows.stderr or 0.0 for rows in few]
                noise.append(float(np.mean(errors) / np.std(values, ddof=1)))
                rest = np.delete(right, kept, axis=1).mean(axis=1)
                order.append(float(np.asarray(spearmanr(values, rest))[0]))
            print(f"| {size} | {name} | {shown(noise)} | {shown(order)} |")


def shown(values: list[float]) -> str:
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{np.mean(values):.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main(sys.argv[1])
