"""Metrics that are measured of kept models, each by a job of its own."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.driver.bench import Bench, who
from sweep.executors import Job
from trainer.contract.final import FINAL_ENTRY, FinalSpec


def measure_metrics(bench: Bench, metrics: Sequence[str], numbers: Sequence[int | None]) -> None:
    """These models have a measurement of these metrics on record, as far as they had none; raises
    as `Bench.run`, when what was measured by then is on record. The base model (None) is measured
    first: the others are paired with it."""
    base = [number for number in numbers if number is None]
    others = [number for number in numbers if number is not None]
    for group in (base, others):
        jobs = [job for number in group if (job := _job(bench, metrics, number)) is not None]
        done = bench.run(jobs, lambda key: f"measuring {who(key[1])}")
        for number in group:
            if (event := done.get(("final", number))) is not None:
                bench.record(number, event.measurements, event.scores)


def _job(bench: Bench, metrics: Sequence[str], number: int | None) -> Job | None:
    """None where all is known."""
    known = bench.measurements(number)
    missing = tuple(metric for metric in metrics if metric not in known)
    if not missing:
        return None
    folder, spec = bench.folder(number), bench.spec(number)
    log = bench.paths.trial_log(bench.spec(None).number if number is None else number)
    final = FinalSpec(
        model=spec.model,
        folder=None if folder is None else str(folder),
        data_dir=str(bench.paths.data),
        metrics=missing,
        benchmarks=spec.benchmarks,
        num_threads=bench.num_threads,
    )
    return Job(("final", number), FINAL_ENTRY, final, log)
