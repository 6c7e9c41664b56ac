"""Studies as two tables, runs and steps, as predictor.recorded.frames reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from predictor.recorded.columns import RUNS, types
from predictor.types import Observation
from sweep.account.audits import decisions_by_trial
from sweep.analysis.recorded.evaluations import evaluations
from sweep.analysis.recorded.run_row import Row, run_row
from sweep.analysis.recorded.same_question import refuse_other_questions
from sweep.analysis.recorded.settled import SettledStudy, settled_studies
from sweep.analysis.recorded.step_table import StepTable
from sweep.storage.ledger import TrialRow
from sweep.storage.readable import readable
from trainer.contract.spec import UserError


@dataclass(frozen=True, slots=True)
class StudyTables:
    """The runs and steps of studies, as pandas tables."""

    runs: pd.DataFrame
    steps: pd.DataFrame
    num_unsettled: int  # trials that run or wait, and are in neither table


def study_tables(texts: Sequence[str]) -> StudyTables:
    """The settled trials of the studies (as for inspect), those of one name in one group.

    UserError where one cannot be read, is named twice, or asks another question than one of its
    name, and where no trial is settled.
    """
    with readable(", ".join(texts)), settled_studies(texts) as studies:
        refuse_other_questions(studies)
        if not any(study.trials for study in studies):
            raise UserError(f"no trial of {', '.join(texts)} is completed, pruned or failed yet")
        return tables_of(studies)


def tables_of(studies: Sequence[SettledStudy]) -> StudyTables:
    """The trials of the studies, one after the other, while their ledgers are open."""
    runs: list[Row] = []
    steps = StepTable()
    for study in studies:
        decisions = decisions_by_trial(study.ledger.read_decisions())
        usual_window = study.usual_window
        for trial, seen in _with_observations(study):
            own = decisions.get(trial.number, [])
            run: Row = {"run": len(runs), **run_row(study, trial, own, seen, usual_window)}
            runs.append(run)
            steps.add(run, seen, evaluations(trial, run["metric"]))
    num_unsettled = sum(study.num_unsettled for study in studies)
    return StudyTables(_frame(runs), steps.frame(), num_unsettled)


def _with_observations(study: SettledStudy) -> Iterator[tuple[TrialRow, Sequence[Observation]]]:
    """The study's trials, by number; observations of others are passed over."""
    stream = study.ledger.stream_observations()
    number, seen = -1, list[Observation]()
    for trial in study.trials:
        while number < trial.number and (following := next(stream, None)) is not None:
            number, seen = following
        yield trial, _without_gap(seen) if number == trial.number else []
    stream.close()


def _without_gap(seen: Sequence[Observation]) -> Sequence[Observation]:
    """Up to the first step that was lost with a driver that was killed."""
    pairs = enumerate(seen, start=1)
    return seen[: next((step - 1 for step, one in pairs if one.step != step), len(seen))]


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    frame: Any = pd.DataFrame(rows, columns=list(RUNS))
    return frame.astype(types(RUNS))
