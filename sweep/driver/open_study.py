"""A study is made whole or not at all, and continued only as what it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml
from sqlalchemy import exc

from predictor.judge import PREDICTOR_VERSION
from sweep.account.flops import eval_flops
from sweep.config.load import LoadedStudy, differences
from sweep.config.recipes import fit_recipes
from sweep.driver.best_model import write_beside
from sweep.driver.history import note_history, read_history
from sweep.driver.inputs import changed_inputs, environment, only_moved, taken_up
from sweep.driver.numerics import cautions
from sweep.driver.optuna_study import Asker, refuse_foreign
from sweep.driver.premises import Premises, database_is_gone, folder_is_gone
from sweep.driver.prepare import prepare, prepare_spec
from sweep.driver.sampling import check_rows
from sweep.driver.study_state import Book
from sweep.executors import Executor, Slot
from sweep.report.data_text import data_lines
from sweep.report.view import View
from sweep.storage.engine import make_engine, refuse_older, sqlite_file, study_names
from sweep.storage.find import remote_storage
from sweep.storage.ledger import BASE, Cost, Ledger, StudyRow
from sweep.storage.lock import only_driver
from sweep.storage.paths import StudyPaths
from sweep.storage.patience import BUSY_S, Patience
from sweep.storage.study_source import source_line
from sweep.storage.unwritten import Unwritten
from trainer.contract.fingerprint import pinned
from trainer.contract.outside import Cause, OutsideError, cause_of, is_there
from trainer.contract.safe_text import file_name
from trainer.contract.spec import UserError

WINDOW_KEYS = ("pruning.window", "pruning.min_steps", "pruning.early_eval")


@contextmanager
def opened(
    loaded: LoadedStudy,
    paths: StudyPaths,
    url: str,
    executor: Executor,
    slot: Slot,
    view: View,
    again: Unwritten | None = None,
) -> Generator[Book]:
    """The study, made if it is not there yet, locked for this process while the context lasts.

    UserError where it is another's, was changed, or cannot be made; then nothing is left behind.
    `again`: this process had it open before, and that was left to be written. Then it is not made.
    """
    file, run = sqlite_file(url), loaded.study.run
    patience = Patience(run.wait_s, view.say)
    with contextlib.ExitStack() as held:
        history = read_history(loaded, paths)
        check_lock = None
        if file is None:
            check_lock = held.enter_context(only_driver(url, loaded.study.name))
        if again is not None:
            _refuse_gone(paths, file)
        elif patience(lambda: _stored(loaded, paths, url)) is None:
            _make(loaded, paths, url, executor, slot, view)
        if check_lock is None:  # a lock beside the file, which is there only now
            check_lock = held.enter_context(only_driver(url, loaded.study.name))
        premises = Premises(paths, file, check_lock)
        engine = make_engine(url, busy_s=BUSY_S)
        held.callback(engine.dispose)
        ledger = Ledger(engine, loaded.study.name, patience, again)
        ledger.flush()
        row = ledger.read_study()
        if row is None:
            raise OutsideError(Cause.STORAGE_GONE, "the storage holds the study no longer")
        facts = _continue(loaded, row, ledger, paths, view)
        note_history(history, loaded.study.objective.metric, ledger, view)
        _write_study_file(loaded, paths)
        if not (paths.data / "prepared.json").is_file():
            facts = _prepare_again(loaded, paths, facts, executor, slot, view)
        asker = Asker(loaded.study, url, patience)
        held.callback(asker.close)
        yield Book(loaded, facts, paths, ledger, asker, premises, history)


def _refuse_gone(paths: StudyPaths, database: Path | None) -> None:
    if not is_there(paths.out):
        raise folder_is_gone(paths)
    if database is not None and not is_there(database):
        raise database_is_gone(database)


def _stored(loaded: LoadedStudy, paths: StudyPaths, url: str) -> StudyRow | None:
    """The study as the storage has it. UserError for a storage that is another study's."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        if url != paths.default_storage and not file.parent.is_dir():
            raise UserError(f"run.storage: the folder {file.parent} does not exist")
        elsewhere = remote_storage(paths)
        if url == paths.default_storage and elsewhere is not None:
            raise UserError(
                f"{paths.out} belongs to a study that is stored in {elsewhere}: give the same "
                "--storage, or choose another --out"
            )
        return None
    engine = make_engine(url, read_only=True)
    try:
        refuse_older(engine)
        row = Ledger(engine, loaded.study.name).read_study()
        others = study_names(engine)
    except exc.DBAPIError as error:
        if _passes(error, file):
            raise
        raise UserError(f"storage {url} cannot be read: {error.orig}") from None
    finally:
        engine.dispose()
    if row is None and others and file is not None:
        raise UserError(
            f"storage {url} holds another study, {others[0]!r}: give {loaded.study.name!r} a "
            "folder of its own with --out, or a storage of its own with --storage"
        )
    return row


