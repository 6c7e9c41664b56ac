"""The same step on 1, 2 and 4 processes and in several splits.

`python -m studies.experiments.norms_table MODEL ROWS.jsonl [--batch 16] [--max-length 96]`.

Loss, gradient norm before clipping, and noise-free squared norm of a study's first step, through
the whole trainer (one process, or DDP over gloo), and loss and norm with torch's fully_shard.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.trials import prepare_rows
from tests.support import sharded
from trainer.contract.spec import Failed, ModelSpec, Stepped, TrialSpec
from trainer.data.batches import Rows, Stacked
from trainer.standalone import events

PROCESSES, MICRO_BATCHES = (1, 2, 4), (4, 2, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=96)
    given = parser.parse_args()
    print("| | processes | micro-batch | loss | gradient norm | noise-free square |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        model = ModelSpec(given.model, dtype="float32")
        data_dir = apart(prepare_in_a_process, (model, given.rows, Path(folder), given.max_length))
        for processes in PROCESSES:
            for micro_batch in MICRO_BATCHES:
                parallel = "ddp" if processes > 1 else "none"
                spec = TrialSpec(
                    number=0,
                    seed=0,
                    model=ModelSpec(given.model, dtype="float32", parallel=parallel),
                    data_dir=str(data_dir),
                    trial_dir=str(Path(folder) / f"trial-{processes}-{micro_batch}"),
                    batch_size=given.batch,
                    budget_samples=given.batch,
                    window_samples=given.batch,
                    metrics=(),
                    early_eval=0,
                    learning_rate=1e-5,
                    micro_batch=micro_batch,
                    processes=processes,
                    save_model=False,
                    checkpoint_every_s=1e9,
                    num_threads=1,
                )
                seen = first_step(spec)
                found = f"{seen.loss:.7f} | {seen.grad_norm:.6f} | {seen.grad_sq_noise_free:.6f}"
                print(f"| {parallel} | {processes} | {micro_batch} | {found} |", flush=True)
        rows = Rows(data_dir / "train")
        drawn = [rows[row] for row in Stacked(len(rows), given.batch, 0).rows(0)]
        for processes in PROCESSES[1:]:
            job = sharded.Job(given.model, drawn, processes, 2, 1.0)
            found = apart(sharded.run, job)
            print(
                f"| fully_shard | {processes} | 2 | {found.loss:.7f} | {found.norm:.6f} | not "
                f"measured (one process's shards alone: {found.own_shard:.4f}) |",
                flush=True,
            )


def first_step(spec: TrialSpec) -> Any:
    from trainer.worker import run_trial

    told = list(events(run_trial, spec))
    for event in told:
        if isinstance(event, Failed):
            raise SystemExit(f"{event.message}\n{event.traceback}")
    return next(event.observation for event in told if isinstance(event, Stepped))


def prepare_in_a_process(what: tuple[Any, ...], channel: Any) -> None:
    channel.send(prepare_rows(*what))


def apart(entry: Any, spec: Any) -> Any:
    """One answer of an entry point in a process of its own, which may fork others."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=entry, args=(spec, theirs))
    process.start()
    theirs.close()
    answer = ours.recv()
    process.join()
    if isinstance(answer, Failed):
        raise SystemExit(f"{answer.message}\n{answer.traceback}")
    return answer


if __name__ == "__main__":
    main()
