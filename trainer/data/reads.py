"""What of a chat its template reads: what it leaves out would be learned without."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from trainer.data.messages import Chat, Message
from trainer.data.texts import BadRow, Note

_WHOLE = ("role", "content")  # the keys that every message has


class Reads:
    """Compares renderings with and without a part.

    Tools and their calls are looked at in every chat, for templates show them under conditions of
    many kinds. Of the rest, what was seen to be read is known: a message's text, which must stand
    in the rendering, by its role and place; a key, only noted, among the same roles.

    `apply` renders a chat, and raises BadRow where the template refuses it.
    """

    def __init__(self, apply: Callable[[Chat], str]) -> None:
        self._apply = apply
        self._known: set[object] = set()

    def check(self, chat: Chat, full: str, note: Note) -> None:
        """What is left out of the chat's rendering `full` is noted. Raises BadRow where it is a
        message, tools or a tool call."""
        roles = tuple(message["role"] for message in chat.messages)
        for name in chat.variables:
            others = {key: value for key, value in chat.variables.items() if key != name}
            without = replace(chat, variables=others)
            if name == "tools":
                if not self._differs(full, without):
                    raise BadRow(
                        "the chat template leaves tools out; give one that has them as "
                        "data.template, or take the column out"
                    )
            elif not self._is_read((roles, name), full, without):
                note(f"{name[:60]!a} of chat_template_kwargs is not read")
        self._check_contents(chat, full, note)
        self._check_calls(chat, full)
        self._check_keys(chat, roles, full, note)

    def _check_contents(self, chat: Chat, full: str, note: Note) -> None:
        """Those that do not stand in `full` as they are, and the first ones of each role."""
        doubtful: list[int] = []
        for i, message in enumerate(chat.messages):
            content = message["content"].strip()
            if not content:
                continue
            if content not in full:
                doubtful.append(i)
                note("a message that the chat template does not render as written")
            elif self._place(i, message) not in self._known:
                doubtful.append(i)
        if not doubtful:
            return
        marks = {i: f" x{i}x" for i in doubtful}  # all at once: chats may have many messages
        try:
            marked = self._apply(_with(chat, doubtful, lambda i, each: _add(each, marks[i])))
        except BadRow:
            marked = ""
        for i in doubtful:
            message = chat.messages[i]
            if marks[i] not in marked and not self._differs(
                full, _with(chat, [i], lambda i, each: _add(each, marks[i]))
            ):
                raise BadRow(
                    f"the chat template leaves message {i + 1}, by {message['role'][:40]!r}, out; "
                    "give one that takes it as data.template, or take such messages out"
                )
            self._known.add(self._place(i, message))

    def _check_calls(self, chat: Chat, full: str) -> None:
        """Each call of each message."""
        having = [i for i, message in enumerate(chat.messages) if message.get("tool_calls")]
        if not having:
            return
        try:  # all at once, as above
            marked = self._apply(_with(chat, having, _mark_calls))
        except BadRow:
            marked = ""
        for i in having:
            calls = chat.messages[i]["tool_calls"]
            for j in range(len(calls)) if isinstance(calls, list) else [0]:
                less = partial(_less_call, j)
                if _mark(i, j) not in marked and not self._differs(full, _with(chat, [i], less)):
                    raise BadRow(f"the chat template leaves the tool calls of message {i + 1} out")

    def _check_keys(self, chat: Chat, roles: tuple[str, ...], full: str, note: Note) -> None:
        found = dict.fromkeys(
            (message["role"], key) for message in chat.messages for key in message
        )
        for role, key in found:
            if key in _WHOLE or key == "tool_calls":
                continue
            having = [
                i for i, each in enumerate(chat.messages) if each["role"] == role and key in each
            ]
            without = _with(chat, having, partial(_less, key))
            if not self._is_read((roles, role, key), full, without):
                note(f"{key[:60]!a} of messages by {role[:40]!a} is not read")

    def _place(self, index: int, message: Message) -> object:
        """Templates often know a role at the beginning alone."""
        return message["role"], index == 0

    def _is_read(self, what: object, full: str, without: Chat) -> bool:
        if what not in self._known and self._differs(full, without):
            self._known.add(what)
        return what in self._known

    def _differs(self, full: str, changed: Chat) -> bool:
        try:
            return self._apply(changed) != full
        except BadRow:  # the template cannot do without
            return True


def _add(message: Message, text: str) -> Message:
    return message | {"content": message["content"] + text}


def _less(key: str, index: int, message: Message) -> Message:
    return {name: value for name, value in message.items() if name != key}


def _mark(index: int, call: int) -> str:
    return f"x{index}x{call}x"


def _mark_calls(index: int, message: Message) -> Message:
    """The same with a mark behind the name of each call that has one."""
    calls = message["tool_calls"]
    if not isinstance(calls, list):
        return message
    marked: list[Any] = []
    for j, call in enumerate(calls):
        if isinstance(call, dict):
            inner = call.get("function")
            if isinstance(inner, dict) and isinstance(inner.get("name"), str):
                call = call | {"function": inner | {"name": inner["name"] + _mark(index, j)}}
            elif isinstance(call.get("name"), str):
                call = call | {"name": call["name"] + _mark(index, j)}
        marked.append(call)
    return message | {"tool_calls": marked}


def _less_call(call: int, index: int, message: Message) -> Message:
    calls = message["tool_calls"]
    left = [*calls[:call], *calls[call + 1 :]] if isinstance(calls, list) else []
    return message | {"tool_calls": left} if left else _less("tool_calls", index, message)


def _with(chat: Chat, indices: Iterable[int], change: Callable[[int, Message], Message]) -> Chat:
    messages = [*chat.messages]
    for i in indices:
        messages[i] = change(i, messages[i])
    return replace(chat, messages=messages)
