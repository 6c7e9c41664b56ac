"""The prepared rows, what became of the others, and their Arrow layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from trainer.data.store import list_array
from trainer.data.texts import Question, Text
from trainer.data.tokenise import IGNORED, Ids

RowNote = Callable[[str, int], None]  # what there is to say, of the row with this index
DROPPED = "dropped, nothing of the completion is left within data.max_length"
TOO_SHORT = "dropped as too short, nothing stands before the only token with loss"
CUT = "cut at data.max_length"
TOO_LONG = "dropped, a choice goes beyond data.max_length"


@dataclass(slots=True)
class TextTable:
    """Rows ready for training, and what became of the others."""

    rows_read: int
    input_ids: list[np.ndarray]  # each (length,) int32
    labels: list[np.ndarray]  # each (length,) int32, IGNORED where no loss is
    dropped_no_completion: int = 0  # max_length leaves nothing that bears loss
    dropped_too_short: int = 0  # no token that bears loss has one before it
    truncated: int = 0
    longest_read: int = 0  # tokens, before any was cut
    kept: list[int] = field(default_factory=list)  # of each row its index in the source

    def facts(self) -> dict[str, int]:
        """Counts, as trainer/prepare.py lists them."""
        return {
            "rows": len(self.input_ids),
            "rows_read": self.rows_read,
            "dropped_no_completion": self.dropped_no_completion,
            "dropped_too_short": self.dropped_too_short,
            "truncated": self.truncated,
            "input_tokens": sum(len(ids) for ids in self.input_ids),
            "loss_tokens": sum(int((labels != IGNORED).sum()) for labels in self.labels),
            "longest": max((len(ids) for ids in self.input_ids), default=0),
            "longest_read": self.longest_read,
        }

    def to_arrow(self, phase_sizes: Sequence[int] = ()) -> pa.Table:
        """A table of input_ids, labels, and phase: 1, 2, ... for so many rows each, or 0
        throughout."""
        sizes = phase_sizes or [len(self.input_ids)]
        first = 1 if phase_sizes else 0
        phases = np.repeat(np.arange(first, first + len(sizes), dtype=np.int32), sizes)
        return pa.table(
            {
                "input_ids": list_array(self.input_ids),
                "labels": list_array(self.labels),
                "phase": pa.array(phases, pa.int32()),
            }
        )

    def keys(self) -> list[bytes]:
        """A key for each row; the same for rows of the same tokens, whatever bears loss."""
        return [ids.tobytes() for ids in self.input_ids]


def to_table(
    rows: Sequence[Sequence[Ids]],
    texts: Sequence[Text],
    eos: int,
    max_length: int,
    note: RowNote = lambda what, index: None,
) -> TextTable:
    """The rows labelled and cut to their first `max_length` tokens, with EOS where a row has no end
    of its own; without those that keep nothing that bears loss.

    A token is predicted from those before it, so the first one of a row never bears loss.
    """
    table = TextTable(len(rows), [], [])
    for index, (segments, text) in enumerate(zip(rows, texts, strict=True)):
        ids: Ids = []
        labels: Ids = []
        for tokens, segment in zip(segments, text.segments, strict=True):
            ids += tokens
            labels += tokens if segment.bears_loss else [IGNORED] * len(tokens)
        if not text.ends and labels[-1:] != [eos]:
            ids.append(eos)
            labels.append(eos)
        labels[:1] = [IGNORED]
        table.longest_read = max(table.longest_read, len(ids))
        kept = np.array(labels[:max_length], dtype=np.int32)
        if (kept == IGNORED).all():
            is_cut = any(label != IGNORED for label in labels)
            table.dropped_no_completion += is_cut
            table.dropped_too_short += not is_cut
            note(DROPPED if is_cut else TOO_SHORT, index)
            continue
        if len(ids) > max_length:
            table.truncated += 1
            note(CUT, index)
        table.kept.append(index)
        table.input_ids.append(np.array(ids[:max_length], dtype=np.int32))
        table.labels.append(kept)
    return table


def together(phases: Sequence[TextTable]) -> TextTable:
    """One table of them all, in their order."""
    return TextTable(
        rows_read=sum(table.rows_read for table in phases),
        input_ids=[ids for table in phases for ids in table.input_ids],
        labels=[labels for table in phases for labels in table.labels],
        dropped_no_completion=sum(table.dropped_no_completion for table in phases),
        dropped_too_short=sum(table.dropped_too_short for table in phases),
        truncated=sum(table.truncated for table in phases),
        longest_read=max(table.longest_read for table in phases),
        kept=[index for table in phases for index in table.kept],
    )


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
    longest_read: int = 0  # tokens of the longest choice with its prompt, dropped ones too
    kept: list[int] = field(default_factory=list)  # of each question its index in the source
    answered: list[np.ndarray] | None = None  # of each question that was read, see answer_keys

    def facts(self) -> dict[str, Any]:
        """Counts, as trainer/prepare.py lists them."""
        return {
            "questions": len(self.groups),
            "questions_read": self.questions_read,
            "dropped_too_long": self.dropped_too_long,
            "groups": {name: self.groups.count(name) for name in sorted(set(self.groups)) if name},
            "input_tokens": sum(len(ids) for ids in self.input_ids),
            "longest_read": self.longest_read,
        }

    def to_arrow(self) -> pa.Table:
        """A row for each choice of each question."""
        return pa.table(
            {
                "input_ids": list_array(self.input_ids),
                "num_scored": pa.array(self.num_scored, pa.int32()),
                "question": pa.array(self.question, pa.int32()),
                "is_answer": pa.array(self.is_answer, pa.bool_()),
                "group": pa.array([self.groups[q] for q in self.question], pa.string()),
            }
        )

    def answer_keys(self, eos: int) -> set[bytes]:
        """Keys, as `TextTable.keys`, of rows made of a prompt and its right choice: in `answered`
        those of chats, otherwise they end with EOS."""
        if self.answered is not None:
            return {ids.tobytes() for ids in self.answered}
        end = np.array([eos], dtype=np.int32).tobytes()
        return {
            ids.tobytes() + end
            for ids, is_answer in zip(self.input_ids, self.is_answer, strict=True)
            if is_answer
        }


def to_choice_table(
    rows: Sequence[Sequence[Sequence[Ids]]],
    questions: Sequence[Question],
    max_length: int,
    note: RowNote = lambda what, index: None,
) -> ChoiceTable:
    """The questions laid out flat, without those that have a choice beyond `max_length`.

    `rows`: of each question, of each choice, the ids of the prompt and of the choice.
    """
    table = ChoiceTable(len(questions), [], [], [], [], [])
    for number, (choices, question) in enumerate(zip(rows, questions, strict=True)):
        longest = max(len(prompt) + len(choice) for prompt, choice in choices)
        table.longest_read = max(table.longest_read, longest)
        if longest > max_length:
            table.dropped_too_long += 1
            note(TOO_LONG, number)
            continue
        table.kept.append(number)
        for index, (prompt, choice) in enumerate(choices):
            table.input_ids.append(np.array(prompt + choice, dtype=np.int32))
            table.num_scored.append(len(choice))
            table.question.append(len(table.groups))
            table.is_answer.append(index == question.answer)
        table.groups.append(question.group)
    return table
