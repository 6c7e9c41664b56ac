"""From a row to the text that is trained on: a prompt and its completion, or a chat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from trainer.chats import TEMPLATE_SUFFIX, Chats
from trainer.rows import Source
from trainer.spec import DataSpec, UserError
from trainer.texts import BadRow, Question, Segment, Text

AUTO_TEMPLATE = "Question: {prompt}\nAnswer:"
T = TypeVar("T")
MAX_REPORTED = 3  # mistakes of a source named in one error


# Each format by its columns, in the order in which `auto` tries them.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "choices": ("prompt", "choices", "answer"),
    "messages": ("messages",),
    "prompt-completion": ("prompt", "completion"),
    "question-answer": ("question", "answer"),
    "alpaca": ("instruction", "output"),
}


def check_template(template: str) -> None:
    if template != "auto" and "{prompt}" not in template and not is_template_file(template):
        raise UserError(
            f"data.template: {template!r} lacks {{prompt}}; it is everything before the "
            "completion, such as 'Q: {prompt}\\nA:', or a chat template's .jinja file, or auto"
        )


def is_template_file(template: str) -> bool:
    return template.endswith(TEMPLATE_SUFFIX)


def check_formats(data: DataSpec, formats: Mapping[str, str]) -> None:
    """Raises UserError where `data` asks of rows what only chats can have.

    `formats` by the names of the sources. loss_on assistant means the same as completion for rows
    that are not chats, so these may stand beside chats, in other phases.
    """
    mistakes: list[str] = []
    if data.loss_on == "assistant" and "messages" not in formats.values():
        name, format = next(iter(formats.items()))
        mistakes.append(
            f"data.loss_on: assistant is for chats, and the rows of {name} are {format}; "
            "completion is the same there"
        )
    for name, format in formats.items():
        if format == "messages":
            continue
        if is_template_file(data.template):
            mistakes.append(
                f"data.template: {data.template} is a chat template, and the rows of {name} are "
                f"{format}, not messages; a text with {{prompt}} is a template for them"
            )
        if data.system is not None:
            mistakes.append(
                f"data.system is for chats, and the rows of {name} are {format}, not messages; "
                "data.template: 'TEXT {prompt}' puts a text before every prompt"
            )
    if mistakes:
        raise UserError("\n".join(mistakes))


def render_texts(
    source: Source, format: str, data: DataSpec, tokenizer: Any, alive: Callable[[], None]
) -> list[Text]:
    """One Text per row. Raises UserError naming the first bad rows and what would be right."""
    if format == "messages":
        return _each(source, format, Chats(tokenizer, data.loss_on, data.system).render, alive)

    def render(row: dict[str, Any]) -> Text:
        if format == "choices":
            prompt, choices, answer, _ = _choices(row)
            return _plain(prompt, choices[answer], data.template, data.loss_on)
        if format == "prompt-completion":
            prompt, completion = _string(row, "prompt", empty=True), _string(row, "completion")
        elif format == "question-answer":
            prompt, completion = _string(row, "question"), _string(row, "answer")
        else:
            prompt, completion = _alpaca(row)
        return _plain(prompt, completion, data.template, data.loss_on)

    return _each(source, format, render, alive)


def render_questions(source: Source, template: str, alive: Callable[[], None]) -> list[Question]:
    """One Question per row, for choice_accuracy; never as a chat. Raises like `render_texts`."""
    template = "auto" if is_template_file(template) else template

    def render(row: dict[str, Any]) -> Question:
        prompt, choices, answer, group = _choices(row)
        texts = tuple(_plain(prompt, choice, template, "completion") for choice in choices)
        return Question(texts, answer, group)

    return _each(source, "choices", render, alive)


def format_of(source: Source, format: str) -> str:
    """`format`, or by the first row's columns where it is auto. UserError where none fits."""
    if format != "auto":
        return format
    columns = set(source.rows[0])
    for name, needed in FORMATS.items():
        if columns >= set(needed):
            return name
    known = "; ".join(f"{name}: {', '.join(needed)}" for name, needed in FORMATS.items())
    raise UserError(
        f"{source.place(0)}: columns {', '.join(map(str, sorted(columns))) or '(none)'} "
        f"fit no known format ({known})"
    )


def _each(
    source: Source,
    format: str,
    render: Callable[[dict[str, Any]], T],
    alive: Callable[[], None],
) -> list[T]:
    rendered: list[T] = []
    bad: dict[str, str] = {}  # what is wrong, and the first place
    num_bad = 0
    for index, row in enumerate(source.rows):
        alive()
        try:
            rendered.append(render(row))
        except BadRow as error:
            num_bad += 1
            if len(bad) < MAX_REPORTED:
                bad.setdefault(str(error), source.place(index))
    if num_bad:
        needed = ", ".join(FORMATS[format])
        reasons = "; ".join(f"{place}: {reason}" for reason, place in bad.items())
        rest = num_bad - len(bad)
        more = f"; {rest} more such row{'s' if rest > 1 else ''}" if rest else ""
        raise UserError(f"{reasons}{more} (format {format} needs {needed})")
    return rendered


def _string(row: Mapping[str, Any], column: str, empty: bool = False) -> str:
    if column not in row:
        raise BadRow(f"no column {column!r} (it has {', '.join(map(str, row)) or 'none'})")
    value = row[column]
    if not isinstance(value, str):
        raise BadRow(f"{column} is {type(value).__name__} {str(value)[:40]!r}, not text")
    if not empty and not value.strip():
        raise BadRow(f"{column} is empty")
    return value


def _plain(prompt: str, completion: str, template: str, loss_on: str) -> Text:
    before = (AUTO_TEMPLATE if template == "auto" else template).replace("{prompt}", prompt)
    # One space between the two, unless either side brings its own.
    space = "" if before[-1:].isspace() or completion[:1].isspace() or not before else " "
    segments = (Segment(before, loss_on == "all"), Segment(space + completion, True))
    return Text(segments, chat=False, ends=False)


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
        raise BadRow(f"choices is {str(choices)[:40]!r}, not a list of two texts or more")
    if not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise BadRow("a choice is empty or no text")
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
        raise BadRow(f"answer is {answer!r}, not an index from 0 to {len(choices) - 1}")
    group = row.get("group")
    return prompt, choices, answer, "" if group is None else str(group)
