"""Every token of a row, and whether it bears loss, against a construction by hand.

What is expected is written as the row's text with [ ] around what bears loss, <s> and </s> as the
tokenizers' BOS and EOS; every other character is one token.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest

from trainer.contract.spec import DataSpec
from trainer.data.columns import format_of
from trainer.data.notes import Notes
from trainer.data.rows import Source
from trainer.data.sources import Maker, choice_table, text_table

EOS, BOS, SPACE = 0, 1, 2
CHARACTERS = [chr(code) for code in range(33, 127)] + ["\n", "é"]


@cache
def make_tokenizer(bos: bool = False, eos: bool = False, space: bool = False) -> Any:
    """One token per character; adds BOS and EOS to every text, or a space before it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab = {piece: id for id, piece in enumerate(["</s>", "<s>", "▁", *CHARACTERS])}
    tokenizer = Tokenizer(models.BPE(vocab, []))
    scheme = "first" if space else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    if bos or eos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{'<s> ' * bos}$A{' </s>' * eos}",
            special_tokens=[("<s>", BOS), ("</s>", EOS)],
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", bos_token="<s>")


TOKENIZERS = {
    "bare": {},
    "bos": {"bos": True},
    "bos and eos": {"bos": True, "eos": True},
    "eos": {"eos": True},
    "space": {"space": True},
    "space and bos": {"space": True, "bos": True},
}


@pytest.fixture(params=TOKENIZERS, scope="module")
def kind(request: pytest.FixtureRequest) -> dict[str, bool]:
    return TOKENIZERS[request.param]


def by_hand(expected: str, kind: dict[str, bool], chat: bool) -> tuple[list[int], list[int]]:
    """input_ids and labels. A tokenizer's own BOS stands once, and never before a chat; a space
    comes before a text that does not begin with a control token."""
    ids: list[int] = []
    labels: list[int] = []
    bears_loss, rest = False, expected
    if kind.get("bos") and not chat and not rest.lstrip("[").startswith("<s>"):
        ids, labels = [BOS], [-100]
    has_space = kind.get("space") and not rest.lstrip("[").startswith(("<s>", "</s>"))
    while rest:
        if rest[0] in "[]":
            bears_loss, rest = rest[0] == "[", rest[1:]
            continue
        if has_space:
            token, has_space = SPACE, False
        elif rest.startswith(("<s>", "</s>")):
            token = BOS if rest.startswith("<s>") else EOS
            rest = rest.partition(">")[2]
        else:
            token = SPACE if rest[0] == " " else 3 + CHARACTERS.index(rest[0])
            rest = rest[1:]
        ids.append(token)
        labels.append(token if bears_loss else -100)
    labels[0] = -100  # nothing comes before it
    return ids, labels


def made(kind: dict[str, bool], row: dict[str, Any], chat_template: str | None, **data: Any) -> Any:
    tokenizer = make_tokenizer(**kind)
    tokenizer.chat_template = chat_template
    spec = DataSpec(**data)
    source = Source("own.jsonl", [row], "line", [1], None)
    table = text_table(
        Maker(spec, tokenizer, None, lambda: None), Notes(source), format_of(source, spec.format)
    )
    return table.input_ids[0].tolist(), table.labels[0].tolist()


PAIR = {"prompt": "hi", "completion": "yes"}
TEXTS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (PAIR, {}, "Question: hi\nAnswer:[ yes</s>]"),
    ({"question": "hi", "answer": "yes"}, {}, "Question: hi\nAnswer:[ yes</s>]"),
    ({"instruction": "hi", "output": "yes"}, {}, "Question: hi\nAnswer:[ yes</s>]"),
    (
        {"instruction": "add", "input": "1 1", "output": "2"},
        {},
        "Question: add\n\n1 1\nAnswer:[ 2</s>]",
    ),
    ({"instruction": "add", "input": "", "output": "2"}, {}, "Question: add\nAnswer:[ 2</s>]"),
    ({"prompt": "hi", "choices": ["a", "b"], "answer": 1}, {}, "Question: hi\nAnswer:[ b</s>]"),
    (PAIR, {"loss_on": "all"}, "[Question: hi\nAnswer: yes</s>]"),
    # The tokenizers' own tokens in templates and rows: EOS is learned once, and at the end alone.
    (PAIR, {"template": "{prompt}</s>"}, "hi</s>[ yes</s>]"),
    (PAIR, {"template": "{prompt}</s>\n"}, "hi</s>\n[yes</s>]"),
    (PAIR, {"template": "<s>{prompt}:"}, "<s>hi:[ yes</s>]"),
    (PAIR, {"template": "<s>{prompt}</s>"}, "<s>hi</s>[ yes</s>]"),
    (PAIR | {"prompt": "hi</s>"}, {"template": "{prompt}"}, "hi</s>[ yes</s>]"),
    (PAIR | {"prompt": "<s>hi"}, {"template": "{prompt}"}, "<s>hi[ yes</s>]"),
    (PAIR | {"completion": "yes</s>"}, {"template": "{prompt}"}, "hi[ yes</s>]"),
    (PAIR | {"completion": "y</s>s"}, {"template": "{prompt}"}, "hi[ y</s>s</s>]"),
    (PAIR | {"completion": " é\n"}, {"template": "{prompt}"}, "hi[ é\n</s>]"),
]


