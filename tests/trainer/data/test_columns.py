"""Which columns and keys of rows are read, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.support.chat_templates import MARKED, PLAIN, TOOLS
from trainer.contract.spec import DataSpec, UserError
from trainer.data.columns import format_of
from trainer.data.notes import MAX_KINDS, Notes
from trainer.data.render import Renderer
from trainer.data.rows import Source
from trainer.data.texts import Text

PAIR = {"prompt": "hi", "completion": "yes"}
TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
CHAT = {"messages": TURNS}
SHARED = {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]}
ALPACA = {"instruction": "hi", "output": "yes"}
ASKED = {"question": "hi", "answer": "yes"}
CHOICE = {"prompt": "hi", "choices": ["a", "b"], "answer": 0}


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def source(*rows: Any) -> Source:
    return Source("/x/own.jsonl", list(rows), "line", list(range(1, len(rows) + 1)), None)


def rendered(
    tokenizer: Any, *rows: Any, template: str = PLAIN, **data: Any
) -> tuple[list[Text], list[str]]:
    """The texts, and the notes as one line each."""
    tokenizer.chat_template = template
    spec, given = DataSpec(**data), source(*rows)
    notes = Notes(given)
    texts = Renderer(spec, tokenizer, notes, lambda: None).texts(format_of(given, spec.format))
    return texts, [f"{each['what']}: {each['rows']}, {each['first']}" for each in notes.facts()]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([PAIR], []),
        ([PAIR | {"group": "g"}, PAIR | {"group": 7}], []),
        ([CHAT | {"group": "g"}], []),
        ([PAIR | {"groups": "g"}], ["column 'groups' is not read: 1, own.jsonl, line 1"]),
        ([PAIR | {"id": 0}], ["column 'id' is not read: 1, own.jsonl, line 1"]),
        (
            [PAIR, PAIR | {"source": "x"}, PAIR | {"source": "y", "a\u202eb": [1]}],
            [
                "column 'source' is not read: 2, own.jsonl, line 2",
                "column 'a\\u202eb' is not read: 1, own.jsonl, line 3",
            ],
        ),
        ([PAIR | {"system": "", "history": [], "tools": None, "input": ""}], []),
        ([CHAT | {"id": 7, "tools": "[]"}], ["column 'id' is not read: 1, own.jsonl, line 1"]),
        ([CHOICE | {"group": "g", "subject": "s"}], ["column 'subject' is not read: 1, own.jsonl, "
                                                     "line 1"]),
        ([ALPACA | {"input": "there"}], []),
        *(
            ([PAIR | {column: value}] * 2, [f"column {column!r} is not read: 2, own.jsonl, line 1"])
            for column, value in [
                ("weight", 1), ("Weight", 1.0), ("sample_weight", "1"), ("loss_mask", True),
                ("label", True), ("label", "positive"), ("label", 7),
            ]
        ),
        (
            [PAIR | {"weight": 1}, PAIR, PAIR | {"weight": None}],
            ["column 'weight' is not read: 1, own.jsonl, line 1"],
        ),
        (
            [{"messages": [TURNS[0] | {"name": "Jo"}, TURNS[1]]}],
            ["'name' of messages by 'user' is not read: 1, own.jsonl, line 1"],
        ),
        (
            [CHAT | {"chat_template_kwargs": {"date": "today"}}],
            ["'date' of chat_template_kwargs is not read: 1, own.jsonl, line 1"],
        ),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named(tokenizer: Any, rows: list[Any], said: list[str]) -> None:
    assert rendered(tokenizer, *rows)[1] == said


@pytest.mark.parametrize("name", ["train", "eval"])
def test_of_the_shipped_data_there_is_nothing_to_say(tokenizer: Any, name: str) -> None:
    lines = (ROOT / f"studies/quickstart/{name}.jsonl").read_text().splitlines()
    texts, said = rendered(tokenizer, *map(json.loads, lines))
    assert len(texts) == len(lines) and not said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (PAIR | {"system": "be kind"}, "column 'system' .*the prompt, or .* messages, or leave"),
        (PAIR | {"history": [["a", "b"]]}, "column 'history' .*put it into the messages, or leave"),
        (PAIR | {"input": "x"}, "column 'input'"),
        (PAIR | {"tools": [{"name": "f"}]}, "column 'tools' .*rows as messages, with the column"),
        (PAIR | {"messages": TURNS}, "fit more than one format; .*: messages or prompt-completion"),
        (PAIR | {"weight": 0}, "column 'weight' .*take the rows out"),
        (PAIR | {"Weight": 0}, "column 'Weight' .*take the rows out"),
        (PAIR | {"label": False}, "column 'label' .*take the rows out that are not to be learned"),
        (PAIR | {"loss_weight": 0.0}, "column 'loss_weight' .*take the rows out"),
        (CHAT | {"loss_mask": [0, 1]}, "column 'loss_mask' .*take the rows out"),
        (CHAT | {"mask": [1]}, "column 'mask' .*take the rows out"),
        (CHAT | {"images": ["a.png"]}, "column 'images' .*from text alone"),
        (PAIR | {"system_prompt": "be kind"}, "column 'system_prompt' .*into the prompt"),
        (ASKED | {"passage": "x"}, "column 'passage'"),
        (ASKED | {"options": ["x"]}, "column 'options'"),
        (ASKED | {"choices": ["x"]}, "column 'choices' .*into the prompt"),
        (ASKED | {"documents": ["x"]}, "column 'documents'"),
        (PAIR | {"conversations": []} | {"question": "x"}, "column 'question'"),
        (CHAT | {"prompt": "x"}, "column 'prompt' .*leave it out with data.format: messages"),
        (CHAT | {"weight": 0.5}, "column 'weight'"),
        (CHAT | {"functions": [{"name": "f"}]}, "column 'functions'"),
        (ALPACA | {"system": "be kind"}, "column 'system'"),
        (ALPACA | {"history": [["a", "b"]]}, "column 'history'"),
        (ASKED | {"context": "x"}, "column 'context'"),
        (CHOICE | {"context": "x"}, "column 'context'"),
        (CHOICE | PAIR, "fit more than one format; .*: choices or prompt-completion"),
    ],
)
def test_a_column_that_changes_the_others_is_left_out_only_when_asked(
    tokenizer: Any, row: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=rf"own.jsonl, line 1: .*{said}"):
        rendered(tokenizer, row)
    format = next(
        format
        for format, like in [
            ("choices", CHOICE), ("messages", CHAT), ("prompt-completion", PAIR),
            ("question-answer", ASKED), ("alpaca", ALPACA),
        ]
        if set(like) <= set(row)
    )  # fmt: skip
    texts, notes = rendered(tokenizer, row, format=format)
    assert len(texts) == 1
    assert any(each.endswith("is not read: 1, own.jsonl, line 1") for each in notes)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("weight", (1, 0)), ("weight", (0.5, 0.5)), ("loss_mask", ([1], [1])),
        ("label", (True, False)), ("label", ("a", "b")), ("label", (0, 0)), ("label", ("no", "no")),
    ],
)  # fmt: skip
def test_a_switch_that_is_off_somewhere_is_left_out_only_when_asked(
    tokenizer: Any, column: str, values: tuple[Any, Any]
) -> None:
    rows = [PAIR | {column: value} for value in values]
    with pytest.raises(UserError, match=f"column '{column}' .*take the rows out"):
        rendered(tokenizer, *rows)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "a"}, "columns text fit no known format .*Text alone: name it completion"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "Preference rows"),
        ({"input": "a", "output": "b"}, "Name input prompt and output completion"),
        ({"query": "a", "response": "b"}, "Name query prompt and response completion"),
        ({"\x1b[31m": "a"}, r"columns '\\x1b\[31m' fit no known format"),
        ({str(i): "a" for i in range(5000)}, "and 4980 more fit no known format"),
        ({}, r"columns \(none\) fit"),
    ],
)
def test_rows_of_other_layouts_get_the_way_out(row: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        format_of(source(row), "auto")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": "[]"}, "not a list of two messages or more .it is text"),
        ({"messages": [1, 2]}, "message 1 is int"),
        ({"messages": [TURNS[0], TURNS[1] | {"weight": 0.5}]}, "message 2 has weight '0.5'"),
        ({"messages": [TURNS[0], TURNS[1] | {"weight": float("nan")}]}, "has weight 'nan'"),
        ({"messages": [TURNS[0], TURNS[1] | {"weight": True}]}, "has weight 'True'"),
        ({"messages": [TURNS[0], TURNS[1] | {"train": False}]}, "'train', .* write weight: 0 or 1"),
        *(
            ({"messages": [TURNS[0], TURNS[1] | {key: 0}]}, f"'{key}', .* write weight: 0 or 1")
            for key in ("Weight", "supervised", "ignore", "is_masked", "training_weight",
                        "trainOnTurn", "loss-mask")
        ),
        ({"messages": [TURNS[0], TURNS[1] | {"weight": 0}]}, "the last reply has weight 0"),
        ({"messages": [TURNS[0] | {"weight": 1}, TURNS[1]]}, "by 'user' has weight 1"),
        ({"messages": [TURNS[0], TURNS[1] | {"content": [{"text": "a"}]}]}, "a list of parts"),
        ({"messages": [TURNS[0], {"role": "assistant", "function_call": {}}]}, "write tool_calls"),
        (CHAT | {"tools": "[{"}, "tools: malformed JSON"),
        (CHAT | {"tools": {"name": "f"}}, "tools is not a list of objects"),
        (CHAT | {"tools": [{"name": "f"}]}, "the chat template leaves tools out"),
        (CHAT | {"chat_template_kwargs": {"messages": []}}, "'messages' cannot be given"),
        (CHAT | {"chat_template_kwargs": [1]}, "chat_template_kwargs is not an object"),
        (CHAT | {"system": 7}, "system is int"),
        (
            {"messages": [{"role": "system", "content": "a"}, *TURNS], "system": "b"},
            "a system message and a column system",
        ),
        ({"conversations": [{"from": "alien", "value": "x"}] * 2}, "from 'alien'; known are"),
        ({"messages": [TURNS[0], TURNS[1] | {"content": None, "tool_calls": [{"name": "f"}]}]},
         "leaves the tool calls of message 2 out"),
    ],
)  # fmt: skip
def test_chats_that_are_refused(tokenizer: Any, row: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=rf"own.jsonl, line 1: .*{said}"):
        rendered(tokenizer, row)


def test_messages_in_other_columns_get_the_way_out(tokenizer: Any) -> None:
    row = {"prompt": TURNS[:1], "completion": TURNS[1:]}
    with pytest.raises(UserError, match=r"prompt is list .*, not text; .* one column messages"):
        rendered(tokenizer, row)


def test_sharegpt_is_read_as_messages(tokenizer: Any) -> None:
    assert rendered(tokenizer, SHARED)[0] == rendered(tokenizer, CHAT)[0]


def test_a_column_system_is_the_chats_system_message(tokenizer: Any) -> None:
    """And the study's data.system is for those that have none."""
    own = {"messages": [{"role": "system", "content": "be kind"}, *TURNS]}
    assert (
        rendered(tokenizer, CHAT | {"system": "be kind"}, system="no")[0]
        == (rendered(tokenizer, own)[0])
    )


