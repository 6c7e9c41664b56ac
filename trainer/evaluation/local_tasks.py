"""Tasks of one's own from rows alone: NAME.jsonl of {prompt, choices, answer, group}.

NAME.examples.jsonl beside it has the examples that are shown before a question; without it they are
drawn from the other questions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from lm_eval.tasks._index import TaskIndex

from trainer.contract.spec import UserError
from trainer.data.render import read_choices
from trainer.data.rows import read_source
from trainer.data.texts import BadRow
from trainer.evaluation.kept_data import ROWS, KeptData

_EXAMPLES = ".examples"
TASK: dict[str, Any] = {  # as the harness asks arc_easy
    "dataset_path": ROWS,
    "output_type": "multiple_choice",
    "test_split": "test",
    "doc_to_text": "Question: {{prompt}}\nAnswer:",
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "metric_list": [
        {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
        {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True},
    ],
}


def names_of(folder: Path) -> list[str]:
    """The tasks that the folder has rows of. A task file of the same name comes first."""
    named = TaskIndex.build([folder])
    files = sorted(folder.glob("*.jsonl"))
    return [file.stem for file in files if _is_task(file) and file.stem not in named]


def _is_task(file: Path) -> bool:
    return not file.stem.endswith(_EXAMPLES)


def write_task(folder: Path, name: str, into: Path) -> None:
    """The task file NAME.yaml is in `into`."""
    examples = _examples(folder, name).is_file()
    task = TASK | {
        "task": name,
        "dataset_name": name,
        "fewshot_split": "examples" if examples else "test",
    }
    (into / f"{name}.yaml").write_text(yaml.safe_dump(task, allow_unicode=True), encoding="utf-8")


def keep_rows(folder: Path, name: str, kept: KeptData) -> None:
    """The rows of a task are kept. UserError with file and line where one is wrong."""
    splits = {"test": _rows(folder / f"{name}.jsonl")}
    if (examples := _examples(folder, name)).is_file():
        splits["examples"] = _rows(examples)
    file = kept.rows_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(splits), encoding="utf-8")


def _examples(folder: Path, name: str) -> Path:
    return folder / f"{name}{_EXAMPLES}.jsonl"


def _rows(file: Path) -> list[dict[str, Any]]:
    source = read_source(str(file), "test", file.parent)
    rows: list[dict[str, Any]] = []
    for index, row in enumerate(source.rows):
        try:
            prompt, choices, answer, group = read_choices(row)
        except BadRow as error:
            raise UserError(f"{source.place(index)}: {error}") from None
        rows.append({"prompt": prompt, "choices": choices, "answer": answer, "group": group})
    return rows
