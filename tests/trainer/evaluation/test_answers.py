"""Answers to conversations by a tiny model: whole, the same each time, and kept through a kill."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.chat_templates import PLAIN
from trainer.contract.final import (
    ANSWER_ENTRY,
    Answer,
    AnswerSpec,
    ChatQuestion,
    read_answers,
)
from trainer.contract.spec import Failed, Finished, ModelSpec
from trainer.evaluation import answers as module
from trainer.evaluation.answers import Draw, answer_all
from trainer.evaluation.conversation import Conversation
from trainer.worker import run_answers

QUESTIONS = (
    ChatQuestion(1, ("Name a bird.", "And a fish?"), 0.0),
    ChatQuestion(2, ("Tell me a story.", "A longer one, please, of two sentences."), 0.7),
    ChatQuestion(3, ("2+2", "3+3"), 0.1),
)


@pytest.fixture
def spec(tiny_model: Path, tmp_path: Path) -> AnswerSpec:
    return AnswerSpec(
        ModelSpec(str(tiny_model), dtype="float32"),
        folder=None,
        tokenizer=str(tiny_model),
        file=str(tmp_path / "answers.jsonl"),
        questions=QUESTIONS,
        shape="text",
        template="auto",
        max_new_tokens=12,
        num_threads=1,
    )


def answered(spec: AnswerSpec) -> Mapping[tuple[int, int], Answer]:
    answer_all(spec, lambda doing: None)
    return read_answers(Path(spec.file))


def texts(found: Mapping[tuple[int, int], Answer]) -> dict[tuple[int, int], str]:
    return {key: one.text for key, one in sorted(found.items())}


def elsewhere(spec: AnswerSpec, **changes: Any) -> AnswerSpec:
    file = Path(spec.file).with_name("elsewhere.jsonl")
    return replace(spec, file=str(file), **changes)


def test_every_turn_of_every_question_is_answered(spec: AnswerSpec) -> None:
    found = answered(spec)
    assert set(found) == {(id, turn) for id in (1, 2, 3) for turn in (1, 2)}
    assert all(one.text and 0 < one.tokens <= 12 for one in found.values())


def test_the_second_turn_stands_behind_the_first_answer(spec: AnswerSpec) -> None:
    found = answered(spec)
    first = found[1, 1].text
    text = f"Question: Name a bird.\nAnswer: {first}\n\nQuestion: And a fish?\nAnswer:"
    # a token per byte, but for what it generated that is no UTF-8
    least = len("Question: Name a bird.\nAnswer: \n\nQuestion: And a fish?\nAnswer:")
    assert least < found[1, 2].prompt_tokens == len(text.encode())


def test_answers_are_the_same_again_and_others_with_another_seed(spec: AnswerSpec) -> None:
    before = texts(answered(spec))
    assert texts(answered(elsewhere(spec))) == before
    other = texts(answered(replace(spec, file=spec.file + "2", seed=1)))
    assert other[1, 1] == before[1, 1]  # temperature 0
    assert other[2, 1] != before[2, 1]


def test_an_answer_does_not_depend_on_what_is_answered_beside_it(
    spec: AnswerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = texts(answered(spec))
    monkeypatch.setitem(module.TOGETHER, "cpu", 1)
    assert texts(answered(elsewhere(spec))) == together


def test_a_kill_loses_nothing_and_the_rest_is_what_it_would_have_been(spec: AnswerSpec) -> None:
    whole = answered(spec)
    file, kept = Path(spec.file), Path(spec.file).with_name("elsewhere.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    kept.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # killed while it wrote the fourth
    assert texts(answered(elsewhere(spec))) == texts(whole)
    assert kept.read_bytes().startswith(b"".join(lines[:3]))


def test_where_a_batch_does_not_fit_it_is_halved(
    spec: AnswerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = texts(answered(spec))
    batch, sizes = module._Generator._batch, []

    def tight(self: Any, turn: int, asked: Any) -> Any:
        sizes.append(len(asked))
        if len(asked) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return batch(self, turn, asked)

    monkeypatch.setattr(module._Generator, "_batch", tight)
    assert texts(answered(elsewhere(spec))) == whole
    assert sizes == [3, 1, 1, 1, 1, 1, 1]


def test_a_prompt_beyond_the_models_positions_is_cut_on_the_left_and_marked(
    spec: AnswerSpec,
) -> None:
    """The tiny model has 256 positions, a token per byte."""
    long = ChatQuestion(9, ("word " * 100 + "end", "more " * 100), 0.0)
    found = answered(replace(spec, questions=(*QUESTIONS, long)))
    assert {key for key, one in found.items() if one.is_prompt_cut} == {(9, 1), (9, 2)}
    assert found[9, 1].prompt_tokens == 256 - 12


def test_room_is_what_the_positions_leave(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    talk = Conversation(tokenizer, "text", "{prompt}", None, most=256)
    rooms = [talk.prompt(("x" * num,), (), 1024).room for num in (1, 100, 190, 192, 300)]
    assert rooms == [192, 128, 64, 64, 64]


def test_chats_are_written_by_the_template_with_the_system_message(
    spec: AnswerSpec, tiny_model: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = PLAIN
    talk = Conversation(tokenizer, "chat", "auto", "Be brief.", most=None)
    prompt = talk.prompt(("Hi", "Bye"), ("Hello",), 5)
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]
    expected = tokenizer.apply_chat_template(
        [{"role": role, "content": text} for role, text in turns],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert tokenizer.decode(prompt.ids) == expected


def test_draws_follow_the_temperature() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0]]).repeat(4_000, 1).log_softmax(-1)
    questions = [ChatQuestion(i, (), 0.7) for i in range(4_000)]
    drawn = Draw.of(questions, 1, 0, 1)(torch.zeros(4_000, 0), scores).argmax(-1)
    share = np.bincount(drawn.numpy(), minlength=3) / 4_000
    assert share == pytest.approx(torch.softmax(scores[0] / 0.7, -1).numpy(), abs=0.04)


def test_a_job_answers_in_a_process_and_tells_of_a_model_that_is_gone(
    spec: AnswerSpec, tiny_model: Path, tmp_path: Path, drive: Callable[..., list[Any]]
) -> None:
    assert f"trainer.worker:{run_answers.__name__}" == ANSWER_ENTRY
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    kept = replace(spec, folder=str(folder))
    assert drive(run_answers, kept)[-1] == Finished({}, None)
    shutil.rmtree(folder)
    (failed,) = [e for e in drive(run_answers, elsewhere(kept)) if isinstance(e, Failed)]
    assert failed.kind == "bad input" and "is gone" in failed.message
