"""How the raw and the noise-free gradient norm vary with the batch size, at fixed weights:
`python -m studies.experiments.noise_by_batch MODEL ROWS.jsonl [--samples 128] [--figure FILE.svg]`.

One trial for each batch size over the same samples, at learning rate 0, its window the whole trial.
The raw norm is expected to follow the batch (|g_B|^2 = |G|^2 + noise / B), the noise-free one not.
Norms are root mean squares over the steps; the interval of one is two standard errors of the mean
square. The line through the raw norms is what the estimates of |G|^2 and of the noise predict.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.trials import observations_of, prepare_rows
from predictor.types import Observation
from trainer.contract.spec import ModelSpec, TrialSpec

BATCHES = (4, 8, 16, 32, 64)


def mean_square(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(np.mean(values)), error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    model = ModelSpec(given.model, dtype="float32")
    found: dict[int, list[Observation]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data_dir = prepare_rows(model, given.rows, Path(folder), given.max_length)
        for batch in BATCHES:
            spec = TrialSpec(
                number=0,
                seed=0,
                model=model,
                data_dir=str(data_dir),
                trial_dir=str(Path(folder) / "trial"),
                batch_size=batch,
                budget_samples=given.samples,
                window_samples=given.samples,
                metrics=(),
                early_eval=0,
                learning_rate=0.0,
                save_model=False,
                checkpoint_every_s=1e9,
                micro_batch=4,
            )
            found[batch] = observations_of(spec)
            print(row(batch, found[batch]), flush=True)
    print(json.dumps({batch: [vars_of(o) for o in seen] for batch, seen in found.items()}))
    if given.figure:
        draw(found, given.figure)


def vars_of(seen: Observation) -> tuple[float, float | None]:
    return seen.grad_norm, seen.grad_sq_noise_free


def estimates(seen: list[Observation]) -> tuple[tuple[float, float], tuple[float, float]]:
    raw = mean_square([o.grad_norm**2 for o in seen])
    clean = mean_square([o.grad_sq_noise_free for o in seen if o.grad_sq_noise_free is not None])
    return raw, clean


def row(batch: int, seen: list[Observation]) -> str:
    (raw, raw_error), (clean, clean_error) = estimates(seen)
    root = math.sqrt(clean) if clean > 0 else math.nan
    return (
        f"batch {batch:3d}, {len(seen):2d} steps: raw norm {math.sqrt(raw):.3f} "
        f"(square {raw:.3f} +- {raw_error:.3f}), noise-free {root:.3f} "
        f"(square {clean:.3f} +- {clean_error:.3f})"
    )


def draw(found: dict[int, list[Observation]], figure: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    batches = np.array(list(found))
    both = [estimates(seen) for seen in found.values()]
    fig, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for index, (name, mark) in enumerate((("raw norm", "o"), ("noise-free norm", "s"))):
        squares = np.array([each[index][0] for each in both])
        errors = np.nan_to_num([2 * each[index][1] for each in both])
        roots = np.sqrt(np.maximum(squares, 0))
        low = roots - np.sqrt(np.maximum(squares - errors, 0))
        high = np.sqrt(squares + errors) - roots
        axes.errorbar(batches, roots, [low, high], fmt=mark, capsize=3, label=name)
    every = [(batch, o) for batch, seen in found.items() for o in seen]
    signal = np.mean([o.grad_sq_noise_free for _, o in every if o.grad_sq_noise_free is not None])
    noise = np.mean([batch * o.grad_sq_noise for batch, o in every if o.grad_sq_noise is not None])
    line = np.geomspace(batches[0], batches[-1], 50)
    axes.plot(line, np.sqrt(signal + noise / line), "C0:", label="predicted raw norm")
    axes.axhline(math.sqrt(signal), color="C1", linestyle=":", label="mean of the noise-free ones")
    axes.set(xscale="log", xlabel="effective batch size", ylabel="gradient norm, weights fixed")
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.legend()
    fig.savefig(figure)


if __name__ == "__main__":
    main()
