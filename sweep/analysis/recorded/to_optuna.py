"""Studies as plain Optuna studies in a SQLite file, which Optuna and its dashboard open."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import NullPool

from sweep.report.study_report import study_report
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import TrialSummary, Window
from sweep.storage.find import locate
from sweep.storage.migrate import refuse_unreadable
from sweep.storage.optuna_reader import read_only_arguments
from sweep.storage.readable import readable
from sweep.storage.states import SETTLED, State
from trainer.contract.files import written_whole
from trainer.contract.spec import UserError

optuna.logging.set_verbosity(optuna.logging.WARNING)

SUFFIX = ".db"
_STATES = {
    State.COMPLETED: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}


@dataclass(frozen=True, slots=True)
class OptunaStudies:
    """Studies as they are to be written, and what Optuna has of their trials."""

    reports: Sequence[StudyReport]
    drawn: Sequence[Mapping[int, FrozenTrial]]  # by number, of each study
    num_unsettled: int


def read_studies(texts: Sequence[str]) -> OptunaStudies:
    """The studies (as for inspect). UserError where one cannot be read, two have one name, and
    where no trial is settled."""
    reports: list[StudyReport] = []
    drawn: list[Mapping[int, FrozenTrial]] = []
    for text in texts:
        with readable(text):
            at = locate(text)
            ledger = at.open()
            try:
                refuse_unreadable(ledger.engine)
                reports.append(study_report(ledger, at.paths))
            finally:
                ledger.engine.dispose()
            with _closed(RDBStorage(**read_only_arguments(at.url))) as storage:
                study = optuna.load_study(study_name=at.study, storage=storage)
                drawn.append({trial.number: trial for trial in study.get_trials(deepcopy=False)})
    names = [report.study for report in reports]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(
            f"two studies are called {twice!r}, which Optuna keeps apart by their names: export "
            "them to a file each"
        )
    states = [trial.state for report in reports for trial in report.trials]
    num_unsettled = sum(state not in SETTLED for state in states)
    if num_unsettled == len(states):
        raise UserError(f"no trial of {', '.join(texts)} is completed, pruned or failed yet")
    return OptunaStudies(reports, drawn, num_unsettled)


def write_studies(studies: OptunaStudies, file: Path) -> int:
    """How many intermediate values were written; the file is whole or what it was before. OSError
    where it cannot be written."""
    with written_whole(file) as beside:
        beside.unlink(missing_ok=True)
        with _closed(_new_storage(beside)) as storage:
            pairs = zip(studies.reports, studies.drawn, strict=True)
            return sum(_write(report, drawn, storage) for report, drawn in pairs)


def _new_storage(file: Path) -> RDBStorage:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA synchronous=OFF")  # it is put on disk once, as a whole
        return connection

    options = {"creator": connect, "poolclass": NullPool}
    return RDBStorage("sqlite://", engine_kwargs=options)


def _write(report: StudyReport, drawn: Mapping[int, FrozenTrial], storage: RDBStorage) -> int:
    made = optuna.create_study(study_name=report.study, storage=storage, direction=report.direction)
    about = {
        "metric": report.metric,
        "base_objective": report.base.objective,
        "best": None if report.best is None else report.best.number,
        "predictor": report.predictor,
        "created_s": report.created_s,
        "study_file": report.resolved,
    }
    for name, value in _known(about).items():
        made.set_user_attr(name, value)
    num = 0
    for trial in report.trials:
        if trial.state in SETTLED:
            original = trial.number if trial.confirms is None else trial.confirms
            plain = _plain(trial, drawn.get(original))
            num += len(plain.intermediate_values)
            made.add_trial(plain)
    return num


def _plain(trial: TrialSummary, drawn: FrozenTrial | None) -> FrozenTrial:
    """The trial as Optuna has it, with what we know; a replicate has its original's params."""
    seen = {one.samples: one.early_eval for one in _looks(trial) if one.early_eval is not None}
    state = _STATES[trial.state]
    value = trial.objective if state is TrialState.COMPLETE else None
    if state is TrialState.PRUNED and seen:
        value = seen[max(seen)]  # as Optuna itself has it
    plain = create_trial(
        state=state,
        value=value,
        params=None if drawn is None else drawn.params,
        distributions=None if drawn is None else drawn.distributions,
        intermediate_values=seen,
        user_attrs=attributes(trial, () if drawn is None else drawn.params),
        constraints={c.metric: -c.slack for c in trial.constraints if c.slack is not None},
    )
    if drawn is not None and trial.confirms is None and drawn.datetime_start is not None:
        plain.datetime_start = drawn.datetime_start
        plain.datetime_complete = drawn.datetime_complete or drawn.datetime_start
    return plain


def attributes(trial: TrialSummary, searched: Container[str] = ()) -> dict[str, Any]:
    """The trial's user attributes; docs/export.md says what they mean. `searched`: the names of
    the params, which are none."""
    verdict, window, forecast = trial.verdict, trial.window, trial.forecast
    finals = {f"final_{metric}": one.value for metric, one in trial.measurements.items()}
    return _known(
        {
            "trial": trial.number,
            "replicate_of": trial.confirms,
            "recipe": trial.recipe,
            "fixed": {name: v for name, v in trial.params.items() if name not in searched},
            "decision": verdict and verdict.action,
            "decided_by": verdict and verdict.kind,
            "decided_at": verdict and verdict.moment,
            "reason": verdict and verdict.reason,
            "audited": trial.is_audited,
            "P": forecast and forecast.probability,
            "feasible": trial.is_feasible,
            "window_samples": window and window.samples,
            "early_loss": window and window.loss,
            "early_grad_norm": window and window.grad_norm,
            "early_grad_norm_noise_free": window and window.grad_norm_noise_free,
            "early_eval": window and window.early_eval,
            **finals,
            "num_steps": trial.num_steps,
            "attempts": trial.attempts,
            "input_tokens": trial.compute.input_tokens,
            "flops": trial.compute.flops,
            "seconds": trial.compute.seconds,
            "error": trial.error and f"{trial.error.kind}: {trial.error.message}",
        }
    )


def _looks(trial: TrialSummary) -> list[Window]:
    return [*([] if trial.window is None else [trial.window]), *trial.looks]


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def _closed(storage: RDBStorage) -> Generator[RDBStorage]:
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
