"""`sweep export`: studies, exports and recorded sets as tables of runs and steps, or as studies of
Optuna's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from predictor.recorded.files import RUNS, prefix_of, runs_file, steps_file, write_frames
from sweep.analysis.options import BadOption
from sweep.analysis.recorded.merge import Part, merged
from sweep.analysis.recorded.sources import named, read_set, sets_named
from sweep.analysis.recorded.tables import study_tables
from sweep.analysis.recorded.to_csv import csv_files, write_csv
from sweep.formats import counted
from sweep.report.trial_types import VerdictReport
from sweep.storage.find import look_for_study
from sweep.storage.states import SETTLED, State
from trainer.contract.safe_text import file_name

Format = Literal["parquet", "csv", "optuna"]


@dataclass(frozen=True, slots=True)
class ExportedFiles:
    """The files that an export consists of."""

    runs: str | None  # DIR/X_runs.parquet or .csv; null with format optuna
    steps: str | None  # DIR/X_steps.parquet or .csv; null with format optuna
    optuna: str | None = None  # DIR/X.db, with format optuna; else null


@dataclass(frozen=True, slots=True)
class ExportedGroup:
    """One group of the exported runs."""

    group: str  # its name
    runs: int  # how many it has
    ends: Mapping[str, int]  # runs by how they ended: completed, pruned by rank, failed, ...


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, and what it was made from."""

    files: ExportedFiles  # that were written
    studies: int  # that it was made from
    sets: int  # recorded sets that it was made from
    runs: int  # rows of the one table; of Optuna's studies trials
    steps: int  # rows of the other; of Optuna's studies intermediate values
    unsettled: int  # trials that run or wait: left out
    groups: tuple[ExportedGroup, ...]  # in the order of the sources


def export(*sources: str | Path, to: str | Path, format: Format = "parquet") -> ExportReport:
    """Write the runs in `sources` to the files of `to`, in place of older ones.

    `sources`: studies, of which the settled trials are written, exports and recorded sets, as they
    are; with format optuna studies alone. `to`: DIR/X of DIR/X_runs.parquet, or of DIR/X.db; where
    it is a folder, or ends in /, the files are named after the study. UserError for what cannot be
    read or merged, and where the files cannot be written.
    """
    texts = named(sources)
    studies = [text for text in texts if _is_study(text)]
    if format == "optuna":
        return _to_optuna(texts, studies, to)
    sets = dict.fromkeys(p for text in texts if text not in studies for p in sets_named(text))
    parts: list[Part] = []
    num_unsettled = 0
    if studies:
        tables = study_tables(studies)
        num_unsettled = tables.num_unsettled
        parts.append(Part(", ".join(studies), tables.runs, tables.steps))
    parts += [Part(str(prefix), *read_set(prefix)[:2]) for prefix in sets]
    whole = merged(parts)
    groups = _groups(whole.runs)
    prefix = _prefix(to, [group.group for group in groups])
    files = runs_file(prefix), steps_file(prefix)
    if format == "csv":
        files = csv_files(prefix)
    with _written(prefix.parent, files[0]):
        if format == "csv":
            write_csv(prefix, whole.runs, whole.steps)
        else:
            write_frames(prefix, whole.runs, whole.steps)
    return ExportReport(
        files=ExportedFiles(*map(str, files)),
        studies=len(studies),
        sets=len(sets),
        runs=len(whole.runs),
        steps=len(whole.steps),
        unsettled=num_unsettled,
        groups=groups,
    )


def _to_optuna(texts: Sequence[str], studies: Sequence[str], to: str | Path) -> ExportReport:
    from sweep.analysis.recorded.to_optuna import SUFFIX, read_studies, write_studies

    if others := [text for text in texts if text not in studies]:
        raise BadOption(
            "format",
            f": optuna takes studies alone: {', '.join(others)} does not hold the space that was "
            "searched. Give the study itself, or take parquet or csv",
        )
    found = read_studies(studies)
    settled = [
        (report.study, _end_of(trial.state, trial.verdict))
        for report in found.reports
        for trial in report.trials
        if trial.state in SETTLED
    ]
    prefix = _prefix(to, [report.study for report in found.reports])
    file = prefix.with_name(prefix.name.removesuffix(SUFFIX) + SUFFIX)
    with _written(file.parent, file):
        num_values = write_studies(found, file)
    return ExportReport(
        files=ExportedFiles(None, None, str(file)),
        studies=len(studies),
        sets=0,
        runs=len(settled),
        steps=num_values,
        unsettled=found.num_unsettled,
        groups=_counted(settled),
    )


@contextmanager
def _written(folder: Path, file: Path) -> Generator[None]:
    """A context in which files are written to a folder. BadOption where they cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise BadOption("to", f": {file} cannot be written: {error}") from None


def export_sentence(report: ExportReport) -> str:
    """What was written, in words."""
    ends: Counter[str] = Counter()
    for group in report.groups:
        ends.update(group.ends)
    named = (("study", report.studies), ("recorded set", report.sets))
    of = " and ".join(counted(count, thing) for thing, count in named if count)
    told = ", ".join(f"{num} {end}" for end, num in ends.items())
    files = report.files
    if files.optuna is None:
        text = (
            f"{files.runs} has {counted(report.runs, 'run')} of {of} in "
            f"{counted(len(report.groups), 'group')} ({told}), "
            f"{files.steps} {counted(report.steps, 'row')}."
        )
    else:
        text = (
            f"{files.optuna} has {counted(report.runs, 'trial')} of {of} ({told}) with "
            f"{counted(report.steps, 'intermediate value')}. To look at it: optuna-dashboard "
            f"sqlite:///{files.optuna}"
        )
    if report.unsettled:
        are = "is" if report.unsettled == 1 else "are"
        text += f" {counted(report.unsettled, 'trial')} not yet settled {are} left out."
    return text


def _is_study(text: str) -> bool:
    """A folder with a study in it is one, whatever sets are in it or beside it."""
    if Path(text).name.endswith(RUNS):
        return False
    return "://" in text or look_for_study(text) is not None


def _prefix(to: str | Path, names: Sequence[str]) -> Path:
    """DIR/X of DIR/X_runs.parquet."""
    is_folder, to = str(to).endswith("/") or Path(to).is_dir(), Path(to)
    if not is_folder:
        return prefix_of(to)
    if len(names) > 1:
        raise BadOption(
            "to",
            f": {to} is a folder, and there are {len(names)} groups "
            f"({', '.join(sorted(names))}); give {to / 'X'} for {to / 'X'}_runs.parquet",
        )
    return to / file_name(names[0])


def _groups(runs: Any) -> tuple[ExportedGroup, ...]:
    return _counted([(str(row["group"]), _end(row)) for row in runs.to_dict("records")])


def _counted(runs: Iterable[tuple[str, str]]) -> tuple[ExportedGroup, ...]:
    found: dict[str, Counter[str]] = {}
    for group, end in runs:
        found.setdefault(group, Counter())[end] += 1
    return tuple(ExportedGroup(name, ends.total(), dict(ends)) for name, ends in found.items())


def _end_of(state: State, verdict: VerdictReport | None) -> str:
    if state is State.PRUNED and verdict is not None:
        return f"pruned by {verdict.kind}"
    return state.value


def _end(row: Mapping[str, Any]) -> str:
    """A set from elsewhere need not say the state."""
    state, by = row.get("state"), row.get("pruned_by")
    if isinstance(state, str):
        return f"pruned by {by}" if isinstance(by, str) else state
    return "without an objective" if math.isnan(row["final_eval_loss"]) else State.COMPLETED
