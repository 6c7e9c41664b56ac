"""What to say of a study that failed, in whole or in part: how much, the usual cause, ways out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.account.outcome import Standing

_WAYS_OUT = {
    "bad input": "mend what it names",
    "out of memory": "`sweep run STUDY --dry-run` says what a trial needs and what would fit",
    "killed": "often the machine's memory is short: fewer at a time (run.workers), or more memory",
    "silent": "allow for more (run.silence_minutes), or look where it hangs",
}


def failure_lines(document: Mapping[str, Any]) -> list[str]:
    """For the head of the report; none where nothing has failed."""
    trials: Sequence[Mapping[str, Any]] = document["trials"]
    failed = [trial for trial in trials if trial["state"] == "failed"]
    if document["state"] == Standing.NONE_COMPLETED and not failed:
        return [_all_pruned(trials)]
    if not failed:
        return []
    of_all = f"{len(failed)} of {len(trials)} trials failed"
    if document["state"] == Standing.NONE_COMPLETED:
        of_all = f"No trial was completed: {of_all}"
    return [f"{of_all}. {_usual_cause(failed, document)}", _back(document)]


def _usual_cause(failed: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> str:
    """The most frequent kind, with the most frequent message of that kind."""
    errors = [trial["error"] or {"kind": "error", "message": ""} for trial in failed]
    kind, times = Counter(str(error["kind"]) for error in errors).most_common(1)[0]
    messages = Counter(str(e["message"]).strip() for e in errors if e["kind"] == kind)
    message = messages.most_common(1)[0][0] or "no message"
    numbers = [
        trial["number"]
        for trial, error in zip(failed, errors, strict=True)
        if (error["kind"], str(error["message"]).strip() or "no message") == (kind, message)
    ]
    most = "The cause" if times == len(failed) else f"The most frequent cause ({times} times)"
    way = _WAYS_OUT.get(kind)
    seen = f"more of it: `sweep inspect {_named(document)} --trial {numbers[0]}`"
    return f"{most}: {kind}: {message} ({f'{way}; ' if way else ''}{seen})."


def _back(document: Mapping[str, Any]) -> str:
    return (
        f"When that is mended: `sweep retry {_named(document)}`, then the same `sweep run` again. "
        "Failed trials go on under their numbers."
    )


def _named(document: Mapping[str, Any]) -> str:
    """The study's folder, as short as it can be typed from here."""
    out = Path(document["out"])
    return shlex.quote(str(out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out))


def _all_pruned(trials: Sequence[Mapping[str, Any]]) -> str:
    reasons = Counter(
        str(trial["verdict"]["reason"]) for trial in trials if trial["verdict"] is not None
    )
    why = f", as trial {trials[0]['number']}: {next(iter(reasons))}" if reasons else ""
    return (
        f"No trial was completed: all {len(trials)} were pruned{why}. Give a study of another name "
        "lower learning rates, or look at the data; --set pruning.guards=false lets new trials "
        "diverge to their end."
    )
