"""`sweep run`, from the study file to the last line it prints."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.config.load import LoadedStudy, as_begun, load_study
from sweep.config.sources import NoSuchStudy
from sweep.driver.history import described, read_history
from sweep.driver.prepare import prepare, prepare_spec
from sweep.driver.slots import gpu_ids, make_slots
from sweep.executors import Executor, Slot
from sweep.executors.local import LocalExecutor
from sweep.report.view import PlainView, View
from sweep.sessions import Sessions
from sweep.storage.engine import check_server, sqlite_file
from sweep.storage.find import RUNS, Location, locate
from sweep.storage.paths import StudyPaths
from sweep.storage.readable import readable
from sweep.storage.study_source import go_on_command
from sweep.trackers.host import refuse_missing
from trainer.contract.safe_text import clipped
from trainer.contract.spec import UserError


def run_study(source: str, overrides: Sequence[str], out: Path | None, *, dry_run: bool) -> int:
    """The command's exit code. UserError for the user's mistakes."""
    loaded = load_named(source, overrides)
    return run_loaded(loaded, out or RUNS / loaded.study.name, dry_run=dry_run)


def load_named(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] | Mapping[str, Any]
) -> LoadedStudy:
    """As `load_study`; where a run is named in place of a study, UserError with how to go on."""
    try:
        return load_study(source, overrides)
    except NoSuchStudy as error:
        try:
            at = locate(str(source))
        except (UserError, OSError):  # no run either
            at = None
        if at is None:
            raise UserError(str(error)) from None
        name = clipped(str(source))
        raise UserError(
            f"{name}: no study file but a run, study {at.study!r} in {at.paths.out}; go on with it "
            f"by {go_on_command(at)} and --set as before, or look at it by "
            f"`sweep inspect {shlex.quote(name)}`"
        ) from None


def run_loaded(loaded: LoadedStudy, out: Path, *, dry_run: bool = False) -> int:
    """Run a study that has been read, as `run_study` does; `out` is its folder."""
    paths = StudyPaths(out.absolute())
    view = make_view()
    executor = LocalExecutor()
    with contextlib.closing(executor):
        if dry_run:
            return print_plan(loaded, paths, executor, view)
        return drive(loaded, paths, executor, view)


def make_view() -> View:
    """A view that is drawn in place on a terminal, and in a notebook that can; else plain lines."""
    if not sys.stdout.isatty() and not _is_notebook():
        return PlainView()
    from sweep.report.live import LiveView

    return LiveView()


def _is_notebook() -> bool:
    """With the widgets that a display in place takes."""
    return "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None


def drive(loaded: LoadedStudy, paths: StudyPaths, executor: Executor, view: View) -> int:
    """The command's exit code, once the study was prepared, driven and reported with this executor.
    UserError for the user's mistakes."""
    if "?" in str(paths.out):
        raise UserError(f"{paths.out}: no ? in a study's folder, it would end the storage's URL")
    refuse_missing(loaded.study.run.report_to)
    url = storage_url(loaded, paths)
    if url != paths.default_storage:
        check_server(url)
    slots, threads = _slots(loaded)
    sessions = Sessions(loaded, paths, url, executor, slots, threads, view)
    try:
        return sessions.run()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise UserError(f"{error.filename} cannot be written: {error.strerror}") from None
        raise


def storage_url(loaded: LoadedStudy, paths: StudyPaths) -> str:
    """Where the study is recorded."""
    storage = loaded.study.run.storage
    return paths.default_storage if storage == "auto" else storage


def _slots(loaded: LoadedStudy) -> tuple[list[Slot], int]:
    return make_slots(loaded.study, gpu_ids(), len(os.sched_getaffinity(0)))


def print_plan(loaded: LoadedStudy, paths: StudyPaths, executor: Executor, view: View) -> int:
    """The exit code 0, once it is printed what the study would do; nothing is left behind."""
    from sweep.driver.memory import GB
    from sweep.driver.parked_checkpoints import limit_bytes
    from sweep.driver.plan import study_plan
    from sweep.report.console import print_lines
    from sweep.report.plan_text import plan_lines

    refuse_missing(loaded.study.run.report_to)
    slots, _ = _slots(loaded)
    loaded, begun = _as_it_stands(loaded, paths)
    history = read_history(loaded, paths)
    with tempfile.TemporaryDirectory(prefix="sweep-plan-") as folder:
        spec = prepare_spec(loaded, Path(folder) / "data", measure_base=False)
        silence_s, log = loaded.study.run.silence_s, Path(folder) / "prepare.log"
        facts = prepare(spec, executor, Slot(0), view, log, silence_s).facts  # it counts all GPUs
    past = None if history is None else described(history, loaded.study.objective.metric)
    most_gb = limit_bytes(loaded.study, paths.out) / GB
    lines = plan_lines(study_plan(loaded, facts, len(slots), past, begun, most_gb))
    if sys.stdout.isatty():
        print_lines(lines)
    else:  # whole lines for whatever reads the pipe
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _as_it_stands(loaded: LoadedStudy, paths: StudyPaths) -> tuple[LoadedStudy, str | None]:
    """The study as it would go on, and how far it is, in words; None where there is none yet. No
    server is asked."""
    from sweep.report.study_report import study_report
    from sweep.report.study_text import standing

    url = storage_url(loaded, paths)
    file = sqlite_file(url)
    if file is None or not file.is_file():
        return loaded, None
    try:
        ledger = Location(url, loaded.study.name, paths).open()
    except UserError:  # another's storage: the study itself will say so
        return loaded, None
    try:
        with readable(str(paths.out)):
            report = study_report(ledger, paths)
            return as_begun(loaded, report.resolved), standing(report)
    finally:
        ledger.engine.dispose()
