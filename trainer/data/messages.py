"""From a row to a chat: its messages, which of them must not be learned, and its tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.contract.strict_json import Malformed, parse
from trainer.data.texts import BadRow

MAX_MESSAGES = 1000  # each reply costs a rendering of all that stands before it
Message = dict[str, Any]
_ROLES: Mapping[str, str] = {
    **{name: "user" for name in ("human", "user")},
    **{name: "assistant" for name in ("gpt", "assistant", "chatgpt", "model", "bot")},
    **{name: "tool" for name in ("tool", "observation", "function_response")},
    "system": "system",
}
# Words in what other tools call the switch that is `weight` here: train_on_turn, isMasked, ...
_OTHER_WEIGHTS = frozenset(
    (
        *("weight", "weights", "loss", "mask", "masked", "masking", "ignore", "ignored"),
        *("train", "trained", "training", "trainable", "learn", "learned", "learnable"),
        *("supervise", "supervised"),
    )
)
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat: `messages` as the chat template gets them; `masked` are those that must not bear
    loss."""

    messages: list[Message]
    masked: frozenset[int] = frozenset()
    weighted: frozenset[int] = frozenset()  # those that say that they are to bear it
    variables: Mapping[str, Any] = field(default_factory=dict)  # tools, and others of the template


def chat_of(row: Mapping[str, Any]) -> Chat:
    """The chat of a row with messages, or with ShareGPT's conversations. Raises BadRow."""
    column = "messages" if row.get("messages") is not None else "conversations"
    column = column if column in row else "messages"
    turns = row.get(column)
    if not isinstance(turns, list) or len(turns) < 2:
        hint = " (it is text: a list cannot stand in it)" if isinstance(turns, str) else ""
        raise BadRow(f"{column} is not a list of two messages or more{hint}")
    if len(turns) > MAX_MESSAGES:
        raise BadRow(f"it has {len(turns):,} messages; at most {MAX_MESSAGES:,} are read, split it")
    weights: dict[int, bool] = {}
    messages: list[Message] = []
    system = row.get("system")
    if system:
        if not isinstance(system, str):
            raise BadRow(f"system is {type(system).__name__}, not text")
        messages.append({"role": "system", "content": system})
    for i, turn in enumerate(turns):
        message = _message(turn, i + 1)
        if system and message["role"] == "system":
            raise BadRow("it has a system message and a column system; keep one of them")
        if "weight" in message:
            weights[len(messages)] = _weight(message, i + 1)
        messages.append(message)
    return Chat(
        messages,
        frozenset(i for i, weight in weights.items() if not weight),
        frozenset(i for i, weight in weights.items() if weight),
        _variables(row),
    )


def _message(turn: Any, number: int) -> Message:
    if not isinstance(turn, dict):
        raise BadRow(f"message {number} is {type(turn).__name__}, not {{role, content}}")
    # Parquet files give every message every key.
    message = {key: value for key, value in turn.items() if value is not None}
    if "role" not in message and "from" in message:
        role = message.pop("from")
        if not isinstance(role, str) or role not in _ROLES:
            raise BadRow(
                f"message {number} is from {str(role)[:40]!r}; known are {', '.join(_ROLES)}"
            )
        message["role"] = _ROLES[role]
        if "content" not in message and "value" in message:
            message["content"] = message.pop("value")
    if not isinstance(message.get("role"), str):
        raise BadRow(f"message {number} has no role")
    if "content" not in message and message.get("tool_calls"):
        message["content"] = ""
    if isinstance(message.get("content"), list):
        raise BadRow(f"message {number}: its content is a list of parts, and is to be one text")
    if not isinstance(message.get("content"), str):
        calls = ", and function_call is not read: write tool_calls"
        raise BadRow(
            f"message {number} has no text as content; a message is {{role, content}}"
            f"{calls if 'function_call' in message else ''}"
        )
    for key in message:
        if key != "weight" and not _OTHER_WEIGHTS.isdisjoint(map(str.lower, _WORD.findall(key))):
            raise BadRow(
                f"message {number} has {key[:40]!r}, which is not read: write weight: 0 or 1"
            )
    return message


def _weight(message: Message, number: int) -> bool:
    weight = message.pop("weight")
    if isinstance(weight, bool) or weight not in (0, 1):
        raise BadRow(
            f"message {number} has weight {str(weight)[:40]!r}; 0 keeps it from bearing loss, 1 "
            "does not"
        )
    return weight == 1


def _variables(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of the chat template, as the columns give them."""
    variables: dict[str, Any] = {}
    if tools := _value(row, "tools"):
        if not isinstance(tools, list) or not all(isinstance(each, dict) for each in tools):
            raise BadRow("tools is not a list of objects")
        variables["tools"] = tools
    if others := _value(row, "chat_template_kwargs"):
        if not isinstance(others, dict):
            raise BadRow("chat_template_kwargs is not an object")
        for key in others:
            if not key.isidentifier() or key in _RESERVED:
                raise BadRow(f"chat_template_kwargs: {key[:40]!a} cannot be given there")
        variables |= others
    return variables


_RESERVED = ("messages", "tools", "conversation", "chat_template", "tokenize")
_RESERVED += ("add_generation_prompt", "continue_final_message", "padding", "truncation")
_RESERVED += ("max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask")


def _value(row: Mapping[str, Any], column: str) -> Any:
    """A column that may hold its value as JSON text."""
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        return None if isinstance(value, str) else value
    try:
        return parse(value)
    except Malformed as error:
        raise BadRow(f"{column}: malformed JSON ({error})") from None
