"""From a row to the text that is trained on: a prompt and the completion that follows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from trainer.rows import Source
from trainer.spec import UserError

AUTO_TEMPLATE = "Question: {prompt}\nAnswer:"
T = TypeVar("T")
MAX_REPORTED = 3  # bad rows named in one error


@dataclass(frozen=True, slots=True)
class Text:
    """`prompt + completion` is what the model reads. A chat's special tokens are in its text."""

    prompt: str
    completion: str
    chat: bool
    ends: bool  # the completion has its own end of turn; otherwise EOS is appended


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question. `texts` has one entry per choice, all with the same prompt."""

    texts: tuple[Text, ...]
    answer: int
    group: str


class _BadRow(Exception):
    """What is wrong with a row, without saying where it stands."""


# Each format by its columns, in the order in which `auto` tries them.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "choices": ("prompt", "choices", "answer"),
    "messages": ("messages",),
    "prompt-completion": ("prompt", "completion"),
    "question-answer": ("question", "answer"),
    "alpaca": ("instruction", "output"),
}


def check_template(template: str) -> None:
    if template != "auto" and "{prompt}" not in template:
        raise UserError(
            f"data.template: {template!r} lacks {{prompt}}; it is everything before the "
            "completion, such as 'Q: {prompt}\\nA:', or auto"
        )


def render_texts(source: Source, format: str, template: str, tokenizer: Any) -> list[Text]:
    """One Text per row. Raises UserError naming the first bad rows and what would be right."""
    format = _detect(source) if format == "auto" else format

    def render(row: dict[str, Any]) -> Text:
        if format == "messages":
            return _chat(row, tokenizer)
        if format == "choices":
            prompt, choices, answer, _ = _choices(row)
            return _plain(prompt, choices[answer], template)
        if format == "prompt-completion":
            prompt, completion = _string(row, "prompt", empty=True), _string(row, "completion")
        elif format == "question-answer":
            prompt, completion = _string(row, "question"), _string(row, "answer")
        else:
            prompt, completion = _alpaca(row)
        return _plain(prompt, completion, template)

    return _each(source, format, render)


def render_questions(source: Source, template: str) -> list[Question]:
    """One Question per row, for choice_accuracy. Raises like `render_texts`."""

    def render(row: dict[str, Any]) -> Question:
        prompt, choices, answer, group = _choices(row)
        texts = tuple(_plain(prompt, choice, template) for choice in choices)
        return Question(texts, answer, group)

    return _each(source, "choices", render)


def _detect(source: Source) -> str:
    columns = set(source.rows[0])
    for format, needed in FORMATS.items():
        if columns >= set(needed):
            return format
    known = "; ".join(f"{name}: {', '.join(needed)}" for name, needed in FORMATS.items())
    raise UserError(
        f"{source.place(0)}: columns {', '.join(map(str, sorted(columns))) or '(none)'} "
        f"fit no known format ({known})"
    )


def _each(source: Source, format: str, render: Callable[[dict[str, Any]], T]) -> list[T]:
    rendered: list[T] = []
    bad: list[str] = []
    num_bad = 0
    for index, row in enumerate(source.rows):
        try:
            rendered.append(render(row))
        except _BadRow as error:
            num_bad += 1
            if len(bad) < MAX_REPORTED:
                bad.append(f"{source.place(index)}: {error}")
    if num_bad:
        needed = ", ".join(FORMATS[format])
        more = f"; {num_bad - len(bad)} more such rows" if num_bad > len(bad) else ""
        raise UserError(f"{'; '.join(bad)}{more} (format {format} needs {needed})")
    return rendered


def _string(row: Mapping[str, Any], column: str, empty: bool = False) -> str:
    if column not in row:
        raise _BadRow(f"no column {column!r} (it has {', '.join(map(str, row)) or 'none'})")
    value = row[column]
    if not isinstance(value, str):
        raise _BadRow(f"{column} is {type(value).__name__} {str(value)[:40]!r}, not text")
    if not empty and not value.strip():
        raise _BadRow(f"{column} is empty")
    return value


def _plain(prompt: str, completion: str, template: str) -> Text:
    before = (AUTO_TEMPLATE if template == "auto" else template).replace("{prompt}", prompt)
    # One space between the two, unless either side brings its own.
    space = "" if before[-1:].isspace() or completion[:1].isspace() or not before else " "
    return Text(before, space + completion, chat=False, ends=False)


def _alpaca(row: Mapping[str, Any]) -> tuple[str, str]:
    prompt, completion = _string(row, "instruction"), _string(row, "output")
    if row.get("input") is None:
        return prompt, completion
    extra = _string(row, "input", empty=True)
    return (f"{prompt}\n\n{extra}" if extra.strip() else prompt), completion


def _choices(row: Mapping[str, Any]) -> tuple[str, list[str], int, str]:
    prompt = _string(row, "prompt")
    choices, answer = row.get("choices"), row.get("answer")
    if not isinstance(choices, list) or len(choices) < 2:
        raise _BadRow(f"choices is {str(choices)[:40]!r}, not a list of two texts or more")
    if not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise _BadRow("a choice is empty or no text")
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
        raise _BadRow(f"answer is {answer!r}, not an index from 0 to {len(choices) - 1}")
    group = row.get("group")
    return prompt, choices, answer, "" if group is None else str(group)


def _chat(row: Mapping[str, Any], tokenizer: Any) -> Text:
    if not tokenizer.chat_template:
        raise UserError(
            "the rows are messages but the model's tokenizer has no chat template; use a model "
            "that has one, or rows with prompt and completion"
        )
    messages = row.get("messages")
    if not isinstance(messages, list) or len(messages) < 2:
        raise _BadRow("messages is not a list of two messages or more")
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise _BadRow("a message is not {role, content} with text as content")
        if not isinstance(message.get("role"), str):
            raise _BadRow("a message has no role")
    last = messages[-1]
    if last["role"] != "assistant":
        raise _BadRow(f"the last message is {last['role']!r}'s, not the assistant's")
    if not last["content"].strip():
        raise _BadRow("the last message is empty")
    try:
        full = tokenizer.apply_chat_template(messages, tokenize=False)
        prompt = tokenizer.apply_chat_template(
            messages[:-1], tokenize=False, add_generation_prompt=True
        )
    except Exception as error:  # templates refuse what they do not know, in Jinja's own words
        raise _BadRow(f"the chat template refuses it ({error})") from None
    if not full.startswith(prompt):
        raise _BadRow(
            "the chat template renders the earlier messages in another way before a reply"
        )
    completion = full[len(prompt) :]
    # What follows the end of the turn (often a newline) is never generated, so it carries no loss.
    turn = completion.rstrip()
    ends = turn.endswith(tuple(_special_tokens(tokenizer)))
    return Text(prompt, turn if ends else completion, chat=True, ends=ends)


def _special_tokens(tokenizer: Any) -> list[str]:
    added = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
    return [*tokenizer.all_special_tokens, *added]