@pytest.mark.parametrize(("row", "data", "expected"), TEXTS)
def test_texts(
    kind: dict[str, bool], row: dict[str, Any], data: dict[str, Any], expected: str
) -> None:
    assert made(kind, row, None, **data) == by_hand(expected, kind, chat=False)


def test_what_is_cut_is_the_end(kind: dict[str, bool]) -> None:
    ids, labels = by_hand("hi:[ yes</s>]", kind, chat=False)
    short = made(kind, PAIR, None, template="{prompt}:", max_length=6)
    assert short == (ids[:6], labels[:6])


END = "</s>{{ '\n' }}"
CALLS = "{% for c in m.tool_calls or [] %}({{ c.function.name }}){% endfor %}"
ASK = "{% if add_generation_prompt %}A:{% endif %}"
HEADER = "{{ m.role[0] | upper }}:"
PLAIN = (
    "{% if tools %}T:{% for t in tools %}{{ t.name }}{% endfor %}" + END + "{% endif %}"
    "{% for m in messages %}" + HEADER + "{{ m.content }}" + CALLS + END + "{% endfor %}" + ASK
)
WITH_BOS = "<s>" + PLAIN
MARKED = PLAIN.replace(
    HEADER + "{{ m.content }}" + CALLS + "</s>",
    HEADER + "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}" + CALLS + "</s>"
    "{% endgeneration %}{% else %}{{ m.content }}</s>{% endif %}",
)
U, A, U2, A2 = (
    {"role": role, "content": content}
    for role, content in [
        ("user", "hi"),
        ("assistant", "yes"),
        ("user", "bye"),
        ("assistant", "ok"),
    ]
)
S = {"role": "system", "content": "be"}
CALL = {"role": "assistant", "tool_calls": [{"function": {"name": "add"}}]}
RESULT = {"role": "tool", "content": "2"}
FREE, HELD = {"weight": 1}, {"weight": 0}
COMPLETION, ASSISTANT, ALL = ({"loss_on": each} for each in ("completion", "assistant", "all"))


