"""What the product does on this machine's GPU, in one table: `python -m benchmarks.gpu_check MODEL
ROWS.jsonl [--out FOLDER] [--dtype bfloat16] [--max-length 512] [--only NAME ...] [--patience 1]`.

MODEL is a local folder; the last 128 of ROWS are held out. Each part has a limit, all together take
8 minutes at most; a part that fails or has no time is a line of the table. On a CPU, what needs a
GPU says so and the rest takes a minute with the quickstart's base and rows. Tokens per second of
two that are compared are of the same samples, step by step in turns, a first step left out; in
brackets the 95 % interval of their ratio. Exit code 1: something does not hold that must, as the
weights that a step moves or the resumed study.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu import speed, study
from benchmarks.gpu.setting import Part, Row, Setting, Skipped, write_rows
from benchmarks.jobs import JobFailed, Jobs
from sweep.driver.slots import gpu_ids, listed_gpus
from trainer.contract.spec import ModelSpec

LIMIT_S = 480.0
PREPARE_S = 60.0
LEAST_S = 5.0  # with less left a part is not begun


@dataclass(frozen=True, slots=True)
class Limited:
    """A part and the most seconds it may take."""

    name: str
    part: Part
    limit_s: float


PARTS = (  # what matters most comes first
    Limited("micro-batch search", speed.micro_batch_search, 60),
    Limited("against TRL", speed.against_trl, 60),
    Limited("peak memory", speed.peak_memory, 30),
    Limited("trials at a time", speed.workers, 90),
    Limited("scouting study", study.scouting_study, 200),
    Limited("best model", study.best_used, 60),
    Limited("against TRL, largest micro-batch", speed.against_trl_largest, 60),
    Limited("padding-free", speed.padding_free, 40),
    Limited("weights that move", speed.weights_that_move, 60),
    Limited("compile", speed.compiled, 60),
    Limited("Liger", speed.liger, 40),
)


def rows_of(one: Limited, setting: Setting, patience: float, left_s: float) -> Iterator[Row]:
    """The part's lines of the table; one that says why, where it came to nothing."""
    if left_s < LEAST_S:
        yield Row(one.name, "no time left")
        return
    try:
        yield from one.part(setting, min(one.limit_s * patience, left_s))
    except Skipped as why:
        yield Row(one.name, str(why))
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        yield Row(one.name, f"FAILED: {type(error).__name__}: {text}", ok=False)


def main() -> None:
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--out", type=Path, help="what is made stays here")
    parser.add_argument("--dtype", help="bfloat16; on a CPU float32")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--only", nargs="*", metavar="NAME", choices=[one.name for one in PARTS])
    parser.add_argument("--patience", type=float, default=1.0, help="times all limits")
    given = parser.parse_args()
    patience: float = given.patience
    gpus = listed_gpus() if gpu_ids() else []
    dtype = given.dtype or ("bfloat16" if gpus else "float32")
    model = ModelSpec(str(given.model.resolve()), dtype=dtype)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as temporary:
        folder = given.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        train, held_out, is_chat = write_rows(given.model, given.rows, folder)
        jobs = Jobs(folder)
        try:
            data_dir, facts = jobs.prepare(model, train, given.max_length, PREPARE_S * patience)
        except JobFailed as error:
            sys.exit(f"the rows could not be prepared: {error}")
        setting = Setting(
            model=model,
            train=train.resolve(),
            eval=held_out.resolve(),
            folder=folder,
            gpu=gpus[0].split(" (")[0] if gpus else None,
            jobs=jobs,
            data_dir=data_dir,
            facts=facts,
            is_chat=is_chat,
        )
        size = f"{facts['num_params'] / 1e6:,.1f} M parameters"
        where = setting.gpu or f"CPU, {len(os.sched_getaffinity(0))} cores"
        print(f"{given.model}, {size}, {dtype}; {where}; load {os.getloadavg()[0]:.1f}\n")
        print("| what | found | s |\n| --- | --- | ---: |", flush=True)
        all_ok = True
        for one in PARTS:
            if given.only and one.name not in given.only:
                continue
            part_began = time.monotonic()
            left_s = LIMIT_S * patience - (part_began - began)
            for number, row in enumerate(rows_of(one, setting, patience, left_s)):
                took = "" if number else f"{time.monotonic() - part_began:.1f}"
                wrong = "" if row.ok else " (WRONG)"
                print(f"| {row.name} | {row.found}{wrong} | {took} |", flush=True)
                all_ok &= row.ok
        jobs.close()
    print(f"\n{time.monotonic() - began:.0f} s in all")
    sys.exit(0 if all_ok else 1)


if __name__ == "__main__":
    main()
