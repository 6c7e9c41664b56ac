"""Rows of messages, rendered by a chat template: which of the text is a reply, and bears loss."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

from trainer.contract.spec import UserError
from trainer.data.messages import Chat, chat_of
from trainer.data.reads import Reads
from trainer.data.texts import BARE, BadRow, Note, Segment, Text, is_bare
from trainer.data.tokenise import special_tokens

MASKED = "without loss, a message of weight 0"
Span = tuple[int, int]  # of characters, the end not included
_MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True, slots=True)
class Turn:
    """How a template writes a reply."""

    template: str
    is_marked: bool  # its generation marks say what bears loss
    ends: bool  # a special token of its own ends it
    ends_behind_mark: bool  # that token stands behind the generation mark


class Chats:
    """Renders messages as `loss_on` says: completion (the last reply), assistant (all), or all.

    Where the template marks the replies with `{% generation %}`, loss_on assistant follows the
    marks. Elsewhere a reply is what the template adds to the messages before it when it has asked
    for one, which holds only if it renders those messages the same way whatever comes after them.
    A reply bears loss up to its end of turn; white space behind that is never generated. What
    follows the last reply changes no loss and is left out. A message of weight 0 bears none.
    """

    def __init__(self, tokenizer: Any, loss_on: str, system: str | None) -> None:
        """Raise UserError where the tokenizer has no chat template."""
        if not tokenizer.chat_template:
            raise UserError(
                "the rows are messages but the model's tokenizer has no chat template; use a model "
                "that has one, give one as data.template: FILE.jinja, or rows with prompt and "
                "completion"
            )
        self._tokenizer = tokenizer
        self._loss_on, self._system = loss_on, system
        self._takes_system = False  # not known yet
        self._reads = Reads(self._apply)
        self._specials = tuple(special_tokens(tokenizer))
        self._turns: dict[str, Turn] = {}  # of each template

    def render(self, row: Mapping[str, Any], note: Note = lambda what: None) -> Text:
        """The row as the chat template writes it, what bears loss apart. Raises BadRow, and
        UserError for what is wrong with every row."""
        chat = self._with_system(chat_of(row))
        messages = chat.messages
        full = self._apply(chat)
        self._reads.check(chat, full, note)
        turn = self._turn(chat)
        if self._loss_on == "all":
            if chat.masked:
                note(MASKED)
            return self._all(chat, full, turn)
        replies = self._replies(chat, note)
        if turn.is_marked:
            full, spans = self._follow_marks(chat, turn)
            # Marks do not say whose they are; where weights ask, the renderings do.
            others = sorted(chat.masked & set(_all_of(chat)))
            masked = [self._span(chat, i, full, turn) for i in others]
            spans = [each for each in spans if not any(_overlap(each, one) for one in masked)]
            if not spans:
                raise BadRow("the chat template's generation marks mark nothing but masked replies")
        else:
            spans = [self._span(chat, i, full, turn) for i in replies]
        for i in replies:
            if is_bare(messages[i]["content"]) and not messages[i].get("tool_calls"):
                note(BARE)
        return self._cut(full, spans, turn)

    def ask(self, prompt: str, choices: Sequence[str]) -> tuple[list[Text], list[Text]]:
        """A question as a turn of the user's, and each choice as the reply to it: without its end
        of turn, to be scored, and as a row of a chat, to be trained on. Raises BadRow and UserError
        as `render`."""
        alone = self._with_system(Chat([{"role": "user", "content": prompt}]))
        start = self._apply(alone, ask=True)
        scored: list[Text] = []
        for choice in choices:
            reply = {"role": "assistant", "content": choice}
            full = self._apply(replace(alone, messages=[*alone.messages, reply]))
            at = full.find(choice.strip(), len(start))
            if not full.startswith(start) or at < 0:
                raise BadRow(
                    "the chat template renders the question in another way before a choice"
                )
            segments = (Segment(full[:at], False), Segment(choice.strip(), True))
            scored.append(Text(segments, chat=True, ends=False))
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": ""}]
        rows = [{"messages": [turns[0], turns[1] | {"content": choice}]} for choice in choices]
        return scored, [self.render(row) for row in rows]

    def _replies(self, chat: Chat, note: Note) -> list[int]:
        """The messages that bear loss, by number, under loss_on completion and assistant."""
        messages = chat.messages
        replies = _all_of(chat)
        for i in sorted(chat.weighted):
            if messages[i]["role"] != "assistant":
                raise BadRow(
                    f"a message by {messages[i]['role']!r} has weight 1, and loss_on: "
                    f"{self._loss_on} trains on the assistant's alone; loss_on: all on every one"
                )
        if self._loss_on == "completion":
            if messages[-1]["role"] != "assistant":
                role = messages[-1]["role"]
                raise BadRow(f"the last message is by {role!r}, not by 'assistant'")
            if chat.weighted - {len(messages) - 1}:
                note("an earlier reply of weight 1 is not learned (loss_on: assistant would)")
            replies = replies[-1:]
        if not replies:
            raise BadRow("no message is the assistant's, so there is nothing to learn")
        if chat.masked.issuperset(replies):
            which = "every reply" if self._loss_on == "assistant" else "the last reply"
            raise BadRow(f"{which} has weight 0, so there is nothing to learn; take the row out")
        if chat.masked.intersection(replies):
            note(MASKED)
        replies = [i for i in replies if i not in chat.masked]
        for i in replies:
            if not messages[i]["content"].strip() and not messages[i].get("tool_calls"):
                raise BadRow(
                    "the last message is empty"
                    if i == len(messages) - 1
                    else f"message {i + 1}, the assistant's, is empty"
                )
        return replies

    def _all(self, chat: Chat, full: str, turn: Turn) -> Text:
        """Everything bears loss but the messages of weight 0, headers included."""
        borders = [0]
        for i in sorted(chat.masked):
            borders += self._span(chat, i, full, turn)
        is_open = len(chat.messages) - 1 in chat.masked
        end = borders[-1] if is_open else len(full)
        spans = [(a, b) for a, b in zip(borders[::2], [*borders[1::2], end], strict=True) if a < b]
        if not spans:
            raise BadRow("every message has weight 0, so there is nothing to learn")
        if not is_open:
            spans[-1] = self._through(full, *spans[-1], turn)
        text = self._cut(full, spans, turn)
        return replace(text, ends=text.ends or is_open)

    def _with_system(self, chat: Chat) -> Chat:
        messages = chat.messages
        if self._system is None or any(message["role"] == "system" for message in messages):
            return chat
        extended = Chat(
            [{"role": "system", "content": self._system}, *messages],
            frozenset(i + 1 for i in chat.masked),
            frozenset(i + 1 for i in chat.weighted),
            chat.variables,
        )
        if not self._takes_system:
            plain = self._apply(chat)
            try:
                same = self._apply(extended) == plain
            except BadRow as error:
                raise UserError(f"data.system: with a system message, {error}") from None
            if same:
                raise UserError("data.system: the chat template leaves system messages out")
            self._takes_system = True
        return extended

    def _turn(self, chat: Chat) -> Turn:
        """What the chat's template makes of a reply of plain text, which ends in no special token
        of its own."""
        template = self._tokenizer.get_chat_template(tools=chat.variables.get("tools"))
        if template not in self._turns:
            first = next(iter(_all_of(chat)), len(chat.messages))
            before = chat.messages[:first] or [{"role": "user", "content": "x"}]
            plain = replace(chat, messages=[*before, {"role": "assistant", "content": "x"}])
            is_marked = self._loss_on == "assistant" and bool(_MARKS.search(template))
            turn = Turn(template, is_marked, ends=True, ends_behind_mark=False)
            try:
                ends = self._apply(plain).rstrip().endswith(self._specials)
                turn = replace(turn, ends=ends)
                if is_marked:
                    full, marked = self._marked(plain, template)
                    behind = bool(marked) and full.startswith(self._specials, marked[-1][1])
                    turn = replace(turn, ends_behind_mark=behind)
            except BadRow:  # it takes no such reply; what the row itself shows must do
                pass
            self._turns[template] = turn
        return self._turns[template]

    def _apply(self, chat: Chat, ask: bool = False) -> str:
        try:
            return self._tokenizer.apply_chat_template(
                chat.messages, tokenize=False, add_generation_prompt=ask, **chat.variables
            )
        except Exception as error:  # templates refuse what they do not know, in Jinja's own words
            raise BadRow(f"the chat template refuses it ({_said(error)})") from None

    def _span(self, chat: Chat, index: int, full: str, turn: Turn) -> Span:
        """Of the message `index`: of a reply what follows the request for it, of another all."""
        messages = chat.messages
        is_reply = messages[index]["role"] == "assistant"
        if index == 0 and is_reply:
            raise BadRow("the first message is the assistant's; there is nothing it replies to")
        before = replace(chat, messages=messages[:index])
        prompt = self._apply(before, ask=is_reply) if index else ""
        is_last = index == len(messages) - 1
        through = full if is_last else self._apply(replace(chat, messages=messages[: index + 1]))
        if not (through.startswith(prompt) and full.startswith(through)):
            raise BadRow(
                "the chat template renders the earlier messages in another way before a reply"
                if is_last
                else f"the chat template renders message {index + 1} in another way when others "
                "follow (as templates do that drop earlier thinking), so its tokens with loss "
                "would not be those that are generated; loss_on: completion trains on the last "
                "reply alone, a template with generation marks on all"
            )
        return self._through(full, len(prompt), len(through), turn)

    def _marked(self, chat: Chat, template: str) -> tuple[str, list[Span]]:
        """The rendering, and what its generation marks enclose."""
        variables = {"tools": None, **self._tokenizer.special_tokens_map, **chat.variables}
        try:
            found: Any = render_jinja_template(
                [chat.messages],
                chat_template=template,
                return_assistant_tokens_mask=True,
                **variables,
            )
        except Exception as error:  # as in `_apply`
            raise BadRow(f"the chat template refuses it ({_said(error)})") from None
        (full,), (marked,) = found
        return full, [(start, end) for start, end in marked if end > start]

    def _follow_marks(self, chat: Chat, turn: Turn) -> tuple[str, list[Span]]:
        full, marked = self._marked(chat, turn.template)
        spans = [
            self._through(full, start, self._through_end_of_turn(full, end, turn), turn)
            for start, end in marked
        ]
        if not spans:
            raise BadRow("the chat template's generation marks mark nothing in it")
        return full, spans

    def _through_end_of_turn(self, full: str, end: int, turn: Turn) -> int:
        """A template may close its mark before the end of turn, which must be learned too.

        A special token before the mark's end is that end of turn, unless the template puts its own
        behind the mark: then the reply has brought it along, such as </call>.
        """
        if full[:end].rstrip().endswith(self._specials) and not turn.ends_behind_mark:
            return end
        return max(
            (end + len(each) for each in self._specials if full.startswith(each, end)), default=end
        )

    def _cut(self, full: str, spans: Sequence[Span], turn: Turn) -> Text:
        borders = [0, *(border for span in spans for border in span)]
        pieces = [full[start:end] for start, end in pairwise(borders)]
        segments = tuple(
            Segment(piece, bears_loss=i % 2 == 1) for i, piece in enumerate(pieces) if piece
        )
        return Text(segments, chat=True, ends=turn.ends and pieces[-1].endswith(self._specials))

    def _through(self, full: str, start: int, end: int, turn: Turn) -> Span:
        """Without what the template puts behind the end of the turn, often a newline."""
        kept = full[start:end].rstrip()
        return start, start + len(kept) if turn.ends and kept.endswith(self._specials) else end


def _all_of(chat: Chat) -> list[int]:
    return [i for i, message in enumerate(chat.messages) if message["role"] == "assistant"]


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
