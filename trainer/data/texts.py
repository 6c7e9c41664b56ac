"""What a row has become once it is rendered: text in segments, each with or without loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BARE = "a reply without a letter or digit"
Note = Callable[[str], None]  # takes what there is to say of the row at hand


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a text, and whether it carries loss."""

    text: str
    bears_loss: bool


@dataclass(frozen=True, slots=True)
class Text:
    """`segments`, one after the other, are what the model reads; at least one of them bears loss.

    A prompt and its completion are two; a chat with several replies has one for each reply and one
    for what stands between.
    """

    segments: tuple[Segment, ...]
    chat: bool  # its special tokens are in the text
    ends: bool  # the last segment has its own end of turn; otherwise EOS is appended


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question. `texts` has one entry per choice, all with the same prompt."""

    texts: tuple[Text, ...]
    answer: int
    group: str
    answered: Text | None = None  # the right choice as a row of a chat; None: its text and EOS


class BadRow(Exception):
    """What is wrong with a row, without saying where it stands."""


def is_bare(reply: str) -> bool:
    """Whether a reply has neither a letter nor a digit."""
    return not any(map(str.isalnum, reply))
