"""`sweep export`: studies, exports and recorded sets as X_runs.parquet and X_steps.parquet."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from predictor.recorded.files import RUNS, prefix_of, runs_file, steps_file, write_frames
from sweep.analysis.merge import Part, merged
from sweep.analysis.sources import read_set, sets_named
from sweep.analysis.tables import study_tables
from sweep.storage.find import look_for_study
from trainer.contract.safe_text import file_name
from trainer.contract.spec import UserError
from trainer.contract.streams import print_json


def export_studies(texts: Sequence[str], to: str | Path, *, as_json: bool = False) -> int:
    """Write what `texts` name to the two files of `to`, in place of older ones: the settled trials
    of studies, and recorded sets as they are.

    Where `to` is a folder, or ends in /, they are named after the study. UserError for what cannot
    be read or merged, and where the files cannot be written.
    """
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
    prefix = _prefix(to, [group["group"] for group in groups])
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        write_frames(prefix, whole.runs, whole.steps)
    except OSError as error:
        raise UserError(f"--to: {runs_file(prefix)} cannot be written: {error}") from None
    document: dict[str, Any] = {
        "files": {"runs": str(runs_file(prefix)), "steps": str(steps_file(prefix))},
        "studies": len(studies),
        "sets": len(sets),
        "runs": len(whole.runs),
        "steps": len(whole.steps),
        "unsettled": num_unsettled,
        "groups": groups,
    }
    if as_json:
        print_json(document)
    else:
        sys.stdout.write(_said(document) + "\n")
    return 0


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
        raise UserError(
            f"--to: {to} is a folder, and there are {len(names)} groups "
            f"({', '.join(sorted(names))}); give {to / 'X'} for {to / 'X'}_runs.parquet"
        )
    return to / file_name(names[0])


def _groups(runs: Any) -> list[dict[str, Any]]:
    """How many runs each has, and how they ended."""
    found: dict[str, Counter[str]] = {}
    for row in runs.to_dict("records"):
        found.setdefault(str(row["group"]), Counter())[_end(row)] += 1
    return [
        {"group": group, "runs": ends.total(), "ends": dict(ends)} for group, ends in found.items()
    ]


def _end(row: Mapping[str, Any]) -> str:
    """A set from elsewhere need not say the state."""
    state, by = row.get("state"), row.get("pruned_by")
    if isinstance(state, str):
        return f"pruned by {by}" if isinstance(by, str) else state
    return "without an objective" if math.isnan(row["final_eval_loss"]) else "completed"


def _said(document: Mapping[str, Any]) -> str:
    ends: Counter[str] = Counter()
    for group in document["groups"]:
        ends.update(group["ends"])
    of = [
        _number(document[name], thing)
        for name, thing in (("studies", "study"), ("sets", "recorded set"))
        if document[name]
    ]
    text = (
        f"{document['files']['runs']} has {_number(document['runs'], 'run')} of "
        f"{' and '.join(of)} in {_number(len(document['groups']), 'group')} "
        f"({', '.join(f'{n} {end}' for end, n in ends.items())}), "
        f"{document['files']['steps']} {_number(document['steps'], 'row')}."
    )
    if unsettled := document["unsettled"]:
        are = "is" if unsettled == 1 else "are"
        text += f" {_number(unsettled, 'trial')} not yet settled {are} left out."
    return text


def _number(count: int, thing: str) -> str:
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{count:,} {thing if count == 1 else plural}"
