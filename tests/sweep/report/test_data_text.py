"""What a person reads of the prepared data before the first trial."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.report.data_text import data_lines


def rows(num: int, read: int | None = None, **changes: Any) -> dict[str, Any]:
    facts = {"rows": num, "rows_read": read or num, "truncated": 0, "longest": 90}
    facts |= {"dropped_no_completion": 0, "dropped_too_short": 0, "longest_read": 90}
    return facts | {"input_tokens": num * 50, "loss_tokens": num * 10} | changes


def data(**changes: Any) -> dict[str, Any]:
    whole = {"train": rows(1000), "phases": None, "eval": rows(100), "choices": None}
    whole |= {"duplicates": 0, "duplicates_choices": 0, "repeated": 0, "max_length": 64}
    whole |= {"notes": {}, "shapes": {"train": "text", "eval": "text", "choices": "text"}}
    return whole | changes


def note(what: str, num: int, first: str) -> dict[str, Any]:
    return {"what": what, "rows": num, "first": first}


def test_nothing_to_say_but_sizes() -> None:
    assert list(data_lines(data())) == [
        "train    1,000 rows, 50,000 tokens, 20.0% of them bear loss (10,000), the longest 90",
        "eval     100 rows, 5,000 tokens, 20.0% of them bear loss (1,000), the longest 90",
    ]


def test_each_note_has_its_line_with_the_first_place() -> None:
    notes = {
        "train": [
            note("column 'source' is not read", 1000, "train.jsonl, line 1"),
            note("cut at data.max_length", 7, "train.jsonl, line 12"),
        ],
        "eval": [note("byte order marks", 1, "eval.csv, line 3")],
    }
    train = rows(995, 1000, truncated=7, longest_read=300)
    said = list(data_lines(data(train=train, notes=notes)))
    assert said[1:4] == [
        "         column 'source' is not read: 1,000 of 1,000 rows, first train.jsonl, line 1",
        "         cut at data.max_length: 7 of 1,000 rows, first train.jsonl, line 12",
        "         the longest that was read has 300 tokens",
    ]
    assert said[5] == "         byte order marks: 1 of 100 rows, first eval.csv, line 3"


def test_phases_have_a_line_each() -> None:
    one = rows(300, path="/data/facts.jsonl")
    two = rows(690, 700, path="org/skills:train", dropped_no_completion=10)
    train = rows(990, 1000, dropped_no_completion=10)
    notes = {"phase 2": [note("dropped", 10, "skills:train, row 4")]}
    said = list(data_lines(data(train=train, phases=[one, two], notes=notes)))
    assert [line[:18] for line in said] == [
        "train    990 rows,",
        "phase 1  300 rows,",
        "phase 2  690 rows,",
        "         dropped: ",
        "eval     100 rows,",
    ]
    assert said[1].endswith("the longest 90 (facts.jsonl)")
    assert said[2].endswith("the longest 90 (skills:train)")


def test_questions_and_those_that_did_not_fit() -> None:
    choices = {"questions": 90, "questions_read": 100, "dropped_too_long": 10, "longest_read": 99}
    choices |= {"groups": {"a": 60, "b": 30}, "input_tokens": 9000}
    notes = {"choices": [note("dropped", 10, "eval.jsonl, line 4")]}
    assert list(data_lines(data(eval=None, choices=choices, notes=notes)))[1:] == [
        "choices  90 questions (a 60, b 30), 9,000 tokens, asked as text",
        "         dropped: 10 of 100 questions, first eval.jsonl, line 4",
        "         the longest that was read has 99 tokens",
    ]
    many = choices | {"questions": 70, "dropped_too_long": 30}
    assert list(data_lines(data(choices=many)))[-1] == "warning: 30% of the questions were dropped"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": rows(800, 1000)}, []),
        ({"train": rows(790, 1000)}, ["21% of the rows of train were dropped"]),
        (
            {"eval": rows(100, truncated=50)},
            ["50% of the rows of eval are cut at data.max_length, 64 tokens"],
        ),
        (
            {"phases": [rows(1, path="a"), rows(2, 9, path="b")]},
            ["78% of the rows of phase 2 were dropped"],
        ),
        (
            {"duplicates": 5, "duplicates_choices": 1},
            [
                "rows of train that are also in eval: 5 (0.5%); memorising them is rewarded",
                "rows of train that are also among the questions with their answers: 1 (0.1%); "
                "memorising them is rewarded",
            ],
        ),
        (
            {"shapes": {"train": "chat", "eval": "chat", "choices": "text"}},
            [
                "the rows of train are chats, and those of choices are asked as text "
                "(objective.shape); in another shape the same rows score otherwise"
            ],
        ),
        (
            {"shapes": {"phase 1": "chat", "phase 2": "text", "eval": "chat"}},
            [
                "the rows of train are chats and text, and those of eval are asked as chats; "
                "in another shape the same rows score otherwise"
            ],
        ),
        ({"shapes": {"train": "chat", "eval": "chat", "choices": "chat"}}, []),
    ],
)
def test_warnings(changes: dict[str, Any], said: list[str]) -> None:
    lines = data_lines(data(**changes))
    warned = [line for line in lines if line.startswith("warning: ")]
    assert warned == [f"warning: {each}" for each in said]