@pytest.mark.parametrize(
    ("messages", "others", "expected"),
    [
        ([U, A], COMPLETION, "U:hi</s>\nA:[yes</s>]"),
        ([U, A, U2, A2], COMPLETION, "U:hi</s>\nA:yes</s>\nU:bye</s>\nA:[ok</s>]"),
        ([U, A, U2, A2], ASSISTANT, "U:hi</s>\nA:[yes</s>]\nU:bye</s>\nA:[ok</s>]"),
        ([U, A, U2, A2], ALL, "[U:hi</s>\nA:yes</s>\nU:bye</s>\nA:ok</s>]"),
        ([S, U, A], COMPLETION, "S:be</s>\nU:hi</s>\nA:[yes</s>]"),
        ([U, A], COMPLETION | {"system": "be"}, "S:be</s>\nU:hi</s>\nA:[yes</s>]"),
        # Weights: 0 keeps a message from bearing loss, and says nothing else.
        ([U, A | HELD, U2, A2], ASSISTANT, "U:hi</s>\nA:yes</s>\nU:bye</s>\nA:[ok</s>]"),
        ([U, A, U2, A2 | HELD], ASSISTANT, "U:hi</s>\nA:[yes</s>]"),
        ([U, A | FREE, U2, A2 | HELD], ASSISTANT, "U:hi</s>\nA:[yes</s>]"),
        ([U | HELD, A | HELD, U2, A2 | {"weight": 1.0}], COMPLETION,
         "U:hi</s>\nA:yes</s>\nU:bye</s>\nA:[ok</s>]"),
        ([U, A | HELD, U2, A2], ALL, "[U:hi</s>\nA:]yes</s>[\nU:bye</s>\nA:ok</s>]"),
        ([U, A, U2, A2 | HELD], ALL, "[U:hi</s>\nA:yes</s>\nU:bye</s>\nA:]"),
        ([U | HELD, A], ALL, "U:hi</s>[\nA:yes</s>]"),
        ([U, A, U2 | HELD, A2], ALL, "[U:hi</s>\nA:yes</s>\n]U:bye</s>[\nA:ok</s>]"),
        # Tools, and replies that are calls of them.
        ([U, CALL], COMPLETION, "U:hi</s>\nA:[(add)</s>]"),
        ([U, CALL, RESULT, A], ASSISTANT, "U:hi</s>\nA:[(add)</s>]\nT:2</s>\nA:[yes</s>]"),
        ([U, CALL | HELD, RESULT, A], ASSISTANT, "U:hi</s>\nA:(add)</s>\nT:2</s>\nA:[yes</s>]"),
        ([U, CALL, RESULT, A], COMPLETION | {"tools": [{"name": "add"}]},
         "T:add</s>\nU:hi</s>\nA:(add)</s>\nT:2</s>\nA:[yes</s>]"),
        # A control token that a user typed is one; it teaches no reply to end.
        ([U | {"content": "h</s>i"}, A], COMPLETION, "U:h</s>i</s>\nA:[yes</s>]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("template", [PLAIN, WITH_BOS, MARKED], ids=["plain", "bos", "marked"])
def test_chats(
    kind: dict[str, bool],
    template: str,
    messages: list[dict[str, Any]],
    others: dict[str, Any],
    expected: str,
) -> None:
    others = dict(others)
    row = {"messages": messages} | ({"tools": others.pop("tools")} if "tools" in others else {})
    if template is WITH_BOS:  # the first token, which loss_on all cannot learn either
        expected = f"[<s>{expected[1:]}" if expected.startswith("[") else f"<s>{expected}"
    assert made(kind, row, template, **others) == by_hand(expected, kind, chat=True)


CHOICES = {"prompt": "hi", "choices": ["yes", "no way"], "answer": 1, "group": "g"}


@pytest.mark.parametrize(
    ("shape", "data", "expected"),
    [
        ("text", {}, ["Question: hi\nAnswer:[ yes]", "Question: hi\nAnswer:[ no way]"]),
        ("text", {"template": "<s>{prompt}</s>"}, ["<s>hi</s>[ yes]", "<s>hi</s>[ no way]"]),
        ("chat", {}, ["U:hi</s>\nA:[yes]", "U:hi</s>\nA:[no way]"]),
        ("chat", {"system": "x"}, ["S:x</s>\nU:hi</s>\nA:[yes]", "S:x</s>\nU:hi</s>\nA:[no way]"]),
    ],
)  # fmt: skip
def test_questions(
    kind: dict[str, bool], shape: Any, data: dict[str, Any], expected: list[str]
) -> None:
    """What is scored of each choice: its text, without what ends it."""
    tokenizer = make_tokenizer(**kind)
    tokenizer.chat_template = PLAIN
    source = Source("own.jsonl", [CHOICES], "line", [1], None)
    maker = Maker(DataSpec(**data), tokenizer, None, lambda: None)
    table = choice_table(maker, Notes(source), shape)
    for ids, num_scored, each in zip(table.input_ids, table.num_scored, expected, strict=True):
        wanted, labels = by_hand(each, kind, chat=shape == "chat")
        assert ids.tolist() == wanted
        assert num_scored == sum(label != -100 for label in labels)
    # A row of chats or texts that is the question with its right answer is recognised.
    row = {"prompt": "hi", "completion": "no way"}
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "no way"}]
    row = {"messages": turns} if shape == "chat" else row
    trained = made(kind, row, PLAIN, **data)[0]
    assert {bytes_of(trained)} == table.answer_keys(EOS)


def bytes_of(ids: list[int]) -> bytes:
    import numpy as np

    return np.array(ids, dtype=np.int32).tobytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("shape", ["text", "chat"])
def test_trl_labels_the_same(tiny_model: Any, tmp_path: Any, shape: str) -> None:
    """Plain SFTTrainer, where it has an answer: prompt and completion as text, with EOS once, and
    replies that the template marks."""
    import datasets
    from transformers import AutoModelForCausalLM
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    kind = {"bos": True} if shape == "text" else {}
    tokenizer = copy.deepcopy(make_tokenizer(**kind))
    tokenizer.pad_token = "</s>"
    tokenizer.chat_template = MARKED
    if shape == "text":
        rows = [PAIR, {"prompt": "x y", "completion": "z</s>"}]
        theirs = [
            {"prompt": row["prompt"] + ":", "completion": " " + row["completion"]} for row in rows
        ]
        ours = [made(kind, row, MARKED, template="{prompt}:") for row in rows]
    else:
        rows = theirs = [{"messages": [U, A, U2, A2]}, {"messages": [S, U, A]}]
        ours = [made(kind, row, MARKED, loss_on="assistant") for row in rows]
    args = SFTConfig(
        str(tmp_path), use_cpu=True, report_to="none", assistant_only_loss=shape == "chat",
        gradient_checkpointing=False, max_length=None, bf16=False,
    )  # fmt: skip
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(tiny_model),
        args,
        train_dataset=datasets.Dataset.from_list(theirs),
        processing_class=tokenizer,
    )
    prepared: Any = trainer.train_dataset
    for (ids, labels), row in zip(ours, prepared, strict=True):
        # They keep what the template puts behind the last reply, where it changes nothing.
        assert row["input_ids"][: len(ids)] == ids
        assert row["labels"][1 : len(ids)] == labels[1:]  # the first one is never predicted
        assert set(row["labels"][len(ids) :]) <= {-100}
