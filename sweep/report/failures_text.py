"""What to say of a study that failed, in whole or in part: how much, the usual cause, ways out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sweep.account.outcome import Standing
from sweep.report.study_types import StudyReport
from sweep.report.trial_types import Failure, TrialSummary
from sweep.storage.states import State

_WAYS_OUT = {
    "bad input": "fix what it names",
    "out of memory": "`sweep run STUDY --dry-run` says what a trial needs and what would fit",
    "killed": "often the machine's memory is short: fewer at a time (run.workers), or more memory",
    "silent": "allow for more (run.silence_minutes), or look where it hangs",
}


def failure_lines(report: StudyReport) -> list[str]:
    """What failed and what to do, for the head of the report; none where a trial was completed and
    none has failed."""
    trials = report.trials
    failed = [trial for trial in trials if trial.state is State.FAILED]
    if report.state is Standing.NONE_COMPLETED and not failed:
        return [_all_pruned(trials)]
    if not failed:
        return []
    of_all = f"{len(failed)} of {len(trials)} trials failed"
    if report.state is Standing.NONE_COMPLETED:
        of_all = f"No trial was completed: {of_all}"
    return [f"{of_all}. {_usual_cause(failed, report)}", _back(report)]


def _usual_cause(failed: Sequence[TrialSummary], report: StudyReport) -> str:
    """The most frequent kind, with the most frequent message of that kind."""
    errors = [_told(trial) for trial in failed]
    kind, times = Counter(error.kind for error in errors).most_common(1)[0]
    most_frequent, _ = Counter(error for error in errors if error.kind == kind).most_common(1)[0]
    first = failed[errors.index(most_frequent)].number
    most = "The cause" if times == len(failed) else f"The most frequent cause ({times} times)"
    way = _WAYS_OUT.get(kind)
    seen = f"more of it: `sweep inspect {_named(report)} --trial {first}`"
    said = f"{kind}: {most_frequent.message}"
    return f"{most}: {said} ({f'{way}; ' if way else ''}{seen})."


def _told(trial: TrialSummary) -> Failure:
    error = trial.error or Failure("error", "")
    return Failure(error.kind, error.message.strip() or "no message")


def _back(report: StudyReport) -> str:
    return (
        f"When that is fixed: `sweep retry {_named(report)}`, then the same `sweep run` again. "
        "Failed trials go on under their numbers."
    )


def _named(report: StudyReport) -> str:
    """The study's folder, as short as it can be typed from here."""
    out = Path(report.out)
    return shlex.quote(str(out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out))


def _all_pruned(trials: Sequence[TrialSummary]) -> str:
    reasons = [trial.verdict.reason for trial in trials if trial.verdict is not None]
    why = f", as trial {trials[0].number}: {reasons[0]}" if reasons else ""
    return (
        f"No trial was completed: all {len(trials)} were pruned{why}. Give a study of another name "
        "lower learning rates, or look at the data; --set pruning.guards=false lets new trials "
        "diverge to their end."
    )