def _passes(error: exc.DBAPIError, database: Path | None) -> bool:
    """Whether an outside cause keeps a storage from being used that is there."""
    folders = [database.parent] if database is not None and is_there(database.parent) else []
    return cause_of(error, *folders) not in (None, Cause.STORAGE_GONE)  # or the URL is wrong


def _make(
    loaded: LoadedStudy,
    paths: StudyPaths,
    url: str,
    executor: Executor,
    slot: Slot,
    view: View,
) -> None:
    """Everything is made in a folder beside OUT, which then takes OUT's name."""
    with _folder_beside(paths.out) as beside:
        new = StudyPaths(beside)
        spec = prepare_spec(loaded, new.data, measure_base=True)
        facts = prepare(spec, executor, slot, view, new.prepare_log, loaded.study.run.silence_s)
        facts: dict[str, Any] = {**facts, "versions": environment()}
        for line in data_lines(facts):
            view.say(line)
        for caution in cautions(loaded.study):
            view.say(caution)
        for recipe in fit_recipes(loaded.study):
            for moved in recipe.moved:
                view.say(f"recipe {moved}")
        check_rows(loaded.study, facts["train"]["rows"])
        _write_study_file(loaded, new)
        is_inside = url == paths.default_storage
        _make_records(loaded, new.default_storage if is_inside else url, facts)
        try:
            if paths.out.exists():
                paths.out.rmdir()  # empty: checked before
            beside.rename(paths.out)
        except OSError:
            raise UserError(
                f"{paths.out} was made by another driver in the meantime: run the same command "
                "again when that one has ended"
            ) from None


def _make_records(loaded: LoadedStudy, url: str, facts: dict[str, Any]) -> None:
    engine = make_engine(url)
    try:
        refuse_foreign(url, loaded.study.name)
        ledger = Ledger(engine, loaded.study.name)
        base: dict[str, dict[str, Any]] = facts["base_measurements"] or {}
        measured = base.values()
        tokens = sum(one["input_tokens"] for one in measured)
        seconds = sum(one["seconds"] for one in measured)
        ledger.book(Cost(BASE, 0, "eval", tokens, seconds, eval_flops(facts["num_params"], tokens)))
        document = loaded.study.to_document()
        ledger.create(StudyRow(loaded.study.name, document, facts, PREDICTOR_VERSION))
        Asker(loaded.study, url).close()
    except exc.DBAPIError as error:
        if _passes(error, sqlite_file(url)):
            raise
        raise UserError(f"storage {url} cannot be written: {error.orig}") from None
    finally:
        engine.dispose()


def _continue(
    loaded: LoadedStudy, row: StudyRow, ledger: Ledger, paths: StudyPaths, view: View
) -> dict[str, Any]:
    """Refuse what would make it another study; note and say what may change. The facts from now
    on."""
    document = loaded.study.to_document()
    refused, allowed = differences(row.document, document)
    moved = [text for text in refused if only_moved(loaded, row.facts, text)]
    allowed += [f"{text} (with the same content)" for text in moved]
    refused = [text for text in refused if text not in moved]
    refused += changed_inputs(loaded, row.facts)
    if refused:
        raise UserError(
            f"study {row.name!r} was made with other settings: {'; '.join(refused)}. Give the "
            "changed study another name, or put these back"
        )
    if row.predictor != PREDICTOR_VERSION:
        allowed.append(f"predictor: was {row.predictor}, is {PREDICTOR_VERSION}")
    for change in allowed:
        view.say(f"continued under another setting: {change}")
        if change.startswith(WINDOW_KEYS):
            view.say("  trials are compared only with those whose window was looked at alike")
    facts, taken = taken_up(loaded, row.facts)
    for change in taken:
        view.say(change)
    if facts != row.facts:
        ledger.keep_facts(facts)
    if allowed or taken:
        ledger.continue_as(document, PREDICTOR_VERSION, [*allowed, *taken])
    return facts


