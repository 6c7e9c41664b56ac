"""From a row to the text that is trained on: a prompt and its completion, or a chat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

from trainer.contract.spec import AUTO_TEMPLATE, DataSpec, UserError, is_template_file
from trainer.data.chats import Chats
from trainer.data.columns import CHATS, FORMATS, check_columns, columns_of, meaningful_columns
from trainer.data.notes import Notes
from trainer.data.readers import MAX_REPORTED
from trainer.data.suspects import Suspects, strings
from trainer.data.texts import BARE, BadRow, Note, Question, Segment, Text, is_bare

Row = Mapping[str, Any]
Shape = Literal["chat", "text"]
T = TypeVar("T", Text, Question)


def check_template(template: str) -> None:
    """Raise UserError for a template that cannot be rendered."""
    try:
        template.encode()
    except UnicodeEncodeError as error:
        half = ascii(template[error.start])[1:-1]
        raise UserError(
            f"data.template: {half} is a lone surrogate (half of a character pair)"
        ) from None
    if template != "auto" and "{prompt}" not in template and not is_template_file(template):
        raise UserError(
            f"data.template: {template!r} lacks {{prompt}}; it is everything before the "
            "completion, such as 'Q: {prompt}\\nA:', or a chat template's .jinja file, or auto"
        )


def check_formats(data: DataSpec, formats: Mapping[str, str]) -> None:
    """Raises UserError where `data` asks of rows what only chats can have.

    `formats` by the names of the sources. loss_on assistant means the same as completion for rows
    that are not chats, so these may stand beside chats, in other phases.
    """
    mistakes: list[str] = []
    if data.loss_on == "assistant" and not set(CHATS).intersection(formats.values()):
        name, format = next(iter(formats.items()))
        mistakes.append(
            f"data.loss_on: assistant is for chats, and the rows of {name} are {format}; "
            "completion is the same there"
        )
    for name, format in formats.items():
        if format in CHATS:
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


def question_shape(shape: str, formats: Mapping[str, str]) -> Shape:
    """`shape`, or where it is auto the one that all rows to train on have, chats or text.

    `formats` by the names of the sources.
    """
    if shape == "chat" or shape == "text":
        return shape
    trained = {format for name, format in formats.items() if name not in ("eval", "choices")}
    return "chat" if trained and trained.issubset(CHATS) else "text"


class Renderer:
    """Renders the rows of one source, and notes what is worth knowing of them."""

    def __init__(
        self, data: DataSpec, tokenizer: Any, notes: Notes, alive: Callable[[], None]
    ) -> None:
        self._source, self._data, self._tokenizer = notes.source, data, tokenizer
        self._notes, self._alive = notes, alive
        self._suspects = Suspects(tokenizer)

    def texts(self, format: str) -> list[Text]:
        """A text for each row. UserError naming the first bad rows and what would be right."""
        if format in CHATS:
            chats = Chats(self._tokenizer, self._data.loss_on, self._data.system)
            return self._each(format, chats.render)
        return self._each(format, partial(self._text, format))

    def questions(self, shape: Shape) -> list[Question]:
        """A question for each row, for choice_accuracy. Raises like `texts`."""
        if shape == "text":
            return self._each("choices", self._question)
        chats = Chats(self._tokenizer, self._data.loss_on, self._data.system)
        return self._each("choices", partial(_chat_question, chats))

    def _text(self, format: str, row: Row, note: Note) -> Text:
        if format == "choices":
            prompt, choices, answer, _ = read_choices(row)
            completion = choices[answer]
        elif format == "prompt-completion":
            prompt, completion = _string(row, "prompt", empty=True), _string(row, "completion")
        elif format == "question-answer":
            prompt, completion = _string(row, "question"), _string(row, "answer")
        else:
            prompt, completion = _alpaca(row)
        if is_bare(completion):
            note(BARE)
        text = _plain(prompt, completion, self._data.template, self._data.loss_on)
        bos = self._tokenizer.bos_token
        if bos and "".join(segment.text for segment in text.segments).startswith(bos):
            note(f"begins with {bos!a}, which is not added to it again")
        return text

    def _question(self, row: Row, note: Note) -> Question:
        prompt, choices, answer, group = read_choices(row)
        template = "auto" if is_template_file(self._data.template) else self._data.template
        texts = tuple(_plain(prompt, choice, template, "completion") for choice in choices)
        return Question(texts, answer, group)

    def _each(self, format: str, render: Callable[[Row, Note], T]) -> list[T]:
        rendered: list[T] = []
        bad: dict[str, str] = {}  # what is wrong, and the first place
        num_bad = 0
        is_guessed = self._data.format == "auto"
        meaningful = meaningful_columns(self._source.rows) if is_guessed else ()
        read = columns_of(format)
        for index, row in enumerate(self._source.rows):
            self._alive()
            note = partial(self._notes.add, index=index)
            try:
                check_columns(row, index, format, meaningful, self._notes)
                rendered.append(_checked(render(row, note)))
                for what in self._suspects.of(strings([row.get(column) for column in read])):
                    note(what)
            except BadRow as error:
                num_bad += 1
                if len(bad) < MAX_REPORTED:
                    bad.setdefault(str(error), self._source.place(index))
        if num_bad:
            needed = ", ".join(FORMATS[format])
            reasons = "; ".join(f"{place}: {reason}" for reason, place in bad.items())
            rest = num_bad - len(bad)
            more = f"; {rest} more such row{'s' if rest > 1 else ''}" if rest else ""
            raise UserError(f"{reasons}{more} (format {format} needs {needed})")
        return rendered


def _checked(made: T) -> T:
    """The same. Raises BadRow where a template has put half a character into it."""
    texts = made.texts if isinstance(made, Question) else (made,)
    for text in texts:
        assert isinstance(text, Text)
        for segment in text.segments:
            if not segment.text.isascii() and not segment.text.isprintable():
                try:
                    segment.text.encode()
                except UnicodeEncodeError as error:
                    half = ascii(segment.text[error.start])
                    raise BadRow(
                        f"{half}, from the chat template, is a lone surrogate "
                        "(half of a character pair)"
                    ) from None
    return made


def _chat_question(chats: Chats, row: Row, note: Note) -> Question:
    prompt, choices, answer, group = read_choices(row)
    scored, trained = chats.ask(prompt, choices)
    return Question(tuple(scored), answer, group, trained[answer])


def _string(row: Row, column: str, empty: bool = False) -> str:
    if column not in row:
        raise BadRow(f"no column {column!r} (it has {', '.join(map(str, row)) or 'none'})")
    value = row[column]
    if not isinstance(value, str):
        hint = ""
        if isinstance(value, list) and any(isinstance(each, dict) for each in value):
            hint = "; the messages of a chat go into one column messages"
        raise BadRow(f"{column} is {type(value).__name__} {str(value)[:40]!r}, not text{hint}")
    if not empty and not value.strip():
        raise BadRow(f"{column} is empty")
    return value


def _plain(prompt: str, completion: str, template: str, loss_on: str) -> Text:
    before = (AUTO_TEMPLATE if template == "auto" else template).replace("{prompt}", prompt)
    # One space between the two, unless either side brings its own.
    space = "" if before[-1:].isspace() or completion[:1].isspace() or not before else " "
    segments = (Segment(before, loss_on == "all"), Segment(space + completion, True))
    return Text(segments, chat=False, ends=False)


def _alpaca(row: Row) -> tuple[str, str]:
    prompt, completion = _string(row, "instruction"), _string(row, "output")
    if row.get("input") is None:
        return prompt, completion
    extra = _string(row, "input", empty=True)
    return (f"{prompt}\n\n{extra}" if extra.strip() else prompt), completion


def read_choices(row: Row) -> tuple[str, list[str], int, str]:
    """Prompt, choices, index of the right one, and group. Raises BadRow."""
    prompt = _string(row, "prompt")
    choices, answer = row.get("choices"), row.get("answer")
    if not isinstance(choices, list) or len(choices) < 2:
        raise BadRow(f"choices is {str(choices)[:40]!r}, not a list of two texts or more")
    if not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise BadRow("a choice is empty or no text")
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
        raise BadRow(f"answer is {str(answer)[:40]!r}, not an index from 0 to {len(choices) - 1}")
    group = row.get("group")
    return prompt, choices, answer, "" if group is None else str(group)
