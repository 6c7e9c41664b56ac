"""How large the report page is, and how long it takes to make and to draw, by the study's size.

    python -m benchmarks.report_size [--trials 50 200 1000] [--observations 200] [--repeats 3]

Made-up studies (`page_studies`): as scouting leaves them, few trials at their end, and with all of
them there. `make` is `sweep report` as a process of its own, imports included; `draw` is Chromium,
from opening the file until everything is drawn; "-" where playwright or Chromium is missing.
Medians.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.page_studies import made


def seconds(call: Callable[[], object], repeats: int) -> float:
    found: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def report(folder: Path) -> None:
    command = [sys.executable, "-m", "sweep", "report", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def cpu_seconds(call: Callable[[], object]) -> float:
    """Of the processes that it starts: what else the machine does adds little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def draw(page: Path, repeats: int) -> float | None:
    """Seconds; None where there is no browser."""
    program = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if program is None:
        return None
    with sync_playwright() as running:
        browser: Any = running.chromium.launch(executable_path=program, args=["--no-sandbox"])

        def call() -> None:
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri())
            tab.wait_for_selector("#progress .chart")
            tab.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
            tab.close()

        call()
        found = seconds(call, repeats)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--observations", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print("| trials | ended | MB | make, s | of CPU | draw, s |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for num in given.trials:
        for ended in ("few", "all"):
            with tempfile.TemporaryDirectory() as folder:
                paths = made(Path(folder), num, given.observations, all_end=ended == "all")
                took = seconds(lambda out=paths.out: report(out), given.repeats)
                cpu = cpu_seconds(lambda out=paths.out: report(out))
                page = paths.out / "report.html"
                drawn = draw(page, given.repeats)
                size = page.stat().st_size / 1e6
                shown = "-" if drawn is None else f"{drawn:.1f}"
                print(
                    f"| {num:,} | {ended} | {size:.2f} | {took:.1f} | {cpu:.1f} | {shown} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
