"""Whether studies of one name ask the same question, so that their trials can be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sweep.analysis.recorded.settled import SettledStudy
from trainer.contract.spec import UserError

# of the study file's model section: what else it has does not change what is asked
MODEL_KEYS = ("base", "tuning", "dtype", "weights")
PATH_KEYS = ("train", "eval", "phases")  # of its data section; the files' content is compared


def refuse_other_questions(studies: Sequence[SettledStudy]) -> None:
    """Raise a UserError that names the first key in which two studies of one name differ."""
    first: dict[str, SettledStudy] = {}
    for study in studies:
        other = first.setdefault(study.row.name, study)
        here, there = question(study), question(other)
        for key in sorted(there.keys() & here.keys()):
            if there[key] != here[key]:
                raise UserError(
                    f"the studies of the name {study.row.name!r} do not ask the same question: "
                    f"{key} is {json.dumps(there[key])} in {other.label} and "
                    f"{json.dumps(here[key])} in {study.label}; export them one by one"
                )


def question(study: SettledStudy) -> dict[str, object]:
    """What may not differ, by the study file's keys."""
    document, facts = study.row.document, study.row.facts
    model, data = document["model"], document.get("data", {})
    found: dict[str, object] = {f"model.{key}": model.get(key) for key in MODEL_KEYS}
    found |= {f"model.lora.{key}": value for key, value in model.get("lora", {}).items()}
    found |= {f"data.{key}": value for key, value in data.items() if key not in PATH_KEYS}
    for part, source in facts.get("sources", {}).items():
        found[f"the content of its data ({part})"] = source.get("sha256") or source.get("path")
    found["objective.metric"] = document["objective"]["metric"]
    found["budget"] = document.get("budget")
    if found["budget"] is None:
        space = document.get("search", {}).get("space", {})
        found["search.space.epochs"] = space.get("epochs")
    window = study.usual_window
    if window is not None:  # of a study without any, nothing can be compared
        found["the early window, in samples,"] = window
    given = document.get("pruning", {}).get("early_eval")
    found["pruning.early_eval"] = facts.get("early_eval", given)
    return found
