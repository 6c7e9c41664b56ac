"""How fast things start: `python benchmarks/start_times.py`.

`sweep --help` as a process; and the time from the driver's start of a job to the job's first event,
for the first job (the server imports torch) and for later ones, with an entry that does nothing
else: what a trial pays besides loading its weights.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from sweep.executors import Job, Slot
from sweep.executors.local import LocalExecutor
from trainer.contract.spec import Alive, Stopped

NUM_RUNS = 10


def says_hello(_spec: None, channel: Connection) -> None:
    import torch
    import trl.trainer.sft_trainer

    channel.send(Alive(f"{torch.__version__} {trl.trainer.sft_trainer.__name__}"))
    channel.send(Stopped(0))


def start_job(executor: LocalExecutor, folder: Path) -> float:
    began = time.perf_counter()
    entry = "benchmarks.start_times:says_hello"
    executor.start(Job("job", entry, None, folder / "log.txt"), Slot(0))
    first_s = 0.0
    while True:
        for _, event in executor.wait(1.0):
            if isinstance(event, Alive):
                first_s = time.perf_counter() - began
            elif isinstance(event, Stopped):
                return first_s
            else:
                raise SystemExit(event)


def main() -> None:
    command = [str(Path(sys.executable).with_name("sweep")), "--help"]
    helps: list[float] = []
    for _ in range(NUM_RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        helps.append(time.perf_counter() - began)
    print(f"sweep --help: median {statistics.median(helps):.3f} s of {NUM_RUNS}")
    executor = LocalExecutor()
    with tempfile.TemporaryDirectory() as folder:
        first_s = start_job(executor, Path(folder))
        later = [start_job(executor, Path(folder)) for _ in range(NUM_RUNS)]
    executor.close()
    print(f"first job: {first_s:.2f} s to its first event, the imports of torch and TRL included")
    print(f"later jobs: median {statistics.median(later):.3f} s of {NUM_RUNS}")


if __name__ == "__main__":
    main()