@pytest.mark.parametrize("role", ["system", "tool"])
@pytest.mark.parametrize("template", [PLAIN, MARKED])
def test_a_role_that_the_template_leaves_out_is_refused(
    tokenizer: Any, role: str, template: str
) -> None:
    deaf = template.replace("in messages", f"in messages if m.role != '{role}'")
    row = {"messages": [TURNS[0], {"role": role, "content": "s"}, TURNS[1]]}
    assert rendered(tokenizer, row, template=template, loss_on="assistant")[1] == []
    with pytest.raises(UserError, match=f"leaves message 2, by '{role}', out"):
        rendered(tokenizer, row, template=deaf, loss_on="assistant")


def test_tools_and_tool_calls_reach_the_template(tokenizer: Any) -> None:
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    tools = [{"type": "function", "function": {"name": "add"}}]
    row = {"messages": [TURNS[0], {"role": "assistant", "tool_calls": [call]}], "tools": tools}
    (text,), notes = rendered(tokenizer, row, template=TOOLS)
    assert notes == []
    prompt, reply = text.segments
    assert prompt.text.startswith('<|tools|>[{"type": "function", "function": {"name": "add"}}]')
    assert reply.text == '<call>{"name": "add", "arguments": {"a": 1}}</call><|end|>'
    as_text = row | {"tools": '[{"type": "function", "function": {"name": "add"}}]'}
    assert rendered(tokenizer, as_text, template=TOOLS)[0] == [text]


