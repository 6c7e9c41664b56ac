"""Which tokens of a chat bear loss, under templates of several kinds; and what is refused."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_templates import MARKED, PLAIN
from trainer.contract.spec import UserError
from trainer.data.chats import Chats
from trainer.data.tables import to_table
from trainer.data.template import read_template
from trainer.data.texts import BadRow
from trainer.data.tokenise import tokenise

# As Qwen3's: what was thought before earlier replies is left out.
SHOWN = "{{ m.content if loop.last else m.content.split('</think>')[-1] }}"
FORGETS, FORGETS_MARKED = (each.replace("{{ m.content }}", SHOWN) for each in (PLAIN, MARKED))
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
SKIPS_SYSTEM = PLAIN.replace("in messages", "in messages if m.role != 'system'")
EARLY = MARKED.replace("<|end|>{% endgeneration %}", "{% endgeneration %}<|end|>")
NO_END = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ '\n' }}{% endfor %}"
NO_END += "{% if add_generation_prompt %}assistant: {% endif %}"


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def chat(*turns: str) -> dict[str, Any]:
    """A row of messages from texts such as "user: hi"."""
    pairs = [turn.split(": ", 1) for turn in turns]
    return {"messages": [{"role": role, "content": content} for role, content in pairs]}


def learned(
    tokenizer: Any,
    template: str | None,
    row: dict[str, Any],
    loss_on: str = "assistant",
    system: str | None = None,
    max_length: int = 1000,
) -> str:
    """The prepared row as text, with [ ] around what bears loss."""
    tokenizer.chat_template = template
    text = Chats(tokenizer, loss_on, system).render(row)
    table = to_table(
        tokenise(tokenizer, [text], lambda: None), [text], tokenizer.eos_token_id, max_length
    )
    parts = []
    for bears_loss, run in groupby(
        zip(table.input_ids[0], table.labels[0], strict=True), lambda pair: pair[1] != -100
    ):
        part = tokenizer.decode([id for id, _ in run])
        parts.append(f"[{part}]" if bears_loss else part)
    return "".join(parts)


TALK = chat("user: hi", "assistant: yes?", "user: bye", "assistant: so long")


@pytest.mark.parametrize(
    ("loss_on", "expected"),
    [
        (
            "completion",
            "<|user|>hi<|end|>\n<|assistant|>yes?<|end|>\n"
            "<|user|>bye<|end|>\n<|assistant|>[so long<|end|>]",
        ),
        (
            "assistant",
            "<|user|>hi<|end|>\n<|assistant|>[yes?<|end|>]\n"
            "<|user|>bye<|end|>\n<|assistant|>[so long<|end|>]",
        ),
        (  # all but the first token, which nothing comes before
            "all",
            "<[|user|>hi<|end|>\n<|assistant|>yes?<|end|>\n"
            "<|user|>bye<|end|>\n<|assistant|>so long<|end|>]",
        ),
    ],
)
@pytest.mark.parametrize("template", [PLAIN, MARKED], ids=["plain", "marked"])
def test_loss_is_on_replies_and_their_end_of_turn(
    tokenizer: Any, template: str, loss_on: str, expected: str
) -> None:
    """Not on headers, on what the template puts behind a turn, or on other roles."""
    assert learned(tokenizer, template, TALK, loss_on) == expected


@pytest.mark.parametrize(
    "row",
    [
        TALK,
        chat("system: be kind", "user: hi", "assistant: yes?"),
        chat("user: a", "user: b", "assistant: c", "assistant: d", "user: e"),
        chat("user: é\n", "assistant: \n  ü ", "tool: 3", "assistant: ]\n"),
    ],
)
def test_marks_and_prefixes_agree(tokenizer: Any, row: dict[str, Any]) -> None:
    assert learned(tokenizer, MARKED, row) == learned(tokenizer, PLAIN, row)


def test_a_mark_that_stops_before_the_end_of_turn_still_teaches_it(tokenizer: Any) -> None:
    late = MARKED.replace("{% endgeneration %}{{ '\n' }}", "{{ '\n' }}{% endgeneration %}")
    assert EARLY != MARKED != late
    assert learned(tokenizer, EARLY, TALK) == learned(tokenizer, MARKED, TALK)
    assert learned(tokenizer, late, TALK) == learned(tokenizer, MARKED, TALK)


@pytest.fixture(scope="module")
def calling(tiny_model: Path) -> Any:
    """One more special token, which ends no turn."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["</call>"]})
    return tokenizer


CALLING = chat("user: hi", "assistant: x</call>", "user: bye", "assistant: y</call>")


@pytest.mark.parametrize("template", [PLAIN, MARKED, EARLY])
def test_a_reply_that_ends_in_a_special_token_of_its_own_learns_its_end_of_turn(
    calling: Any, template: str
) -> None:
    assert learned(calling, template, CALLING) == (
        "<|user|>hi<|end|>\n<|assistant|>[x</call><|end|>]\n"
        "<|user|>bye<|end|>\n<|assistant|>[y</call><|end|>]"
    )


def test_such_a_reply_gets_eos_where_the_template_ends_no_turn(calling: Any) -> None:
    for loss_on in ("assistant", "completion", "all"):
        assert learned(calling, NO_END, CALLING, loss_on).endswith("y</call>\n<|end|>]")


