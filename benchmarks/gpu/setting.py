"""What the parts of the check share: the model and rows they work on, and what they hand back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.jobs import Jobs
from benchmarks.specs import MICRO_BATCH, bare_trial
from trainer.contract.spec import ModelSpec, TrialSpec

NUM_EVAL_ROWS = 128


class Skipped(Exception):
    """A part that makes no sense here, and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `ok`: False where something does not hold that must."""

    name: str
    found: str
    ok: bool = True


@dataclass(slots=True)
class Setting:
    """A model, its rows, and the device."""

    model: ModelSpec
    train: Path  # the rows that are trained on, and those held out
    eval: Path
    folder: Path
    gpu: str | None  # its name; None: on the CPU
    jobs: Jobs
    data_dir: Path
    facts: Mapping[str, Any]  # of the prepared rows
    is_chat: bool
    largest_micro_batch: int | None = None  # once it has been searched

    def spec(self, num_steps: int, batch_size: int = MICRO_BATCH, **others: Any) -> TrialSpec:
        """A trial without window, evaluation and saving, in micro-batches of MICRO_BATCH."""
        own = bare_trial(
            self.model, self.data_dir, "", num_steps, batch_size, micro_batch=MICRO_BATCH
        )
        spec = replace(own, **others)
        return spec if spec.trial_dir else replace(spec, trial_dir=str(self.new_folder() / "trial"))

    def new_folder(self) -> Path:
        """An empty folder."""
        folder = self.folder / f"part-{sum(1 for _ in self.folder.iterdir())}"
        folder.mkdir()
        return folder

    def by_device(self, on_gpu: int, on_cpu: int) -> int:
        """The first on a GPU, else the second."""
        return on_gpu if self.gpu else on_cpu

    def needs_gpu(self) -> None:
        """Raises Skipped on the CPU."""
        if not self.gpu:
            raise Skipped("needs a GPU")


Part = Callable[[Setting, float], Sequence[Row]]  # of the setting and the most seconds it may take


def write_rows(model: Path, rows: Path, folder: Path) -> tuple[Path, Path, bool]:
    """The rows to train on, those held out, and whether they are chats: questions and answers are,
    for a model that has a chat template."""
    lines = [json.loads(line) for line in rows.read_text().splitlines() if line.strip()]
    is_chat = has_chat_template(model) and "question" in lines[0]
    texts = [json.dumps(as_chat(line) if is_chat else line) + "\n" for line in lines]
    paths = folder / "train.jsonl", folder / "eval.jsonl"
    for path, part in zip(paths, (texts[:-NUM_EVAL_ROWS], texts[-NUM_EVAL_ROWS:]), strict=True):
        path.write_text("".join(part))
    return *paths, is_chat


def has_chat_template(model: Path) -> bool:
    config = model / "tokenizer_config.json"
    said = json.loads(config.read_text()) if config.is_file() else {}
    return (model / "chat_template.jinja").is_file() or "chat_template" in said


def as_chat(row: Mapping[str, Any]) -> dict[str, Any]:
    turns = [("user", row["question"]), ("assistant", row["answer"])]
    return {"messages": [{"role": who, "content": text} for who, text in turns]}
