"""What the benchmarks share: entry points of the trainer run here, against a driver that agrees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from predictor.types import Observation, Verdict
from trainer.contract.spec import (
    DataSpec,
    Event,
    Failed,
    Finished,
    ModelSpec,
    Prepared,
    PrepareSpec,
    Stepped,
    TrialSpec,
    VerdictWanted,
)
from trainer.worker import run_prepare, run_trial


def run(
    entry: Callable[[Any, Connection], None],
    spec: Any,
    hear: Callable[[Event], None] = lambda event: None,
) -> None:
    """Call the entry point in this process; `hear` gets each event as it comes."""
    ours, theirs = Pipe()
    failures: list[Failed] = []

    def serve() -> None:
        while True:
            event = ours.recv()
            hear(event)
            match event:
                case VerdictWanted():
                    ours.send(Verdict("continue", "none", "benchmark"))
                case Failed():
                    failures.append(event)
                    return
                case Finished() | Prepared():
                    return
                case _:
                    pass

    driver = threading.Thread(target=serve, daemon=True)
    driver.start()
    entry(spec, theirs)
    driver.join()
    for failed in failures:
        raise SystemExit(f"{failed.message}\n{failed.traceback}")


def observations_of(spec: TrialSpec) -> list[Observation]:
    seen: list[Observation] = []

    def hear(event: Event) -> None:
        if isinstance(event, Stepped):
            seen.append(event.observation)

    run(run_trial, spec, hear)
    return seen


def prepare_rows(
    model: ModelSpec, rows: Path, folder: Path, max_length: int, num_rows: int = 1000
) -> Path:
    """The first rows of a file, prepared for training; the folder that trials take them from."""
    some = folder / "rows.jsonl"
    some.write_text("\n".join(rows.read_text().splitlines()[:num_rows]) + "\n")
    data_dir = folder / "data"
    data_dir.mkdir()
    data = DataSpec(str(some), max_length=max_length)
    run(run_prepare, PrepareSpec(model, data, str(data_dir), (), False))
    return data_dir
