"""Whether anything grows from trial to trial: `python -m benchmarks.memory_growth [--trials 20]`.

A study of short trials on one worker. Prints what the driver and the server that trials are forked
from hold (resident, and of it their own alone) after the second trial and after the last.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

BASE = Path(__file__).parents[1] / "studies" / "quickstart"
MIB = 2**20


def num_settled(trials: Path) -> int:
    """The trial that runs now has a folder; those before have ended."""
    return max(0, len(list(trials.glob("[0-9]*"))) - 1)


def held(process: psutil.Process) -> tuple[float, float]:
    info = process.memory_full_info()
    return info.rss / MIB, info.uss / MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        settings = [
            f"run.trials={given.trials + 1}",
            "run.workers=1",
            "run.keep=none",
            "budget.samples=256",
            "search.space.batch_size=16",
            "pruning.min_steps=4",
            "pruning.window=0.25",
            "pruning.early_eval=8",
        ]
        sweep = str(Path(sys.executable).with_name("sweep"))
        command = [sweep, "run", "quickstart", "--out", str(out), "--set", *settings]
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        seen: dict[int, dict[str, tuple[float, float]]] = {}
        while driver.poll() is None:
            time.sleep(0.2)
            ended = num_settled(out / "trials")
            if ended and ended not in seen:
                process = psutil.Process(driver.pid)
                servers = [p for p in process.children() if "forkserver" in " ".join(p.cmdline())]
                seen[ended] = {"driver": held(process), "forkserver": held(servers[0])}
        assert driver.returncode == 0
    first, last = seen[2], seen[given.trials]
    for name in first:
        (rss, own), (rss_then, own_then) = first[name], last[name]
        print(
            f"{name}: {rss:.1f} MiB ({own:.1f} its own) after 2 trials, {rss_then:.1f} "
            f"({own_then:.1f}) after {given.trials}: {rss_then - rss:+.1f} ({own_then - own:+.1f})"
        )


if __name__ == "__main__":
    main()
