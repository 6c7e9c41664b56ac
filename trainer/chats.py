"""Rows of messages, rendered by a chat template: which of the text is a reply, and bears loss."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

from trainer.spec import UserError
from trainer.texts import BadRow, Segment, Text

TEMPLATE_SUFFIX = ".jinja"
Message = dict[str, Any]
Span = tuple[int, int]  # of characters, the end not included
_MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")


def read_template(file: str) -> str:
    """A chat template. Raises UserError where the file cannot be read, or is not Jinja."""
    try:
        template = Path(file).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"data.template: {file}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"data.template: {file}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"data.template: {file}: cannot be read ({error.strerror})") from None
    if not template.strip():
        raise UserError(f"data.template: {file} is empty; it holds a chat template in Jinja")
    try:
        render_jinja_template([[]], chat_template=template)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(
            f"data.template: {file}, line {error.lineno}: invalid Jinja ({error.message})"
        ) from None
    except Exception:  # valid, but it wants messages, which are still to come
        pass
    return template


class Chats:
    """Renders messages as `loss_on` says: completion (the last reply), assistant (all), or all.

    Where the template marks the replies with `{% generation %}`, loss_on assistant follows the
    marks. Elsewhere a reply is what the template adds to the messages before it when it has asked
    for one, which holds only if it renders those messages the same way whatever comes after them.
    A reply bears loss up to its end of turn; white space behind that is never generated. What
    follows the last reply changes no loss and is left out.
    """

    def __init__(self, tokenizer: Any, loss_on: str, system: str | None) -> None:
        """UserError where the tokenizer has no chat template."""
        if not tokenizer.chat_template:
            raise UserError(
                "the rows are messages but the model's tokenizer has no chat template; use a model "
                "that has one, give one as data.template: FILE.jinja, or rows with prompt and "
                "completion"
            )
        self._tokenizer = tokenizer
        self._loss_on, self._system = loss_on, system
        self._takes_system = False  # not known yet
        template = tokenizer.get_chat_template()
        self._marked = template if _MARKS.search(template) else None
        added = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        self._specials = tuple({*tokenizer.all_special_tokens, *added})

    def render(self, row: Mapping[str, Any]) -> Text:
        """Raises BadRow, and UserError for what is wrong with every row."""
        messages = self._with_system(_messages(row))
        if self._loss_on == "all":
            full = self._apply(messages)
            return self._cut(full, [(0, len(full))])
        replies = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        if self._loss_on == "completion":
            if messages[-1]["role"] != "assistant":
                role = messages[-1]["role"]
                raise BadRow(f"the last message is by {role!r}, not by 'assistant'")
            replies = replies[-1:]
        if not replies:
            raise BadRow("no message is the assistant's, so there is nothing to learn")
        for i in replies:
            if not messages[i]["content"].strip():
                raise BadRow(
                    "the last message is empty"
                    if i == len(messages) - 1
                    else f"message {i + 1}, the assistant's, is empty"
                )
        if self._marked is not None and self._loss_on == "assistant":
            return self._cut(*self._follow_marks(messages))
        full = self._apply(messages)
        return self._cut(full, [self._span(messages, i, full) for i in replies])

    def _with_system(self, messages: list[Message]) -> list[Message]:
        if self._system is None or any(message["role"] == "system" for message in messages):
            return messages
        extended = [{"role": "system", "content": self._system}, *messages]
        if not self._takes_system:
            plain = self._apply(messages)
            try:
                same = self._apply(extended) == plain
            except BadRow as error:
                raise UserError(f"data.system: with a system message, {error}") from None
            if same:
                raise UserError("data.system: the chat template leaves system messages out")
            self._takes_system = True
        return extended

    def _apply(self, messages: list[Message], ask: bool = False) -> str:
        try:
            return self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=ask
            )
        except Exception as error:  # templates refuse what they do not know, in Jinja's own words
            raise BadRow(f"the chat template refuses it ({error})") from None

    def _span(self, messages: list[Message], index: int, full: str) -> Span:
        """Of the reply messages[index]."""
        if index == 0:
            raise BadRow("the first message is the assistant's; there is nothing it replies to")
        prompt = self._apply(messages[:index], ask=True)
        is_last = index == len(messages) - 1
        through = full if is_last else self._apply(messages[: index + 1])
        if not (through.startswith(prompt) and full.startswith(through)):
            raise BadRow(
                "the chat template renders the earlier messages in another way before a reply"
                if is_last
                else f"the chat template renders message {index + 1} in another way when others "
                "follow (as templates do that drop earlier thinking), so its tokens with loss "
                "would not be those that are generated; loss_on: completion trains on the last "
                "reply alone, a template with generation marks on all"
            )
        return len(prompt), len(through)

    def _follow_marks(self, messages: list[Message]) -> tuple[str, list[Span]]:
        try:
            found: Any = render_jinja_template(
                [messages],
                chat_template=self._marked,
                return_assistant_tokens_mask=True,
                **self._tokenizer.special_tokens_map,
            )
        except Exception as error:  # as in `_apply`
            raise BadRow(f"the chat template refuses it ({error})") from None
        (full,), (marked,) = found
        spans = [
            (start, self._through_end_of_turn(full, end)) for start, end in marked if end > start
        ]
        if not spans:
            raise BadRow("the chat template's generation marks mark nothing in it")
        return full, spans

    def _through_end_of_turn(self, full: str, end: int) -> int:
        """A template may close its mark before the end of turn, which must be learned too."""
        if full[:end].rstrip().endswith(self._specials):
            return end
        return max(
            (end + len(each) for each in self._specials if full.startswith(each, end)), default=end
        )

    def _cut(self, full: str, spans: Sequence[Span]) -> Text:
        spans = [(start, start + len(self._reply(full[start:end]))) for start, end in spans]
        borders = [0, *(border for span in spans for border in span)]
        pieces = [full[start:end] for start, end in pairwise(borders)]
        segments = tuple(
            Segment(piece, bears_loss=i % 2 == 1) for i, piece in enumerate(pieces) if piece
        )
        return Text(segments, chat=True, ends=pieces[-1].endswith(self._specials))

    def _reply(self, turn: str) -> str:
        """Without what the template puts behind the end of the turn, often a newline."""
        kept = turn.rstrip()
        return kept if kept.endswith(self._specials) else turn


def _messages(row: Mapping[str, Any]) -> list[Message]:
    messages = row.get("messages")
    if not isinstance(messages, list) or len(messages) < 2:
        raise BadRow("messages is not a list of two messages or more")
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise BadRow("a message is not {role, content} with text as content")
        if not isinstance(message.get("role"), str):
            raise BadRow("a message has no role")
    # Parquet files give every message every key.
    return [{k: v for k, v in message.items() if v is not None} for message in messages]
