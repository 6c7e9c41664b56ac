"""A study on disks of every size from none to enough, which then get room:
`python -m benchmarks.disk_room`. Prints the table of studies/LOG.md.

Each disk is a tmpfs of its own, so this needs the right to mount one. Two trials of the
quickstart's model train on it one after the other, 8 steps each, with a checkpoint every second or
so. A study that waits gets its room while it waits; for one that has ended the same command is run
again. Either way its objectives must be those of a study that had room from the start, and no trial
may count as failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.config.load import load_study
from sweep.executors import Job, Slot
from sweep.executors.local import LocalExecutor
from sweep.report.study_report import study_report
from sweep.report.view import PlainView
from sweep.run_study import drive
from sweep.storage.find import open_study
from sweep.storage.paths import StudyPaths
from trainer.contract.spec import TrialSpec

SIZES_KB = (128, 512, 1000, 2000, 4000, 7000, 10_000, 16_000, 22_000, 28_000, 40_000, 64_000)
ENOUGH_KB = 200_000
SETTINGS = (
    "budget={samples: 128}",
    "search={sampler: grid, space: {learning_rate: {choices: [1e-4, 1e-3]}, batch_size: 16}}",
    "objective={metric: eval_loss}",
    "pruning.enabled=false",
    "pruning.early_eval=0",
    "pruning.min_steps=1",
    "run.trials=2",
    "run.workers=1",
)
TROUBLE = ("no room", "disk is full", "No space left", "no checkpoint")


class OftenSaving(LocalExecutor):
    """A study has no key for the time between checkpoints: it is long, and this one is short."""

    def start(self, job: Job, slot: Slot) -> None:
        if isinstance(job.spec, TrialSpec):
            job = replace(job, spec=replace(job.spec, checkpoint_every_s=1.0))
        super().start(job, slot)


def run_study(out: str, wait_minutes: str) -> int:
    """In a process of its own, as `sweep run` would."""
    loaded = load_study("quickstart", (*SETTINGS, f"run.wait_minutes={wait_minutes}"))
    executor = OftenSaving()
    try:
        return drive(loaded, StudyPaths(Path(out)), executor, PlainView())
    finally:
        executor.close()


@contextmanager
def disk(size_kb: int) -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="disk-room-") as folder:
        options = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", folder]
        mounted = subprocess.run(options, capture_output=True, text=True, check=False)
        if mounted.returncode:
            sys.exit(f"no tmpfs can be mounted here ({mounted.stderr.strip()}): nothing to measure")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)


def make_room(folder: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={ENOUGH_KB}k", str(folder)], check=True)


class Run:
    """The command at work: its lines as they come, and its exit code."""

    def __init__(self, out: Path, wait_minutes: float) -> None:
        command = [sys.executable, "-m", "benchmarks.disk_room", "--study", str(out)]
        self.process = subprocess.Popen(
            [*command, "--wait-minutes", str(wait_minutes)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def until_it_waits(self) -> bool:
        """False: it has ended without."""
        while self.process.poll() is None:
            if any("waits to be written" in x or "waiting for up to" in x for x in self.lines):
                return True
            time.sleep(0.1)
        return False

    def finish(self) -> int:
        code = self.process.wait()
        self._reader.join()
        return code

    def first_trouble(self) -> str:
        return next((x for x in self.lines if any(word in x for word in TROUBLE)), "none")


def objectives(out: Path) -> list[Any]:
    trials = study_report(*open_study(str(out))).trials
    failures = [trial.error for trial in trials if trial.error]
    assert not failures, failures
    return [trial.objective for trial in trials]


def measure(size_kb: int, expected: list[Any]) -> dict[str, Any]:
    with disk(size_kb) as folder:
        out = folder / "study"
        began_s = time.monotonic()
        run = Run(out, wait_minutes=5)
        waited = run.until_it_waits()
        if waited:
            time.sleep(3)
            make_room(folder)
        first = code = run.finish()
        clean = out.exists() or not list(folder.iterdir())
        if code == 75:
            make_room(folder)
            code = Run(out, wait_minutes=5).finish()
        return {
            "size_kb": size_kb,
            "trouble": run.first_trouble(),
            "how": "waited" if waited else ("run again" if first == 75 else "enough"),
            "first_exit": first,
            "exit": code,
            "clean": clean,
            "same": code == 0 and objectives(out) == expected,
            "seconds": time.monotonic() - began_s,
            "lines": run.lines,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", help="run the study in this folder, and nothing else")
    parser.add_argument("--wait-minutes", default="5")
    parser.add_argument("--sizes-kb", type=int, nargs="*", default=SIZES_KB)
    parser.add_argument("--json", type=Path, help="everything that was said, for a closer look")
    given = parser.parse_args()
    if given.study:
        sys.exit(run_study(given.study, given.wait_minutes))
    with disk(ENOUGH_KB) as folder:
        run = Run(folder / "study", wait_minutes=0)
        assert run.finish() == 0, run.lines
        expected = objectives(folder / "study")
    rows = []
    print("| disk | first trouble | then | exit codes | objectives, failures | s |")
    print("| ---: | --- | --- | --- | --- | ---: |")
    for size_kb in given.sizes_kb:
        row = measure(size_kb, expected)
        rows.append(row)
        codes = dict.fromkeys((row["first_exit"], row["exit"]))
        right = "as undisturbed, none" if row["same"] and row["clean"] else "WRONG"
        print(
            f"| {size_kb / 1000:g} MB | {row['trouble'][:90]} | {row['how']} "
            f"| {', '.join(map(str, codes))} | {right} | {row['seconds']:.0f} |",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))
    wrong = [row["size_kb"] for row in rows if not (row["same"] and row["clean"])]
    sys.exit(f"not as undisturbed: {wrong}" if wrong else 0)


if __name__ == "__main__":
    main()
