"""A study is opened by one driver at a time: made where it is not there yet, else continued."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import exc

from sweep.account.replicates import is_replicate
from sweep.account.terms import Terms
from sweep.config.changes import MODE, stored_mode
from sweep.config.load import LoadedStudy, as_begun
from sweep.config.study import Study
from sweep.driver.continue_study import continue_study, prepare_again
from sweep.driver.history import Past, note_history, prior_facts, read_history
from sweep.driver.make_study import make_study, write_study_file
from sweep.driver.optuna_study import OptunaStudy
from sweep.driver.premises import Premises, database_is_gone, folder_is_gone
from sweep.driver.study_state import StudyState
from sweep.driver.trial_spec import TrialSpecs
from sweep.executors import Executor, Slot
from sweep.formats import counted
from sweep.report.view import View
from sweep.storage.engine import is_outside, make_engine, sqlite_file, study_names
from sweep.storage.find import remote_storage
from sweep.storage.ledger import BASE, Ledger, StudyRow
from sweep.storage.lock import only_driver
from sweep.storage.migrate import refuse_newer, upgrade
from sweep.storage.paths import StudyPaths
from sweep.storage.patience import BUSY_S, Patience
from sweep.storage.states import SETTLED, State
from sweep.storage.unwritten import Unwritten
from trainer.contract.outside import Cause, OutsideError, is_there
from trainer.contract.spec import UserError


@contextmanager
def opened(
    loaded: LoadedStudy,
    paths: StudyPaths,
    url: str,
    executor: Executor,
    slot: Slot,
    view: View,
    threads_per_trial: int = 0,
    again: Unwritten | None = None,
) -> Generator[StudyState]:
    """The study, made if it is not there yet, locked for this process while the context lasts.

    UserError where it is another's, was changed, or cannot be made; then nothing is left behind.
    `again`: this process had it open before, and that was left to be written. Then it is not made.
    """
    file, run = sqlite_file(url), loaded.study.run
    patience = Patience(run.wait_s, view.say)
    with contextlib.ExitStack() as held:
        check_lock, is_begun = None, False
        if file is None:
            check_lock = held.enter_context(only_driver(url, loaded.study.name))
        if again is not None:
            _refuse_gone(paths, file)
        elif patience(lambda: _stored_study(loaded, paths, url)) is None:
            read_history(loaded, paths)  # what is wrong with it is said before anything is made
            make_study(loaded, paths, url, executor, slot, view)
        else:
            is_begun = True
        if check_lock is None:  # a lock beside the file, which is there only now
            check_lock = held.enter_context(only_driver(url, loaded.study.name))
        premises = Premises(paths, file, check_lock)
        engine = make_engine(url, busy_s=BUSY_S)
        held.callback(engine.dispose)
        if (version := patience(lambda: upgrade(engine))) is not None:
            view.say(f"the storage's tables, of version {version}, are brought up to date")
        ledger = Ledger(engine, loaded.study.name, patience, again)
        ledger.flush()
        row = ledger.read_study()
        if row is None:
            raise OutsideError(Cause.STORAGE_GONE, "the storage holds the study no longer")
        loaded = _as_begun(loaded, row, view)
        history = read_history(loaded, paths)
        facts = continue_study(loaded, row, ledger, paths, view)
        if is_begun:
            terms = Terms.of(loaded.study.to_document(), facts)
            _say_how_far(ledger, terms, loaded.study, view)
        note_history(loaded, history, ledger, view)
        facts = _with_prior(loaded, history, facts, ledger)
        write_study_file(loaded, paths)
        if not (paths.data / "prepared.json").is_file():
            base = {metric: ledger.read_scores(metric).get(BASE) for metric in loaded.study.metrics}
            base = {metric: scores for metric, scores in base.items() if scores is not None}
            facts = prepare_again(loaded, paths, facts, executor, slot, view, base)
        optuna = OptunaStudy(loaded.study, url, patience)
        held.callback(optuna.close)
        specs = TrialSpecs(loaded, facts, paths, threads_per_trial)
        yield StudyState(loaded, facts, paths, ledger, optuna, premises, specs, history)


def _with_prior(
    loaded: LoadedStudy, history: Past | None, facts: dict[str, Any], ledger: Ledger
) -> dict[str, Any]:
    """The facts with the prior that the study goes on under, where it scouts; on record."""
    if not loaded.study.pruning.settings().scouts:
        return facts
    found = {**facts, **prior_facts(history)}
    if found != facts:
        ledger.keep_facts(found)
    return found


def _as_begun(loaded: LoadedStudy, row: StudyRow, view: View) -> LoadedStudy:
    found = as_begun(loaded, row.document)
    if found is not loaded:
        view.say(
            f"goes on with {MODE} {stored_mode(row.document)}, as it was begun: its file names none"
        )
    return found


def _say_how_far(ledger: Ledger, terms: Terms, study: Study, view: View) -> None:
    """Of the whole study, what is done and what is left, where something is."""
    found = ledger.read_states().items()
    states = [state for number, state in found if not is_replicate(number)]
    settled, total = sum(state in SETTLED for state in states), terms.num_trials or 0
    num_parked = states.count(State.PARKED)
    parked = f" ({num_parked} of them parked)" if num_parked else ""
    if settled < total:
        view.say(
            f"going on with study {study.name}: {settled} of {counted(total, 'trial')} settled, "
            f"{len(states) - settled} begun{parked}, {max(0, total - len(states))} to come"
        )


def _refuse_gone(paths: StudyPaths, database: Path | None) -> None:
    if not is_there(paths.out):
        raise folder_is_gone(paths)
    if database is not None and not is_there(database):
        raise database_is_gone(database)


def _stored_study(loaded: LoadedStudy, paths: StudyPaths, url: str) -> StudyRow | None:
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
        refuse_newer(engine)
        row = Ledger(engine, loaded.study.name).read_study()
        others = study_names(engine)
    except exc.DBAPIError as error:
        if is_outside(error, file):
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