def _write_study_file(loaded: LoadedStudy, paths: StudyPaths) -> None:
    paths.out.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(loaded.study.to_document(), sort_keys=False)
    write_beside(paths.study_file, source_line(loaded) + text)


def _prepare_again(
    loaded: LoadedStudy,
    paths: StudyPaths,
    known: dict[str, Any],
    executor: Executor,
    slot: Slot,
    view: View,
) -> dict[str, Any]:
    """OUT is new or was emptied; the storage has the study. Its rows must be the same."""
    with _folder_beside(paths.data) as beside:
        spec = prepare_spec(loaded, beside / "data", measure_base=False)
        spec = replace(spec, model=replace(pinned(spec.model, known), digest=None))
        silence_s = loaded.study.run.silence_s
        facts = prepare(spec, executor, slot, view, beside / "prepare.log", silence_s)
        for part in ("train", "phases", "eval", "choices"):
            if _without_paths(facts[part]) != _without_paths(known[part]):
                raise UserError(
                    f"the {part} data give other rows than when the study was made"
                    f"{_other_version(known, facts)}"
                )
        if others := _other_rows(facts, known):
            raise UserError(f"{', '.join(others)}: other rows than when the study was made")
        shutil.rmtree(paths.data, ignore_errors=True)
        (beside / "data").rename(paths.data)
    kept = ("base_measurements", "model", "versions", "sources")
    return {**facts, **{name: known[name] for name in kept if name in known}}


def _other_rows(facts: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Hub data sets that hold other rows now."""
    before: dict[str, Any] = known["sources"]
    now: dict[str, Any] = facts["sources"]
    return [
        one["path"]
        for name, one in now.items()
        if "rows_sha256" in before.get(name, ())
        and one.get("rows_sha256") != before[name]["rows_sha256"]
    ]


def _other_version(before: dict[str, Any], now: dict[str, Any]) -> str:
    if before.get("version") == now.get("version"):
        return ""
    return " by an older version of this program; give the study another name to make it anew"


def _without_paths(part: Any) -> Any:
    """Phases name their files, which may lie elsewhere now."""
    if not isinstance(part, list):
        return part
    phases = cast("list[dict[str, Any]]", part)
    return [{key: value for key, value in phase.items() if key != "path"} for phase in phases]


@contextmanager
def _folder_beside(target: Path) -> Generator[Path]:
    """An empty folder on the target's file system, gone afterwards with what was made for it."""
    made = [parent for parent in target.parents if not parent.exists()]
    beside = target.with_name(f".{target.name}.new-{_host()}-{os.getpid()}")
    _sweep_up(target)
    try:
        if target.is_file() or (target.is_dir() and any(target.iterdir())):
            raise UserError(
                f"{target} exists and holds something other than this study: choose another --out"
            )
        beside.mkdir(parents=True)
    except OSError as error:
        if cause_of(error):
            raise
        raise UserError(
            f"{target} cannot be written ({error.strerror}): choose another --out"
        ) from None
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if not target.exists():
            for parent in made:
                if parent.is_dir() and not any(parent.iterdir()):
                    parent.rmdir()


def _host() -> str:
    """Other machines may write to the same file system."""
    return file_name(socket.gethostname())


def _sweep_up(target: Path) -> None:
    """Folders that drivers left beside the target when they were killed while making it."""
    for left in target.parent.glob(f".{target.name}.new-{_host()}-*"):
        pid = left.name.rpartition("-")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)
