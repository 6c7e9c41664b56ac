"""Ratings of answers: asked for side by side, and on disk as they come."""

from __future__ import annotations

import hashlib
import queue
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sweep.account.outcome import JudgeGone
from sweep.config.objective import Judge
from sweep.judging.client import Client, Reply
from sweep.judging.questions import TURNS, Messages, Question, judge_messages, prompt_name
from trainer.contract.final import Answer
from trainer.contract.lines import append_line, read_lines

_RATING = (re.compile(r"\[\[(\d+\.?\d*)\]\]"), re.compile(r"\[(\d+\.?\d*)\]"))  # FastChat's
MOST = 10.0
Key = tuple[int, int]  # question and turn


@dataclass(frozen=True, slots=True)
class Rating:
    """What the judge said of the answer to one turn."""

    question: int
    turn: int
    rating: float | None  # 1 to 10; None: its answer holds none
    judge: str  # its model name
    prompt: str  # by its name, as single-v1
    answer: str  # hash of what was rated: of the answers up to this turn
    judgment: str
    requests: int
    tokens_in: int
    tokens_out: int

    @property
    def key(self) -> Key:
        """Question and turn."""
        return self.question, self.turn


def rating_in(judgment: str) -> float | None:
    """The rating that a judgment states, by FastChat's rule: [[7]], else [7]. None where there is
    none, or one that is on no scale to 10 (a year in brackets, say)."""
    for pattern in _RATING:
        if found := pattern.search(judgment):
            rating = float(found[1])
            return rating if rating <= MOST else None
    return None


def read_ratings(file: Path, judge: str, answers: Mapping[Key, Answer]) -> dict[Key, Rating]:
    """The ratings in a file by that judge, of these very answers, by question and turn."""
    found: dict[Key, Rating] = {}
    for line in read_lines(file):
        rating = Rating(**line)
        is_known = rating.key in answers and rating.answer == _digest(answers, rating.key)
        if rating.judge == judge and is_known:
            found.setdefault(rating.key, rating)
    return found


def rate(
    questions: Sequence[Question],
    answers: Mapping[Key, Answer],
    judge: Judge,
    file: Path,
    heard: Callable[[Rating], None] = lambda rating: None,
    client: Client | None = None,
) -> dict[Key, Rating]:
    """All ratings, by question and turn. Those that `file` has are taken from there; each new one
    is appended to it at once, and then `heard`.

    UserError where the judge refuses, JudgeGone where it does not answer: no further request is
    made, those under way are waited for, and what came is on disk.
    """
    known = read_ratings(file, judge.model, answers)
    wanted = [(q, turn) for turn in TURNS for q in questions if (q.id, turn) not in known]
    if not wanted:
        return known
    client = client or Client(judge)
    todo: queue.SimpleQueue[tuple[Question, int]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Question, int, Reply] | Exception | None] = queue.SimpleQueue()
    for one in wanted:
        todo.put(one)
    stopped = threading.Event()

    def work() -> None:
        try:
            while not stopped.is_set():
                question, turn = todo.get_nowait()
                said = client.ask(_messages(question, answers, turn))
                done.put((question, turn, said))
        except queue.Empty:
            pass
        except Exception as error:
            done.put(error)
        done.put(None)

    running = min(judge.workers, len(wanted))
    for _ in range(running):
        threading.Thread(target=work, daemon=True).start()
    trouble: Exception | None = None
    try:
        while running:
            match done.get():
                case None:
                    running -= 1
                case Exception() as error:
                    trouble = _first(trouble, error)
                    stopped.set()
                    client.stop()
                case question, turn, reply:
                    rating = _rating(question, turn, answers, judge, reply)
                    append_line(file, asdict(rating))
                    known[rating.key] = rating
                    heard(rating)
    finally:
        stopped.set()
        client.stop()
    if trouble is not None:
        raise trouble
    return known


def _first(known: Exception | None, error: Exception) -> Exception:
    """What is told: a refusal before what may only have been given up for it."""
    return error if known is None or isinstance(known, JudgeGone) else known


def _messages(question: Question, answers: Mapping[Key, Answer], turn: int) -> Messages:
    texts = [answers[question.id, i].text for i in range(1, turn + 1)]
    return judge_messages(question, texts, turn)


def _rating(
    question: Question, turn: int, answers: Mapping[Key, Answer], judge: Judge, reply: Reply
) -> Rating:
    return Rating(
        question.id,
        turn,
        rating_in(reply.text),
        judge.model,
        prompt_name(question, turn),
        _digest(answers, (question.id, turn)),
        reply.text,
        reply.requests,
        reply.tokens_in,
        reply.tokens_out,
    )


def _digest(answers: Mapping[Key, Answer], key: Key) -> str:
    question, turn = key
    said = "\0".join(answers[question, i].text for i in range(1, turn + 1))
    return hashlib.sha256(said.encode()).hexdigest()[:16]