def test_the_next_turns_first_token_is_not_learned(calling: Any) -> None:
    """Where turns stand side by side and each begins with a special token."""
    template = (
        "{% for m in messages %}</call>{{ m.role }}:{% if m.role == 'assistant' %}"
        "{% generation %}{{ m.content }}<|end|>{% endgeneration %}"
        "{% else %}{{ m.content }}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}</call>assistant:{% endif %}"
    )
    assert learned(calling, template, TALK) == (
        "</call>user:hi<|end|></call>assistant:[yes?<|end|>]"
        "</call>user:bye<|end|></call>assistant:[so long<|end|>]"
    )


THOUGHT = chat("user: 1+1", "assistant: <think>easy</think>2", "user: +1", "assistant: 3")


def test_a_template_that_rewrites_earlier_replies(tokenizer: Any) -> None:
    """Refused where the tokens would not be those generated; marks say what is meant."""
    with pytest.raises(BadRow, match=r"message 2 in another way when others follow.*completion"):
        learned(tokenizer, FORGETS, THOUGHT)
    ask, then = "<|user|>1+1<|end|>\n<|assistant|>", "\n<|user|>+1<|end|>\n<|assistant|>[3<|end|>]"
    assert learned(tokenizer, FORGETS, THOUGHT, "completion") == f"{ask}2<|end|>{then}"
    assert learned(tokenizer, FORGETS_MARKED, THOUGHT) == f"{ask}[2<|end|>]{then}"


def test_what_follows_the_last_reply_is_left_out(tokenizer: Any) -> None:
    """It changes no loss: every token is predicted from those before it."""
    open_ended = chat("user: hi", "assistant: yes?", "user: bye")
    assert learned(tokenizer, PLAIN, open_ended) == "<|user|>hi<|end|>\n<|assistant|>[yes?<|end|>]"
    assert learned(tokenizer, PLAIN, open_ended, "all").endswith("<|user|>bye<|end|>]")


def test_a_template_without_an_end_of_turn_gets_eos(tokenizer: Any) -> None:
    assert learned(tokenizer, NO_END, TALK) == (
        "user: hi\nassistant: [yes?\n]user: bye\nassistant: [so long\n<|end|>]"
    )


def test_max_length_keeps_the_start(tokenizer: Any) -> None:
    """One token per byte, and one for the end of turn: 25 before the first reply."""
    assert learned(tokenizer, PLAIN, TALK, max_length=27).endswith("<|assistant|>[ye]")


def test_a_system_prompt_stands_before_chats_that_have_none(tokenizer: Any) -> None:
    expected = "<|system|>be kind<|end|>\n<|user|>hi<|end|>\n<|assistant|>[yes?<|end|>]"
    bare, own = chat("user: hi", "assistant: yes?"), chat("system: x", "assistant: y")
    assert learned(tokenizer, PLAIN, bare, system="be kind") == expected
    assert learned(tokenizer, MARKED, bare, system="be kind") == expected
    assert learned(tokenizer, PLAIN, own, system="be kind").startswith("<|system|>x<|end|>")


def test_null_keys_of_messages_are_as_if_absent(tokenizer: Any) -> None:
    """Parquet files give every message every key."""
    template = PLAIN.replace("{{ m.content }}", "{{ m.content }}{{ m.name if 'name' in m }}")
    row = {"messages": [{**message, "name": None} for message in TALK["messages"]]}
    assert learned(tokenizer, template, row) == learned(tokenizer, PLAIN, TALK)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (NO_SYSTEM + PLAIN, r"data.system: .*the chat template refuses it \(no system\)"),
        (SKIPS_SYSTEM, "data.system: the chat template leaves system messages out"),
        (None, "has no chat template.*data.template: FILE.jinja"),
    ],
)
def test_what_no_row_can_have(tokenizer: Any, template: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        learned(tokenizer, template, TALK, system="be kind")


@pytest.mark.parametrize(
    ("row", "loss_on", "said"),
    [
        (chat("user: a", "assistant: b", "user: c"), "completion", "last message is by 'user'"),
        (chat("user: a", "user: b"), "assistant", "no message is the assistant's"),
        (chat("user: a", "assistant:  "), "assistant", "the last message is empty"),
        (chat("user: a", "assistant:  ", "user: b"), "assistant", "message 2, .*, is empty"),
        (chat("assistant: a", "user: b"), "assistant", "the first message is the assistant's"),
        (chat("user: a"), "all", "two messages"),
        (chat("system: a", "assistant: b"), "completion", r"refuses it \(no system\)"),
        ({"messages": [{"role": "user"}, {"role": "assistant"}]}, "all", "role, content"),
        ({"messages": [{"content": "a"}, {"content": "b"}]}, "all", "no role"),
    ],
)
def test_bad_chats(tokenizer: Any, row: dict[str, Any], loss_on: str, said: str) -> None:
    with pytest.raises(BadRow, match=said):
        learned(tokenizer, NO_SYSTEM + PLAIN, row, loss_on)


def test_marks_that_mark_nothing(tokenizer: Any) -> None:
    with pytest.raises(BadRow, match="mark nothing"):
        learned(tokenizer, MARKED.replace("'assistant'", "'model'"), TALK)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"fine\n{% for %}", r"line 2: invalid Jinja"),
        (b"{% generation %}", "invalid Jinja"),
    ],
)
def test_bad_template_files(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "own.jinja"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=rf"data.template: .*own.jinja.*{said}"):
        read_template(str(file))


def test_good_template_files(tmp_path: Path) -> None:
    file = tmp_path / "own.jinja"
    for template in (PLAIN, MARKED, NO_SYSTEM + PLAIN, "{{ messages[0].content }}"):
        file.write_text(template)
        assert read_template(str(file)) == template