FUNCTION = {"name": "add", "arguments": {"a": 1}}
CALLS = {"role": "assistant", "tool_calls": [{"function": FUNCTION}]}
CALLED = {"messages": [TURNS[0], CALLS]}
SYSTEM = {"role": "system", "content": "be kind"}
WITHOUT_SYSTEM = "messages[0].role != 'system'"


@pytest.mark.parametrize(
    ("template", "good", "bad", "said"),
    [
        (
            TOOLS.replace("if tools", f"if tools and {WITHOUT_SYSTEM}"),
            CHAT | {"tools": [{"name": "f"}]},
            {"messages": [SYSTEM, *TURNS], "tools": [{"name": "f"}]},
            "leaves tools out",
        ),
        (
            TOOLS.replace("if tools", "if tools and messages | length < 4"),
            CHAT | {"tools": [{"name": "f"}]},
            {"messages": TURNS * 2, "tools": [{"name": "f"}]},
            "leaves tools out",
        ),
        (
            TOOLS.replace("or [] %}", f"if {WITHOUT_SYSTEM} %}}"),
            CALLED,
            {"messages": [SYSTEM, TURNS[0], CALLS]},
            "leaves the tool calls of message 3 out",
        ),
        (
            TOOLS.replace("m.tool_calls or []", "(m.tool_calls or [] if loop.last else [])"),
            CALLED,
            {"messages": [TURNS[0], CALLS, TURNS[0], CALLS]},
            "leaves the tool calls of message 2 out",
        ),
        (
            TOOLS.replace("m.tool_calls or []", "(m.tool_calls or [])[:1]"),
            CALLED,
            {"messages": [TURNS[0], CALLS | {"tool_calls": [{"function": FUNCTION}] * 2}]},
            "leaves the tool calls of message 2 out",
        ),
    ],
)
def test_tools_that_were_read_before_and_are_left_out_later(
    tokenizer: Any, template: str, good: Any, bad: Any, said: str
) -> None:
    assert template != TOOLS
    assert rendered(tokenizer, good, good, template=template)[1] == []
    with pytest.raises(UserError, match=rf"own.jsonl, line 2: .*{said}"):
        rendered(tokenizer, good, bad, template=template)


