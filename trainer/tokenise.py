"""From text to token ids and labels, and their Arrow layout on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from trainer.render import Question, Text
from trainer.store import list_array

IGNORED = -100  # a label that carries no loss
CHUNK = 1000  # rows tokenised at once


@dataclass(frozen=True, slots=True)
class Pair:
    prompt: list[int]
    completion: list[int]


@dataclass(slots=True)
class TextTable:
    """Rows ready for training, and what became of the others."""

    rows_read: int
    input_ids: list[np.ndarray]  # each (length,) int32
    labels: list[np.ndarray]  # each (length,) int32, IGNORED where no loss is
    dropped_no_completion: int = 0
    truncated: int = 0

    def facts(self) -> dict[str, int]:
        return {
            "rows": len(self.input_ids),
            "rows_read": self.rows_read,
            "dropped_no_completion": self.dropped_no_completion,
            "truncated": self.truncated,
            "input_tokens": sum(len(ids) for ids in self.input_ids),
            "loss_tokens": sum(num_loss_tokens(labels) for labels in self.labels),
            "longest": max((len(ids) for ids in self.input_ids), default=0),
        }

    def to_arrow(self) -> pa.Table:
        return pa.table(
            {"input_ids": list_array(self.input_ids), "labels": list_array(self.labels)}
        )


def num_loss_tokens(labels: np.ndarray) -> int:
    """A token is predicted from those before it, so the first one never carries loss."""
    return int((labels[1:] != IGNORED).sum())


def tokenise(tokenizer: Any, texts: Sequence[Text], alive: Callable[[], None]) -> list[Pair]:
    """Token ids of each prompt and each completion, without any end-of-text token appended.

    Where the prompt's own tokens are a prefix of those of the whole text, the rest is the
    completion (so that a tokeniser that puts a space before every text puts none at the boundary).
    Otherwise a token would straddle the boundary; the two are tokenised apart, as in generation.
    """
    pairs: list[Pair] = []
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        # A chat template writes its special tokens itself; all rows of a source are of one kind.
        special = not chunk[0].chat
        prompts = _ids(tokenizer, [text.prompt for text in chunk], special)
        whole = _ids(tokenizer, [text.prompt + text.completion for text in chunk], special)
        for text, prompt, both in zip(chunk, prompts, whole, strict=True):
            if both[: len(prompt)] == prompt:
                completion = both[len(prompt) :]
            else:
                completion = _ids(tokenizer, [text.completion], False)[0]
            pairs.append(Pair(prompt, completion))
        alive()
    return pairs


def _ids(tokenizer: Any, texts: list[str], special: bool) -> list[list[int]]:
    rows = tokenizer(texts, add_special_tokens=special, return_attention_mask=False)["input_ids"]
    if special:  # some tokenisers also append EOS, which must not stand after a prompt
        eos = tokenizer.eos_token_id
        rows = [row[:-1] if row and row[-1] == eos else row for row in rows]
    return rows


def to_table(
    pairs: Sequence[Pair], texts: Sequence[Text], eos: int, max_length: int, loss_on: str
) -> TextTable:
    """Append EOS, label, and truncate to the first `max_length` tokens."""
    table = TextTable(len(pairs), [], [])
    for pair, text in zip(pairs, texts, strict=True):
        completion = pair.completion if text.ends else [*pair.completion, eos]
        ids = np.array(pair.prompt + completion, dtype=np.int32)
        labels = ids.copy()
        if loss_on == "completion":
            labels[: len(pair.prompt)] = IGNORED
        if len(pair.prompt) >= max_length or num_loss_tokens(labels[:max_length]) == 0:
            table.dropped_no_completion += 1
            continue
        table.truncated += len(ids) > max_length
        table.input_ids.append(ids[:max_length])
        table.labels.append(labels[:max_length])
    return table


@dataclass(slots=True)
class ChoiceTable:
    """One row per choice, those of a question next to each other."""

    questions_read: int
    input_ids: list[np.ndarray]  # each (length,) int32: prompt and choice, no EOS
    num_scored: list[int]  # tokens of the choice, the last ones of input_ids
    question: list[int]  # counted from 0
    is_answer: list[bool]
    groups: list[str]  # one per question
    dropped_too_long: int = 0

    def facts(self) -> dict[str, Any]:
        return {
            "questions": len(self.groups),
            "questions_read": self.questions_read,
            "dropped_too_long": self.dropped_too_long,
            "groups": {name: self.groups.count(name) for name in sorted(set(self.groups)) if name},
            "input_tokens": sum(len(ids) for ids in self.input_ids),
        }

    def to_arrow(self) -> pa.Table:
        return pa.table(
            {
                "input_ids": list_array(self.input_ids),
                "num_scored": pa.array(self.num_scored, pa.int32()),
                "question": pa.array(self.question, pa.int32()),
                "is_answer": pa.array(self.is_answer, pa.bool_()),
                "group": pa.array([self.groups[q] for q in self.question], pa.string()),
            }
        )


def to_choice_table(
    pairs: Sequence[Sequence[Pair]], questions: Sequence[Question], max_length: int
) -> ChoiceTable:
    """Lay the questions out flat, without those that have a choice beyond `max_length`."""
    table = ChoiceTable(len(questions), [], [], [], [], [])
    for choices, question in zip(pairs, questions, strict=True):
        if max(len(pair.prompt) + len(pair.completion) for pair in choices) > max_length:
            table.dropped_too_long += 1
            continue
        for index, pair in enumerate(choices):
            table.input_ids.append(np.array(pair.prompt + pair.completion, dtype=np.int32))
            table.num_scored.append(len(pair.completion))
            table.question.append(len(table.groups))
            table.is_answer.append(index == question.answer)
        table.groups.append(question.group)
    return table
