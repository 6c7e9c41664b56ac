"""`sweep export`: studies, exports and recorded sets as X_runs.parquet and X_steps.parquet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.recorded.files import RUNS, prefix_of, runs_file, steps_file, write_frames
from sweep.analysis.options import BadOption
from sweep.analysis.recorded.merge import Part, merged
from sweep.analysis.recorded.sources import named, read_set, sets_named
from sweep.analysis.recorded.tables import study_tables
from sweep.formats import counted
from sweep.storage.find import look_for_study
from sweep.storage.states import State
from trainer.contract.safe_text import file_name


@dataclass(frozen=True, slots=True)
class ExportedFiles:
    """The two files that an export consists of."""

    runs: str  # DIR/X_runs.parquet
    steps: str  # DIR/X_steps.parquet


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
    runs: int  # rows of the one table
    steps: int  # rows of the other
    unsettled: int  # trials that run or wait: left out
    groups: tuple[ExportedGroup, ...]  # in the order of the sources


def export(*sources: str | Path, to: str | Path) -> ExportReport:
    """Write the runs in `sources` to the two files of `to`, in place of older ones.

    `sources`: studies, of which the settled trials are written, exports and recorded sets, as they
    are. `to`: DIR/X of DIR/X_runs.parquet; where it is a folder, or ends in /, the files are named
    after the study. UserError for what cannot be read or merged, and where the files cannot be
    written.
    """
    texts = named(sources)
    studies = [text for text in texts if _is_study(text)]
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
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        write_frames(prefix, whole.runs, whole.steps)
    except OSError as error:
        raise BadOption("to", f": {runs_file(prefix)} cannot be written: {error}") from None
    return ExportReport(
        files=ExportedFiles(str(runs_file(prefix)), str(steps_file(prefix))),
        studies=len(studies),
        sets=len(sets),
        runs=len(whole.runs),
        steps=len(whole.steps),
        unsettled=num_unsettled,
        groups=groups,
    )


def export_sentence(report: ExportReport) -> str:
    """What was written, in words."""
    ends: Counter[str] = Counter()
    for group in report.groups:
        ends.update(group.ends)
    named = (("study", report.studies), ("recorded set", report.sets))
    of = " and ".join(counted(count, thing) for thing, count in named if count)
    text = (
        f"{report.files.runs} has {counted(report.runs, 'run')} of {of} in "
        f"{counted(len(report.groups), 'group')} "
        f"({', '.join(f'{num} {end}' for end, num in ends.items())}), "
        f"{report.files.steps} {counted(report.steps, 'row')}."
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
    found: dict[str, Counter[str]] = {}
    for row in runs.to_dict("records"):
        found.setdefault(str(row["group"]), Counter())[_end(row)] += 1
    return tuple(ExportedGroup(name, ends.total(), dict(ends)) for name, ends in found.items())


def _end(row: Mapping[str, Any]) -> str:
    """A set from elsewhere need not say the state."""
    state, by = row.get("state"), row.get("pruned_by")
    if isinstance(state, str):
        return f"pruned by {by}" if isinstance(by, str) else state
    return "without an objective" if math.isnan(row["final_eval_loss"]) else State.COMPLETED
