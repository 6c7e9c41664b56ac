"""All answers rated: what counts as a rating, what is kept of a judge that fails half-way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.account.outcome import JudgeGone
from sweep.config.objective import Judge
from sweep.judging.questions import questions
from sweep.judging.ratings import rate, rating_in, read_ratings
from tests.support.fake_judge import FakeJudge, Said, fake_judge
from trainer.contract.final import Answer
from trainer.contract.lines import read_lines
from trainer.contract.spec import UserError

FEW = questions()[:3]
KEYS = {(question.id, turn) for question in FEW for turn in (1, 2)}
KEY = "sk-7fK2pQ9xVb31"


def answer(question: int, turn: int, text: str = "") -> Answer:
    said = text or f"answer {turn} to {question}"
    return Answer(question, turn, said, 10, 5, is_prompt_cut=False, is_whole=True, seconds=0.1)


ANSWERS = {key: answer(*key) for key in KEYS}


@pytest.fixture
def server() -> Iterator[FakeJudge]:
    with fake_judge() as server:
        yield server


@pytest.fixture
def judge(server: FakeJudge) -> Judge:
    return Judge(base_url=server.base_url, model="my-judge", retries=0, workers=2)


def rating_of(turn_2: int) -> Callable[[int, Any], Said]:
    """5 for first turns, `turn_2` for second ones."""

    def say(number: int, body: Any) -> Said:
        is_second = "answer 2 to" in body["messages"][1]["content"]
        return Said(f"[[{turn_2 if is_second else 5}]]")

    return say


@pytest.mark.parametrize(
    ("judgment", "rating"),
    [
        ("Good. Rating: [[8]]", 8),
        ("Rating: [[8.5]] because", 8.5),
        ("[[10]]", 10),
        ("It is [6], I think", 6),  # FastChat's second try
        ("At first [3], but then [[4]]", 4),
        ("[[4]] ... no, [[9]]", 4),
        ("Rating: 8", None),
        ("[[good]]", None),
        ("", None),
        ("As shown in [2019]", None),
    ],
)
def test_a_rating_stands_in_brackets(judgment: str, rating: float | None) -> None:
    assert rating_in(judgment) == rating


def test_each_turn_is_rated_once(server: FakeJudge, judge: Judge, tmp_path: Path) -> None:
    server.say = rating_of(9)
    heard: list[Any] = []
    found = rate(FEW, ANSWERS, judge, tmp_path / "ratings.jsonl", heard.append)
    assert {key: one.rating for key, one in found.items()} == {
        (id, turn): 5 if turn == 1 else 9 for id, turn in KEYS
    }
    assert len(server.asked) == len(heard) == 6
    assert read_ratings(tmp_path / "ratings.jsonl", "my-judge", ANSWERS) == found


def test_an_answer_without_a_rating_is_kept_and_not_asked_for_again(
    server: FakeJudge, judge: Judge, tmp_path: Path
) -> None:
    server.say = lambda number, body: Said("I would rather not.")
    for _ in range(2):
        found = rate(FEW, ANSWERS, judge, tmp_path / "ratings.jsonl")
        assert {one.rating for one in found.values()} == {None}
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [(Said(status=500), JudgeGone), (Said(status=401, body="no"), UserError)],
)
def test_a_judge_that_fails_half_way_loses_nothing_and_goes_on(
    server: FakeJudge, judge: Judge, tmp_path: Path, trouble: Said, kind: type[Exception]
) -> None:
    file = tmp_path / "ratings.jsonl"
    one_by_one = judge.model_copy(update={"workers": 1})
    server.say = lambda number, body: Said("[[6]]") if number < 4 else trouble
    with pytest.raises(kind):
        rate(FEW, ANSWERS, one_by_one, file)
    assert len(read_lines(file)) == 4
    server.say = lambda number, body: Said("[[2]]")
    found = rate(FEW, ANSWERS, one_by_one, file)
    assert sorted(one.rating or 0 for one in found.values()) == [2, 2, 6, 6, 6, 6]
    assert len(server.asked) == 4 + 1 + 2


def test_a_line_that_a_kill_has_torn_is_asked_for_again(
    server: FakeJudge, judge: Judge, tmp_path: Path
) -> None:
    file = tmp_path / "ratings.jsonl"
    before = rate(FEW, ANSWERS, judge, file)
    file.write_bytes(file.read_bytes()[:-30])
    assert rate(FEW, ANSWERS, judge, file) == before
    assert len(server.asked) == 7
    assert len(read_lines(file)) == 6  # each on a line of its own


def test_ratings_of_another_judge_or_of_other_answers_do_not_count(
    server: FakeJudge, judge: Judge, tmp_path: Path
) -> None:
    file = tmp_path / "ratings.jsonl"
    rate(FEW, ANSWERS, judge, file)
    other = judge.model_copy(update={"model": "another-judge"})
    assert read_ratings(file, other.model, ANSWERS) == {}
    changed = {**ANSWERS, (81, 1): replace(ANSWERS[81, 1], text="other words")}
    kept = read_ratings(file, judge.model, changed)
    assert set(kept) == KEYS - {(81, 1), (81, 2)}  # the second turn was shown the first


def test_the_key_is_in_no_file(
    server: FakeJudge, judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_JUDGES_KEY", KEY)
    server.say = lambda number, body: Said(f"Your key is {KEY}, rating [[1]]")
    with_key = judge.model_copy(update={"key_env": "A_JUDGES_KEY"})
    rate(FEW, ANSWERS, with_key, tmp_path / "ratings.jsonl")
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*"))
