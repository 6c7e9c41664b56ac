"""The questions of MT-Bench, and what its judge is asked about an answer.

The files in mt_bench/ are FastChat's, unchanged (mt_bench/NOTICE). Protocol: Zheng et al., arXiv
2306.05685, single answer grading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

TURNS = (1, 2)
# What answers are drawn at, by category.
TEMPERATURES: Mapping[str, float] = {
    "writing": 0.7,
    "roleplay": 0.7,
    "reasoning": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "extraction": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}
# Questions whose reference answer is wrong in one turn or both: FastChat's pull request 3158.
DOUBTFUL = (104, 105, 109, 111, 113, 114, 120, 122, 124, 125, 126, 128, 130)

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """A question of two turns, with gpt-4's answers where the judge is shown them."""

    id: int
    category: str
    turns: tuple[str, ...]  # (2,)
    references: tuple[str, ...]  # (2,), or () in all but reasoning, math and coding

    @property
    def temperature(self) -> float:
        """What its answers are drawn at; 0: the likeliest token, always."""
        return TEMPERATURES[self.category]


@cache
def questions() -> tuple[Question, ...]:
    """The 80 questions in their order: ten of each category."""
    references = {
        row["question_id"]: tuple(row["choices"][0]["turns"])
        for row in _rows("reference_answer/gpt-4.jsonl")
    }
    return tuple(
        Question(
            row["question_id"],
            row["category"],
            tuple(row["turns"]),
            references.get(row["question_id"], ()),
        )
        for row in _rows("question.jsonl")
    )


def prompt_name(question: Question, turn: int) -> str:
    """Which of the judge's prompts a turn (1 or 2) is rated with."""
    kind = "single-math-v1" if question.references else "single-v1"
    return kind if turn == 1 else f"{kind}-multi-turn"


def judge_messages(question: Question, answers: Sequence[str], turn: int) -> Messages:
    """What the judge is asked about the answer to a turn (1 or 2); of `answers` it is shown those
    up to that turn."""
    prompt = _prompts()[prompt_name(question, turn)]
    shown: dict[str, str] = {}
    if turn == 1:
        shown |= {"question": question.turns[0], "answer": answers[0]}
    for i in range(turn):
        shown[f"question_{i + 1}"] = question.turns[i]
        shown[f"answer_{i + 1}"] = answers[i]
        if question.references:
            shown[f"ref_answer_{i + 1}"] = question.references[i]
    return [
        {"role": "system", "content": prompt["system_prompt"]},
        {"role": "user", "content": prompt["prompt_template"].format(**shown)},
    ]


@cache
def _prompts() -> Mapping[str, Mapping[str, str]]:
    return {row["name"]: row for row in _rows("judge_prompts.jsonl")}


def _rows(name: str) -> Iterator[Any]:
    text = (files("sweep.judging") / "mt_bench" / name).read_text(encoding="utf-8")
    return (json.loads(line) for line in text.split("\n") if line.strip())
