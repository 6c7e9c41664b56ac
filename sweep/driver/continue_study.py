"""A study goes on only as what it is: changes are said and noted, or refused."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from predictor.judge import version_of
from sweep.account.early_eval import early_size
from sweep.account.hours import KEY
from sweep.config.changes import differences
from sweep.config.load import LoadedStudy
from sweep.driver.folder_beside import folder_beside
from sweep.driver.inputs import changed_inputs, only_moved, taken_up
from sweep.driver.prepare import prepare, prepare_spec
from sweep.executors import Executor, Slot
from sweep.judging.record import JUDGE, JUDGED, refuse_another
from sweep.report.view import View
from sweep.storage.ledger import Ledger, StudyRow
from sweep.storage.paths import StudyPaths
from sweep.storage.states import State
from trainer.contract.fingerprint import pinned
from trainer.contract.measurement import Scores
from trainer.contract.scores import base_scores_folder, write_scores
from trainer.contract.spec import UserError

_WINDOW_KEYS = (
    "pruning.window",
    "pruning.min_steps",
    "pruning.early_eval",
    "pruning.looks",
    "objective.early",
)


def continue_study(
    loaded: LoadedStudy, row: StudyRow, ledger: Ledger, paths: StudyPaths, view: View
) -> dict[str, Any]:
    """The facts from now on; what may change is noted and said. UserError for what would make it
    another study."""
    document = loaded.study.to_document()
    refused, allowed = differences(row.document, document)
    moved = [text for text in refused if only_moved(loaded, row.facts, text)]
    allowed += [f"{text} (with the same content)" for text in moved]
    refused = [text for text in refused if text not in moved]
    refused += changed_inputs(loaded, row.facts)
    refuse_another(row.facts, loaded.study.objective.judge, row.name)
    settings = loaded.study.pruning.settings()
    size, keys = _early_size(loaded, row)
    if settings.scouts:
        refused += _looked_at_elsewhere(allowed, keys, ledger)
    if refused:
        raise UserError(
            f"study {row.name!r} was made with other settings: {'; '.join(refused)}. Give the "
            "changed study another name, or put these back"
        )
    version = version_of(settings)
    if row.predictor != version:
        allowed.append(f"predictor: was {row.predictor}, is {version}")
    for change in allowed:
        view.say(f"continued under another setting: {change}")
        if change.startswith(keys):
            view.say("  trials are compared only with those whose window was looked at alike")
    facts, taken = taken_up(loaded, row.facts)
    facts = {**facts, "early_eval": size}
    for change in taken:
        view.say(change)
    if facts != row.facts:
        ledger.keep_facts(facts)
    if allowed or taken:
        ledger.continue_as(document, version, [*allowed, *taken])
    return facts


def _early_size(loaded: LoadedStudy, row: StudyRow) -> tuple[int, tuple[str, ...]]:
    """How many samples a look measures from now on, and the keys whose changes make looks others
    than those before: how the number is given is none of them where it stays the same."""
    before = row.facts.get("early_eval", row.document.get("pruning", {}).get("early_eval"))
    known = {} if before in (None, "auto") else {"early_eval": before}
    size = early_size(loaded.study, {**row.facts, **known})
    if size != before:
        return size, _WINDOW_KEYS
    return size, tuple(key for key in _WINDOW_KEYS if key != "pruning.early_eval")


def _looked_at_elsewhere(
    changes: Sequence[str], keys: tuple[str, ...], ledger: Ledger
) -> list[str]:
    """Those of the changes that would leave parked trials without any to be compared with; `keys`:
    of what makes looks others."""
    moved = [text for text in changes if text.startswith(keys)]
    if not moved:
        return []
    parked = [str(n) for n, state in ledger.read_states().items() if state == State.PARKED]
    if not parked:
        return []
    trials = f"trial {parked[0]} is" if len(parked) == 1 else f"trials {', '.join(parked)} are"
    return [f"{text}; {trials} parked as the study looked at them before" for text in moved]


def prepare_again(
    loaded: LoadedStudy,
    paths: StudyPaths,
    known: dict[str, Any],
    executor: Executor,
    slot: Slot,
    view: View,
    base: Mapping[str, Scores],
) -> dict[str, Any]:
    """The facts of data that are prepared once more: OUT is new or was emptied, and the storage has
    the study, and the `base` model's scores by metric. UserError where the rows are not the
    same."""
    with folder_beside(paths.data) as beside:
        spec = prepare_spec(loaded, beside / "data", measure_base=False)
        spec = replace(spec, model=replace(pinned(spec.model, known), digest=None))
        silence_s = loaded.study.run.silence_s
        facts = prepare(spec, executor, slot, view, beside / "prepare.log", silence_s).facts
        for part in ("train", "phases", "eval", "choices", "benchmarks"):
            if _without_paths(facts.get(part)) != _without_paths(known.get(part)):
                raise UserError(
                    f"the {part} data give other rows than when the study was made"
                    f"{_other_version(known, facts)}"
                )
        if others := _other_rows(facts, known):
            raise UserError(f"{', '.join(others)}: other rows than when the study was made")
        for metric, scores in base.items():
            write_scores(base_scores_folder(beside / "data"), metric, scores)
        shutil.rmtree(paths.data, ignore_errors=True)
        (beside / "data").rename(paths.data)
    kept = ("base_measurements", "model", "versions", "sources", "early_eval", KEY, JUDGE, JUDGED)
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


def _other_version(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before.get("version") == now.get("version"):
        return ""
    return " by an older version of this program; give the study another name to make it anew"


def _without_paths(part: Any) -> Any:
    """Phases name their files, which may lie elsewhere now."""
    if not isinstance(part, list):
        return part
    phases = cast("list[dict[str, Any]]", part)
    return [{key: value for key, value in phase.items() if key != "path"} for phase in phases]
