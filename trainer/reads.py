"""What of a chat its template reads: what it leaves out would be learned without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trainer.messages import Chat, Message
from trainer.texts import BadRow, Note

_OTHER = " x"  # added to a content, to see whether it changes anything


class Reads:
    """Compares renderings with and without a part; once it was seen to be read it is known.

    `apply` renders a chat, and raises BadRow where the template refuses it.
    """

    def __init__(self, apply: Callable[[Chat], str]) -> None:
        self._apply = apply
        self._known: set[object] = set()

    def check(self, chat: Chat, full: str, note: Note) -> None:
        """Note what is left out of the chat's rendering `full`. Raises BadRow where it is a
        message, tools or a tool call."""
        for name in chat.variables:
            others = {key: value for key, value in chat.variables.items() if key != name}
            if not self._is_read(name, full, replace(chat, variables=others)):
                if name == "tools":
                    raise BadRow(
                        "the chat template leaves tools out; give one that has them as "
                        "data.template, or take the column out"
                    )
                note(f"{name[:60]!a} of chat_template_kwargs is not read")
        for i, message in enumerate(chat.messages):
            self._check_content(chat, i, full, note)
            for key in message:
                if key in ("role", "content"):
                    continue
                less = {name: value for name, value in message.items() if name != key}
                if self._is_read((message["role"], key), full, _with(chat, i, less)):
                    continue
                if key == "tool_calls":
                    raise BadRow(f"the chat template leaves the tool calls of message {i + 1} out")
                note(f"{key[:60]!a} of messages by {message['role'][:40]!a} is not read")

    def _check_content(self, chat: Chat, index: int, full: str, note: Note) -> None:
        message = chat.messages[index]
        role, content = message["role"], message["content"].strip()
        what = (role, index == 0)
        is_whole = content in full
        if not content or (is_whole and what in self._known):
            return
        changed = _with(chat, index, message | {"content": message["content"] + _OTHER})
        if not self._differs(full, changed):
            raise BadRow(
                f"the chat template leaves message {index + 1}, by {role!r}, out; give one that "
                "takes it as data.template, or take such messages out"
            )
        self._known.add(what)
        if not is_whole:
            note("a message that the chat template does not render as written")

    def _is_read(self, what: object, full: str, without: Chat) -> bool:
        if what not in self._known and self._differs(full, without):
            self._known.add(what)
        return what in self._known

    def _differs(self, full: str, changed: Chat) -> bool:
        try:
            return self._apply(changed) != full
        except BadRow:  # the template cannot do without
            return True


def _with(chat: Chat, index: int, message: Message) -> Chat:
    messages = [*chat.messages]
    messages[index] = message
    return replace(chat, messages=messages)