def test_calls_without_a_name_are_compared_too(tokenizer: Any) -> None:
    template = TOOLS.replace("c.function", "c")
    row = {"messages": [TURNS[0], CALLS | {"tool_calls": [{"code": "1+1"}]}]}
    assert rendered(tokenizer, row, template=template)[1] == []
    with pytest.raises(UserError, match="leaves the tool calls of message 2 out"):
        rendered(tokenizer, row)


def test_a_key_that_is_read_in_some_chats_alone_is_noted_in_the_others(tokenizer: Any) -> None:
    template = PLAIN.replace("{{ m.content }}", "{{ m.name if loop.length < 3 }}{{ m.content }}")
    named = [TURNS[0] | {"name": "Jo"}, TURNS[1]]
    assert rendered(tokenizer, {"messages": named}, {"messages": named * 2}, template=template)[
        1
    ] == ["'name' of messages by 'user' is not read: 1, own.jsonl, line 2"]


SUSPECTS = [
    ("a<|end|>b", "control token '<|end|>' inside the text"),
    ("a\u200bb", "zero-width characters"),
    ("a\u202eb", "marks that turn the direction of text"),
    ("a\ufeffb", "byte order marks"),
    ("a\ufffdb", "replacement characters (U+FFFD, from text that was decoded wrongly)"),
    ("a\x00b", "control characters (such as NUL)"),
    ("a\r\nb", "carriage returns"),
    ("a\U000e0041b", "invisible tag characters"),
]


@pytest.mark.parametrize(("text", "said"), SUSPECTS)
@pytest.mark.parametrize("place", ["prompt", "completion", "user", "assistant", "choice"])
def test_text_that_is_not_what_it_looks_like_is_counted(
    tokenizer: Any, text: str, said: str, place: str
) -> None:
    row: dict[str, Any]
    if place in PAIR:
        good, row = PAIR, PAIR | {place: text}
    elif place == "choice":
        good, row = CHOICE, CHOICE | {"choices": ["a", text]}
    else:
        turns = [each | {"content": text} if each["role"] == place else each for each in TURNS]
        good, row = CHAT, {"messages": turns}
    assert rendered(tokenizer, good, row, row)[1] == [f"{said}: 2, own.jsonl, line 2"]


@pytest.mark.parametrize("row", [PAIR | {"completion": "-"}, SHARED | {
    "conversations": [SHARED["conversations"][0], {"from": "gpt", "value": "..."}]
}])  # fmt: skip
def test_nearly_empty_replies_are_counted(tokenizer: Any, row: dict[str, Any]) -> None:
    assert rendered(tokenizer, row)[1] == [
        "a reply without a letter or digit: 1, own.jsonl, line 1"
    ]


@pytest.mark.parametrize("data", [{"template": "{prompt}"}, {"template": "\ud83d{prompt}"}])
def test_half_a_character_never_reaches_the_tokenizer(tokenizer: Any, data: Any) -> None:
    with pytest.raises(UserError, match=r"ud83d.* lone surrogate"):
        rendered(tokenizer, PAIR | {"completion": "\ud83d"}, **data)


def test_half_a_character_from_a_chat_template(tokenizer: Any) -> None:
    with pytest.raises(UserError, match=r"line 1: .*ud83d.* lone surrogate"):
        rendered(tokenizer, CHAT, template="{{ '\\ud83d' }}" + PLAIN)


def test_as_many_columns_as_one_likes() -> None:
    notes = Notes(source({}, {}))
    for i in range(10_000):
        notes.add(f"column {i}", i % 2)
    assert len(notes.facts()) == MAX_KINDS + 1
