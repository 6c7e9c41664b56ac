"""`sweep run`, from the study file to the last line it prints."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType

from sweep.bests import best_kept, finish_promotion, write_beside
from sweep.book import Book
from sweep.config import LoadedStudy, load_study
from sweep.executors import Executor
from sweep.executors.local import LocalExecutor
from sweep.machine import gpu_ids, make_slots
from sweep.opening import opened
from sweep.orchestrator import Driver, Outcome
from sweep.paths import StudyPaths
from sweep.preparing import prepare, prepare_spec
from sweep.progress import PlainView, View

EXIT_CODES = {
    Outcome.DONE: 0,
    Outcome.EXHAUSTED: 0,
    Outcome.OUT_OF_TIME: 0,
    Outcome.INTERRUPTED: 130,
    Outcome.DISK_FULL: 1,
}


def run_study(source: str, overrides: Sequence[str], out: Path | None, *, dry_run: bool) -> int:
    """The command's exit code. UserError for the user's mistakes."""
    loaded = load_study(source, overrides)
    paths = StudyPaths((out or Path("runs") / loaded.study.name).absolute())
    view = make_view()
    executor = LocalExecutor()
    with contextlib.closing(executor):
        if dry_run:
            return print_plan(loaded, executor, view)
        return sweep(loaded, paths, executor, view)


def make_view() -> View:
    if not sys.stdout.isatty():
        return PlainView()
    from sweep.display import LiveView

    return LiveView()


def sweep(loaded: LoadedStudy, paths: StudyPaths, executor: Executor, view: View) -> int:
    """Prepare, drive and report a study with any executor."""
    workers, storage = loaded.study.run.workers, loaded.study.run.storage
    gpus = gpu_ids()
    slots, threads = make_slots(
        None if workers == "auto" else workers, gpus, len(os.sched_getaffinity(0))
    )
    url = paths.default_storage if storage == "auto" else storage
    with opened(loaded, paths, url, executor, slots[0], view) as book:
        book.threads_per_trial = threads
        driver = Driver(book, executor, slots, view)
        with _interrupts(driver), view:
            outcome = driver.run()
        if outcome is not Outcome.DISK_FULL:
            refresh_card(book)
        report(book, outcome)
    return EXIT_CODES[outcome]


@contextlib.contextmanager
def _interrupts(driver: Driver) -> Generator[None]:
    """Ctrl-C and SIGTERM: once, stop cleanly; twice, now."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        driver.interrupts += 1

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def refresh_card(book: Book) -> None:
    """OUT/best gets its card, with the study's table as it now is."""
    from sweep.card import model_card
    from sweep.inspect import study_document

    finish_promotion(book.paths)
    number = best_kept(book.paths)
    if number is None:
        return
    document = study_document(book.ledger, book.paths)
    study = book.loaded.study
    given = {"train": study.data.train, "eval": study.data.eval, "choices": study.objective.data}
    sources = {part: text for part, text in given.items() if text}
    card = model_card(document, number, book.loaded.study.model.base, sources)
    write_beside(book.paths.best / "README.md", card)


def report(book: Book, outcome: Outcome) -> None:
    """The study's tables, where everything lies, and how to go on."""
    from sweep.display import print_lines, print_study
    from sweep.inspect import study_document

    if outcome is Outcome.DISK_FULL:
        lines = [
            f"The disk is full ({book.paths.out}). Nothing is lost: make room and run the same "
            "command again."
        ]
    else:
        print_study(study_document(book.ledger, book.paths), book.paths)
        lines: list[str] = []
        if outcome is not Outcome.DONE:
            lines.append(f"Stopped: {outcome}. The same command goes on from here.")
    print_lines(lines)


def print_plan(loaded: LoadedStudy, executor: Executor, view: View) -> int:
    """What the study would do, and nothing is left behind."""
    from sweep.display import print_lines
    from sweep.plan import plan_document, plan_lines

    workers = loaded.study.run.workers
    slots, _ = make_slots(
        None if workers == "auto" else workers, gpu_ids(), len(os.sched_getaffinity(0))
    )
    with tempfile.TemporaryDirectory(prefix="sweep-plan-") as folder:
        spec = prepare_spec(loaded, Path(folder) / "data", measure_base=False)
        facts = prepare(spec, executor, slots[0], view, Path(folder) / "prepare.log")
    lines = plan_lines(plan_document(loaded, facts, len(slots)))
    if sys.stdout.isatty():
        print_lines(lines)
    else:  # whole lines for whatever reads the pipe
        sys.stdout.write("\n".join(lines) + "\n")
    return 0
