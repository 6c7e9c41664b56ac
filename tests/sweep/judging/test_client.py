"""One request to a judge: what is sent, what is tried again, what is refused at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sweep.account.outcome import JudgeGone
from sweep.config.objective import Judge
from sweep.judging.client import Client, Reply
from tests.support.fake_judge import FakeJudge, Said, fake_judge
from trainer.contract.spec import UserError

KEY = "sk-7fK2pQ9xVb31"
CHAT = [{"role": "user", "content": "How good is it?"}]


@pytest.fixture
def judge() -> Iterator[FakeJudge]:
    with fake_judge() as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    """The seconds between tries, none of which is waited for."""
    return []


@pytest.fixture
def ask(
    judge: FakeJudge, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Reply]:
    """Ask once, with other settings of objective.judge where given."""
    monkeypatch.setenv("A_JUDGES_KEY", KEY)

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    def send(**settings: Any) -> Reply:
        given = {"base_url": judge.base_url, "model": "my-judge", "key_env": "A_JUDGES_KEY"}
        return Client(Judge(**{**given, **settings}), wait).ask(CHAT)

    return send


def in_turn(*said: Said) -> Callable[[int, Any], Said]:
    return lambda number, body: said[min(number, len(said) - 1)]


def test_the_request_is_fastchats_with_the_key_in_its_header(
    judge: FakeJudge, ask: Callable[..., Reply]
) -> None:
    assert ask() == Reply("Well done. Rating: [[7]]", tokens_in=100, tokens_out=20, requests=1)
    assert judge.asked == [
        {"model": "my-judge", "messages": CHAT, "temperature": 0, "max_tokens": 2048}
    ]
    assert judge.headers[0]["authorization"] == f"Bearer {KEY}"


def test_without_key_env_no_key_is_sent(judge: FakeJudge, ask: Callable[..., Reply]) -> None:
    ask(key_env=None)
    assert "authorization" not in judge.headers[0]


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({"temperature": 1, "seed": 3}, {"temperature": 1, "max_tokens": 2048, "seed": 3}),
        ({"max_tokens": None, "temperature": None}, {}),
        ({"max_completion_tokens": 9}, {"temperature": 0, "max_completion_tokens": 9}),
    ],
)
def test_parameters_replace_what_a_request_holds(
    judge: FakeJudge, ask: Callable[..., Reply], parameters: dict[str, Any], sent: dict[str, Any]
) -> None:
    ask(parameters=parameters)
    assert judge.asked == [{"model": "my-judge", "messages": CHAT, **sent}]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again_after_longer_and_longer_waits(
    judge: FakeJudge, ask: Callable[..., Reply], waits: list[float], status: int
) -> None:
    judge.say = in_turn(*[Said(status=status, body="busy")] * 3, Said())
    assert ask().requests == 4
    assert [low <= wait <= 2 * low for low, wait in zip((0.5, 1, 2), waits, strict=True)]
    assert len(waits) == 3


def test_a_server_says_how_long_to_wait(
    judge: FakeJudge, ask: Callable[..., Reply], waits: list[float]
) -> None:
    judge.say = in_turn(
        Said(status=429, headers={"Retry-After": "17"}),
        Said(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),  # is over
        Said(),
    )
    ask()
    assert waits == [17, 0]


def test_who_asks_for_an_hour_is_not_waited_for(
    judge: FakeJudge, ask: Callable[..., Reply], waits: list[float]
) -> None:
    judge.say = in_turn(Said(status=429, headers={"Retry-After": "3600"}, body="quota"))
    with pytest.raises(JudgeGone, match=r"HTTP 429 .*quota, and asks for 3,600 s to pass"):
        ask()
    assert waits == []


def test_a_time_out_is_tried_again(judge: FakeJudge, ask: Callable[..., Reply]) -> None:
    is_over = threading.Event()

    def say(number: int, body: Any) -> Said:
        if number == 0:
            is_over.wait(20)
        return Said()

    judge.say = say
    try:
        assert ask(timeout_s=0.2).requests >= 2
    finally:
        is_over.set()


def test_nobody_there_is_said_after_the_last_try(
    judge: FakeJudge, ask: Callable[..., Reply], waits: list[float]
) -> None:
    nowhere = "http://127.0.0.1:1/v1"
    with pytest.raises(JudgeGone, match=r"127.0.0.1:1/v1/chat/completions .*3 tries.*refused"):
        ask(base_url=nowhere, retries=2)
    assert len(waits) == 2


@pytest.mark.parametrize(
    "body", ["<html>it works</html>", "{}", '{"choices": []}', '{"choices": [{"message": null}]}']
)
def test_what_is_no_completion_is_tried_again_and_then_shown(
    judge: FakeJudge, ask: Callable[..., Reply], body: str
) -> None:
    judge.say = in_turn(Said(body=body))
    with pytest.raises(JudgeGone, match="no chat completion"):
        ask(retries=1)
    assert len(judge.asked) == 2


def test_an_empty_answer_is_an_answer(judge: FakeJudge, ask: Callable[..., Reply]) -> None:
    judge.say = in_turn(Said(None, usage=None))  # as models give that have thought too long
    assert ask() == Reply("", tokens_in=0, tokens_out=0, requests=1)


def error(message: str) -> str:
    return json.dumps({"error": {"message": message, "type": "x"}})


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            Said(status=401, body=error("Incorrect API key")),
            "HTTP 401 .*Incorrect API key; the key",
        ),
        (Said(status=404, body="no such model"), "HTTP 404 .*no such model; objective.judge.base"),
        (Said(status=400, body=error("max_tokens is not supported")), "parameters change what"),
        (Said(status=302, headers={"Location": "http://127.0.0.1:1/"}), "redirects are not"),
    ],
)
def test_a_refusal_is_said_at_once(
    judge: FakeJudge, ask: Callable[..., Reply], said: Said, sentence: str
) -> None:
    judge.say = in_turn(said)
    with pytest.raises(UserError, match=sentence) as refused:
        ask()
    assert len(judge.asked) == 1
    assert "\n" not in str(refused.value)


def test_the_key_is_in_no_message_and_in_no_answer(
    judge: FakeJudge, ask: Callable[..., Reply]
) -> None:
    judge.say = in_turn(Said(f"I saw {KEY}. [[3]]"))
    assert ask().text == "I saw ***. [[3]]"
    judge.say = in_turn(Said(status=401, body=error(f"no key {KEY}")))
    with pytest.raises(UserError) as refused:
        ask()
    judge.say = in_turn(Said(status=500, body=f"no key {KEY}"))
    with pytest.raises(JudgeGone) as gone:
        ask(retries=0)
    for said in (refused.value, gone.value):
        assert "***" in str(said) and KEY not in str(said)


def test_a_key_that_is_not_set_is_named(
    ask: Callable[..., Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("A_JUDGES_KEY")
    with pytest.raises(UserError, match="the environment variable A_JUDGES_KEY is not set"):
        ask()


def test_a_key_in_the_address_is_refused(ask: Callable[..., Reply]) -> None:
    with pytest.raises(UserError, match=r"objective\.judge\.base_url: no password") as refused:
        ask(base_url=f"http://me:{KEY}@127.0.0.1:1/v1")
    assert KEY not in str(refused.value)
