"""`sweep run`, from the study file to the last line it prints."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sweep.config import LoadedStudy, load_study
from sweep.executors import Executor, Slot
from sweep.executors.local import LocalExecutor
from sweep.history import described, read_history
from sweep.machine import gpu_ids, make_slots
from sweep.opening import opened
from sweep.orchestrator import Driver
from sweep.outcome import EXIT_OUTSIDE, Outcome, exit_code
from sweep.paths import StudyPaths
from sweep.preparing import prepare, prepare_spec
from sweep.progress import PlainView, View
from sweep.reporting import disk_is_full, refresh_card, report
from sweep.storage import check_server
from trainer.outside import cause_of
from trainer.signals import Signals
from trainer.spec import UserError


def run_study(source: str, overrides: Sequence[str], out: Path | None, *, dry_run: bool) -> int:
    """The command's exit code. UserError for the user's mistakes."""
    loaded = load_study(source, overrides)
    paths = StudyPaths((out or Path("runs") / loaded.study.name).absolute())
    view = make_view()
    executor = LocalExecutor()
    with contextlib.closing(executor):
        if dry_run:
            return print_plan(loaded, paths, executor, view)
        return sweep(loaded, paths, executor, view)


def make_view() -> View:
    if not sys.stdout.isatty():
        return PlainView()
    from sweep.display import LiveView

    return LiveView()


def sweep(loaded: LoadedStudy, paths: StudyPaths, executor: Executor, view: View) -> int:
    """Prepare, drive and report a study with any executor. The command's exit code."""
    if "?" in str(paths.out):
        raise UserError(f"{paths.out}: no ? in a study's folder, it would end the storage's URL")
    if loaded.study.run.storage != "auto":
        check_server(loaded.study.run.storage)
    try:
        return _sweep(loaded, paths, executor, view)
    except Exception as error:
        if cause_of(error):
            disk_is_full(paths)
            return EXIT_OUTSIDE
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"{error.filename} cannot be written: {error.strerror}") from None
        raise


def _sweep(loaded: LoadedStudy, paths: StudyPaths, executor: Executor, view: View) -> int:
    storage = loaded.study.run.storage
    slots, threads = _slots(loaded)
    url = paths.default_storage if storage == "auto" else storage
    with opened(loaded, paths, url, executor, slots[0], view) as book:
        book.threads_per_trial = threads
        driver = Driver(book, executor, slots, view)
        with Signals(driver.hear), view:
            outcome = driver.run()
        if outcome is Outcome.DISK_FULL:
            disk_is_full(paths)
        else:
            refresh_card(book)
            report(book, outcome)
        return exit_code(outcome, book.state_after(outcome), driver.interrupted_by)


def _slots(loaded: LoadedStudy) -> tuple[list[Slot], int]:
    return make_slots(loaded.study, gpu_ids(), len(os.sched_getaffinity(0)))


def print_plan(loaded: LoadedStudy, paths: StudyPaths, executor: Executor, view: View) -> int:
    """What the study would do, and nothing is left behind."""
    from sweep.plan import plan_document, plan_lines
    from sweep.printing import print_lines

    slots, _ = _slots(loaded)
    history = read_history(loaded, paths)
    with tempfile.TemporaryDirectory(prefix="sweep-plan-") as folder:
        spec = prepare_spec(loaded, Path(folder) / "data", measure_base=False)
        silence_s, log = loaded.study.run.silence_s, Path(folder) / "prepare.log"
        facts = prepare(spec, executor, Slot(0), view, log, silence_s)  # it counts all GPUs
    past = None if history is None else described(history, loaded.study.objective.metric)
    lines = plan_lines(plan_document(loaded, facts, len(slots), past))
    if sys.stdout.isatty():
        print_lines(lines)
    else:  # whole lines for whatever reads the pipe
        sys.stdout.write("\n".join(lines) + "\n")
    return 0
