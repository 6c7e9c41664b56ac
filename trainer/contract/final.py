"""What is measured of a study's best few alone, at its end: the job's spec, and what it leaves.

Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainer.contract.lines import append_line, read_lines
from trainer.contract.spec import BenchmarkSpec, ModelSpec

FINAL_ENTRY = "trainer.worker:run_final"
ANSWER_ENTRY = "trainer.worker:run_answers"


@dataclass(frozen=True, slots=True)
class FinalSpec:
    """Measure metrics of a kept model. What the base model has is left in `data_dir`, for others to
    be paired with."""

    model: ModelSpec
    folder: str | None  # a kept model's, or an adapter's; None: the base model
    data_dir: str
    metrics: tuple[str, ...]
    benchmarks: BenchmarkSpec
    num_threads: int = 0  # 0: all


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """A conversation to be held with a model: its own answers stand between the turns."""

    id: int
    turns: tuple[str, ...]
    temperature: float  # 0: the likeliest token, always


@dataclass(frozen=True, slots=True)
class AnswerSpec:
    """Answer the questions that `file` has no answers to yet, and append them to it."""

    model: ModelSpec
    folder: str | None  # a kept model's, or an adapter's; None: the base model
    tokenizer: str  # its folder
    file: str
    questions: tuple[ChatQuestion, ...]
    shape: Literal["chat", "text"]  # text, or a tokenizer without a chat template: by `template`
    template: str  # holds {prompt}
    system: str | None = None  # put before chats
    max_new_tokens: int = 1024
    seed: int = 0
    num_threads: int = 0  # 0: all


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said in one turn."""

    question: int
    turn: int  # from 1
    text: str
    prompt_tokens: int
    tokens: int  # new ones
    is_prompt_cut: bool  # on the left: it left the model no positions to answer in
    is_whole: bool  # the model ended it; else there was no more room
    seconds: float  # its share of the batch's

    @property
    def key(self) -> tuple[int, int]:
        """Question and turn."""
        return self.question, self.turn


def read_answers(path: Path) -> Mapping[tuple[int, int], Answer]:
    """The answers in a file, by question and turn; of two to the same the first."""
    found: dict[tuple[int, int], Answer] = {}
    for line in read_lines(path):
        answer = Answer(**line)
        found.setdefault(answer.key, answer)
    return found


def append_answer(path: Path, answer: Answer) -> None:
    """The answer is on disk, behind those that are there."""
    line: dict[str, Any] = {name: getattr(answer, name) for name in Answer.__dataclass_fields__}
    append_line(path, line)
