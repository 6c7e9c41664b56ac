"""What is read, how it is rendered and tokenised, and what is refused in which words."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.contract.spec import (
    DataSpec,
    Failed,
    LoraSpec,
    ModelSpec,
    Prepared,
    PrepareSpec,
    UserError,
)
from trainer.data.render import question_shape
from trainer.data.store import VERSION, list_column, open_table, read_prepared
from trainer.model.load import check_model
from trainer.worker import run_prepare

Drive = Callable[..., list[Any]]


@pytest.fixture
def spec(tiny_model: Path, sums: dict[str, Path], tmp_path: Path) -> PrepareSpec:
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    return PrepareSpec(
        ModelSpec(str(tiny_model), dtype="float32"),
        DataSpec(
            str(sums["train"]),
            eval=str(sums["eval"]),
            choices=str(sums["choices"]),
            max_length=64,
        ),
        str(out_dir),
        ("eval_loss",),
        measure_base=False,
        num_threads=1,
    )


def with_train(
    spec: PrepareSpec, rows: list[Any] | str, suffix: str = ".jsonl", **data: Any
) -> Any:
    """The spec with these rows as training data, and nothing else."""
    path = Path(spec.out_dir).parent / f"own{suffix}"
    path.write_text(rows if isinstance(rows, str) else "\n".join(map(json.dumps, rows)))
    own = replace(spec.data, train=str(path), eval=None, choices=None, **data)
    return replace(spec, data=own, metrics=())


def prepared(drive: Drive, spec: PrepareSpec) -> dict[str, Any]:
    last = drive(run_prepare, spec)[-1]
    assert isinstance(last, Prepared), last
    return dict(last.facts)


def refusal(drive: Drive, spec: PrepareSpec) -> str:
    last = drive(run_prepare, spec)[-1]
    assert isinstance(last, Failed) and last.kind == "bad input", last
    return last.message


def texts(spec: PrepareSpec, name: str = "train") -> list[tuple[str, str]]:
    """(without loss, with loss) of each prepared row, as text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(spec.out_dir) / "tokenizer")
    table = open_table(Path(spec.out_dir) / name)
    pairs = zip(list_column(table, "input_ids"), list_column(table, "labels"), strict=True)
    return [
        (tokenizer.decode(ids[labels == -100]), tokenizer.decode(ids[labels != -100]))
        for ids, labels in pairs
    ]


def test_the_facts(drive: Drive, spec: PrepareSpec, tiny_model: Path) -> None:
    full = replace(spec, metrics=("eval_loss", "choice_accuracy"), measure_base=True)
    facts = prepared(drive, full)
    assert facts == json.loads((Path(spec.out_dir) / "prepared.json").read_text())
    assert facts["base"] == str(tiny_model)
    assert facts["num_params"] == 28864
    assert facts["num_adapter"] == facts["num_saved"] == 0
    assert facts["train"]["rows"] == facts["train"]["rows_read"] == 100
    ids = list_column(open_table(Path(spec.out_dir) / "train"), "input_ids")
    assert facts["train"]["input_tokens"] == sum(map(len, ids))
    assert facts["train"]["longest"] == max(map(len, ids))
    assert facts["choices"]["questions"] == 20
    assert sum(facts["choices"]["groups"].values()) == 20
    assert re.fullmatch("[0-9a-f]{64}", facts["sources"]["eval"]["sha256"])
    base = facts["base_measurements"]
    assert base["eval_loss"]["value"] == pytest.approx(np.log(257), abs=0.3)
    assert base["eval_loss"]["num"] == facts["eval"]["loss_tokens"]
    assert 0 <= base["choice_accuracy"]["value"] <= 1
    assert facts["machine"]["cores"] >= 1 and facts["machine"]["memory_gib"] > 0
    assert not (Path(spec.out_dir) / ".cache").exists()


def test_rows_in_train_and_eval_are_counted(
    drive: Drive, spec: PrepareSpec, sums: dict[str, Path]
) -> None:
    same = replace(spec.data, eval=str(sums["train"]))
    facts = prepared(drive, replace(spec, data=same))
    assert facts["duplicates"] == 100 and facts["duplicates_choices"] == 0
    assert facts["repeated"] == 0


def test_rows_that_are_questions_are_counted(
    drive: Drive, spec: PrepareSpec, sums: dict[str, Path]
) -> None:
    """A prompt with its right answer; wrong choices give nothing away."""
    lines = sums["choices"].read_text().splitlines()
    same = replace(spec.data, train=str(sums["choices"]))
    facts = prepared(drive, replace(spec, data=same))
    assert facts["duplicates_choices"] == len(lines) == 20
    assert facts["repeated"] == 20 - len({json.loads(line)["prompt"] for line in lines})


@pytest.mark.parametrize(
    ("row", "data", "expected"),
    [
        (
            {"prompt": "1+1", "completion": "2"},
            {},
            ("Question: 1+1\nAnswer:", " 2<|end|>"),
        ),
        (
            {"question": "1+1", "answer": "2"},
            {"template": "Q: {prompt}\nA:"},
            ("Q: 1+1\nA:", " 2<|end|>"),
        ),
        (
            {"prompt": "{x}", "completion": " 2"},  # brings its own space; braces are text
            {"template": "{prompt} ="},
            ("{x} =", " 2<|end|>"),
        ),
        (
            {"instruction": "Add.", "input": "1 1", "output": "2"},
            {},
            ("Question: Add.\n\n1 1\nAnswer:", " 2<|end|>"),
        ),
        (
            {"instruction": "Go.", "input": "", "output": "ok"},
            {"format": "alpaca"},
            ("Question: Go.\nAnswer:", " ok<|end|>"),
        ),
        (
            {"prompt": "1+1", "choices": ["1", "2"], "answer": 1},
            {},
            ("Question: 1+1\nAnswer:", " 2<|end|>"),
        ),
        (
            {"prompt": "a", "completion": "b"},
            {"loss_on": "all"},
            ("Q", "uestion: a\nAnswer: b<|end|>"),  # nothing stands before the first token
        ),
        (
            {"prompt": "é", "completion": "ü"},
            {"template": "{prompt}"},
            ("é", " ü<|end|>"),
        ),
    ],
)
def test_rendering(
    drive: Drive,
    spec: PrepareSpec,
    row: dict[str, Any],
    data: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    own = with_train(spec, [row], **data)
    prepared(drive, own)
    assert texts(own) == [expected]


CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{{ '\\n' }}{% endfor %}"
CHAT += "{% if add_generation_prompt %}<|assistant|>{% endif %}"
TALK = {
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "bye"},
        {"role": "assistant", "content": "so long"},
    ]
}
PAIR = {"prompt": "1+1", "completion": "2"}


@pytest.fixture
def template(tmp_path: Path) -> str:
    (tmp_path / "own.jinja").write_text(CHAT)
    return str(tmp_path / "own.jinja")


def test_chats_by_a_template_file(drive: Drive, spec: PrepareSpec, template: str) -> None:
    """The template goes with the tokenizer, and so with the models that are saved."""
    own = with_train(spec, [TALK], template=template, max_length=200)
    assert prepared(drive, own)["tokenizer"]["chat_template"]
    before = "<|user|>hi<|end|>\n<|assistant|>yes?<|end|>\n<|user|>bye<|end|>\n<|assistant|>"
    assert texts(own) == [(before, "so long<|end|>")]
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(Path(own.out_dir) / "tokenizer")
    assert saved.chat_template == CHAT


def test_chats_by_the_models_own_template(
    drive: Drive, spec: PrepareSpec, tiny_model: Path, tmp_path: Path
) -> None:
    own = with_train(spec, [TALK], loss_on="assistant", system="be kind", max_length=200)
    assert "has no chat template" in refusal(drive, own)
    shutil.copytree(tiny_model, tmp_path / "chatty")
    (tmp_path / "chatty" / "chat_template.jinja").write_text(CHAT)
    own = replace(own, model=replace(own.model, base=str(tmp_path / "chatty")))
    prepared(drive, own)
    assert texts(own) == [
        (
            "<|system|>be kind<|end|>\n<|user|>hi<|end|>\n<|assistant|>"
            "\n<|user|>bye<|end|>\n<|assistant|>",
            "yes?<|end|>so long<|end|>",
        )
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"loss_on": "assistant"}, "prompt-completion; completion is the same there"),
        ({"system": "be kind"}, "data.system is for chats, and the rows of .* prompt-completion"),
        ({"template": "own"}, "own.jinja is a chat template, and the rows of .* not messages"),
    ],
)
def test_what_only_chats_can_have(
    drive: Drive, spec: PrepareSpec, template: str, data: dict[str, Any], said: str
) -> None:
    data = data | ({"template": template} if "template" in data else {})
    assert re.search(said, refusal(drive, with_train(spec, [PAIR], **data)))


def test_bad_chats_are_named_by_their_line(drive: Drive, spec: PrepareSpec, template: str) -> None:
    wrong = {"messages": TALK["messages"][:1] * 2}
    said = refusal(drive, with_train(spec, [TALK, wrong, wrong], template=template))
    assert re.search(r"own.jsonl, line 2: .* not by 'assistant'; 1 more such row \(", said)
    missing = with_train(spec, [TALK], template=template + ".jinja")
    assert "data.template" in refusal(drive, missing) and "no such file" in refusal(drive, missing)


def with_phases(spec: PrepareSpec, *phases: list[Any], **data: Any) -> PrepareSpec:
    """The spec with these rows as phases, and its own eval data."""
    paths: list[str] = []
    for i, rows in enumerate(phases, start=1):
        path = Path(spec.out_dir).parent / f"part{i}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        paths.append(str(path))
    own = replace(spec.data, train=None, phases=tuple(paths), choices=None, **data)
    return replace(spec, data=own)


def test_phases_make_one_table(drive: Drive, spec: PrepareSpec, template: str) -> None:
    """Each in its own format, in their order, with a column that says which."""
    chats = with_phases(spec, [TALK], template=template, max_length=200)
    other = {"question": "1+2", "answer": "3"}
    mixed = with_phases(spec, [other] * 3, [PAIR, PAIR | {"prompt": "x" * 80}], max_length=64)
    facts = prepared(drive, mixed)
    table = open_table(Path(spec.out_dir) / "train")
    assert table["phase"].to_pylist() == [1, 1, 1, 2]
    assert table.schema.field("phase").type == "int32"
    assert [reply for _, reply in texts(mixed)] == [" 3<|end|>"] * 3 + [" 2<|end|>"]
    one, two = facts["phases"]
    assert (one["path"], one["rows"]) == (mixed.data.phases[0], 3)
    assert (two["rows"], two["rows_read"], two["dropped_no_completion"]) == (1, 2, 1)
    for key in ("rows", "rows_read", "input_tokens", "loss_tokens", "dropped_no_completion"):
        assert facts["train"][key] == one[key] + two[key]
    assert facts["repeated"] == 2
    assert set(facts["sources"]) == {"phase 1", "phase 2", "eval"}
    assert facts["sources"]["phase 2"]["path"] == two["path"]
    assert "eval.jsonl are prompt-completion, not messages" in refusal(drive, chats)


def test_pairs_may_stand_beside_chats(
    drive: Drive, spec: PrepareSpec, tiny_model: Path, tmp_path: Path
) -> None:
    """loss_on assistant says the same as completion for them."""
    shutil.copytree(tiny_model, tmp_path / "chatty")
    (tmp_path / "chatty" / "chat_template.jinja").write_text(CHAT)
    own = with_phases(spec, [PAIR], [TALK], loss_on="assistant", max_length=200)
    prepared(drive, replace(own, model=replace(own.model, base=str(tmp_path / "chatty"))))
    assert [reply for _, reply in texts(own)] == [" 2<|end|>", "yes?<|end|>so long<|end|>"]


def test_train_alone_is_no_phase(drive: Drive, spec: PrepareSpec) -> None:
    assert prepared(drive, spec)["phases"] is None
    assert set(open_table(Path(spec.out_dir) / "train")["phase"].to_pylist()) == {0}


def test_mistakes_in_several_phases_are_told_together(drive: Drive, spec: PrepareSpec) -> None:
    said = refusal(drive, with_phases(spec, [{"text": "a"}], [PAIR], [{"prompt": "a"}]))
    assert re.fullmatch(".*part1.jsonl, line 1: columns .*\n.*part3.jsonl, line 1: .*", said)
    said = refusal(drive, with_phases(spec, [PAIR, {"prompt": "a"}], [PAIR], [PAIR, {}]))
    assert re.fullmatch(".*part1.jsonl, line 2: .*\n.*part3.jsonl, line 2: .*", said)


@pytest.mark.parametrize("data", [{"train": None}, {"phases": ("a.jsonl",)}])
def test_train_or_phases(drive: Drive, spec: PrepareSpec, data: dict[str, Any]) -> None:
    said = refusal(drive, replace(spec, data=replace(spec.data, **data)))
    assert "exactly one of train and phases" in said


def test_questions_are_asked_in_the_shape_that_is_trained(
    drive: Drive, spec: PrepareSpec, sums: dict[str, Path], template: str
) -> None:
    chats = with_train(spec, [TALK], template=template, max_length=200)
    asked = replace(chats, data=replace(chats.data, choices=str(sums["choices"])))
    facts = prepared(drive, asked)
    assert facts["shapes"] == {"train": "chat", "choices": "chat"}
    table = open_table(Path(spec.out_dir) / "choices")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(spec.out_dir) / "tokenizer")
    row, num_scored = table["input_ids"][0].as_py(), table["num_scored"][0].as_py()
    first = json.loads(sums["choices"].read_text().splitlines()[0])
    assert tokenizer.decode(row[:-num_scored]) == (
        f"<|user|>{first['prompt']}<|end|>\n<|assistant|>"
    )
    assert tokenizer.decode(row[-num_scored:]) == first["choices"][0]


@pytest.mark.parametrize(
    ("phases", "shape", "expected"),
    [
        (([PAIR], [PAIR]), "auto", "text"),
        (([TALK], [PAIR]), "auto", "text"),
        (([TALK], [TALK]), "auto", "chat"),
        (([TALK], [TALK]), "text", "text"),
        (([PAIR], [PAIR]), "chat", "chat"),
    ],
)
def test_the_shape_of_questions(phases: Any, shape: str, expected: str) -> None:
    formats = {
        f"phase {i}": "messages" if "messages" in rows[0] else "prompt-completion"
        for i, rows in enumerate(phases, start=1)
    }
    assert question_shape(shape, formats | {"eval": "messages"}) == expected


def test_questions_as_chats_need_a_chat_template(drive: Drive, spec: PrepareSpec) -> None:
    asked = replace(spec, data=replace(spec.data, shape="chat"))
    assert "has no chat template" in refusal(drive, asked)


def test_what_became_of_rows_is_counted_with_the_first_line(
    drive: Drive, spec: PrepareSpec, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        PAIR,
        PAIR | {"completion": "b" * 100},  # cut
        PAIR | {"prompt": "a" * 100},  # nothing is left of its completion
        PAIR | {"id": 1},
        PAIR | {"prompt": "9+9"},
    ]
    (tmp_path / "eval.jsonl").write_text(json.dumps(rows[4]))
    own = with_train(spec, rows)
    own = replace(own, data=replace(own.data, eval=str(tmp_path / "eval.jsonl")))
    facts = prepared(drive, own)
    assert {each["what"]: (each["rows"], each["first"]) for each in facts["notes"]["train"]} == {
        "column 'id' is not read": (1, "own.jsonl, line 4"),
        "cut at data.max_length": (1, "own.jsonl, line 2"),
        "dropped, nothing of the completion is left within data.max_length": (
            1,
            "own.jsonl, line 3",
        ),
        "the same as an earlier row of train": (1, "own.jsonl, line 4"),
        "of train, also in eval": (1, "own.jsonl, line 5"),
    }
    assert "eval" not in facts["notes"]


def test_data_of_an_older_version_are_read(data_dir: Path, tmp_path: Path) -> None:
    """Its tables are laid out the same, so that a study goes on."""
    facts = json.loads((data_dir / "prepared.json").read_text())
    for version, is_read in ((VERSION, True), (2, True), (1, False), (VERSION + 1, False)):
        (tmp_path / "prepared.json").write_text(json.dumps(facts | {"version": version}))
        if is_read:
            assert read_prepared(tmp_path)["version"] == version
        else:
            with pytest.raises(UserError, match=f"version {version}, this program reads"):
                read_prepared(tmp_path)


def test_truncation_keeps_the_start_and_is_counted(drive: Drive, spec: PrepareSpec) -> None:
    rows = [
        {"prompt": "a", "completion": "b" * 100},  # cut
        {"prompt": "a" * 100, "completion": "b"},  # nothing is left of its completion
        {"prompt": "a", "completion": "b"},
    ]
    facts = prepared(drive, own := with_train(spec, rows))["train"]
    assert (facts["rows_read"], facts["rows"]) == (3, 2)
    assert (facts["dropped_no_completion"], facts["truncated"], facts["longest"]) == (1, 1, 64)
    assert texts(own)[0][1] == " " + "b" * 44  # and no end of text: the text goes on
    said = refusal(drive, with_train(spec, rows[1:2]))
    assert "none of the 1 rows" in said and "max_length = 64" in said


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".jsonl", '{"prompt": "1+1", "completion": "2"}\n\n'),
        (".json", '[{"prompt": "1+1", "completion": "2"}]'),
        (".csv", "prompt,completion\n1+1,2\n"),
    ],
)
def test_kinds_of_file(drive: Drive, spec: PrepareSpec, suffix: str, content: str) -> None:
    own = with_train(spec, content, suffix)
    prepared(drive, own)
    assert texts(own) == [("Question: 1+1\nAnswer:", " 2<|end|>")]


def test_parquet(drive: Drive, spec: PrepareSpec, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"prompt": ["1+1"], "completion": ["2"]}), path)
    own = replace(spec, data=replace(spec.data, train=str(path)))
    assert prepared(drive, own)["train"]["rows"] == 1


GOOD = '{"prompt": "a", "completion": "b"}\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD + '{"prompt": "a", \n', r"own.jsonl, line 2: malformed JSON"),
        (GOOD + "[1, 2]\n", r"own.jsonl, line 2: \[1, 2\] is not an object"),
        (GOOD + "\n" + '{"prompt": "a"}\n', r"line 3: no column 'completion' \(it has prompt\)"),
        (GOOD + '{"prompt": "a", "completion": " "}\n', "line 2: completion is empty"),
        (GOOD + '{"prompt": "a", "completion": 3}\n', "line 2: completion is int '3', not text"),
        (GOOD + '{"prompt": null, "completion": "x"}\n', "line 2: prompt is NoneType"),
        ('{"text": "a"}\n', "line 1: columns text fit no known format"),
        ("", "no rows"),
        (GOOD * 1 + '{"prompt": "a"}\n' * 9, "; 8 more such rows"),
        ('{"prompt": "a", "choices": ["b"], "answer": 0}\n', "not a list of two texts or more"),
        ('{"prompt": "a", "choices": ["b", "c"], "answer": 2}\n', "an index from 0 to 1"),
    ],
)
def test_bad_rows(drive: Drive, spec: PrepareSpec, content: str, said: str) -> None:
    assert re.search(said, refusal(drive, with_train(spec, content)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"train": "no/such/file.jsonl"}, "no/such/file.jsonl: no such file"),
        ({"train": "./elsewhere"}, "no such file"),
        ({"train": "/"}, "is a folder"),
        ({"template": "Q:"}, "lacks {prompt}"),
        ({"eval": None}, "eval_loss needs data"),
    ],
)
def test_bad_sources(drive: Drive, spec: PrepareSpec, data: dict[str, Any], said: str) -> None:
    assert said in refusal(drive, replace(spec, data=replace(spec.data, **data)))


def test_choices_need_their_columns(drive: Drive, spec: PrepareSpec, sums: dict[str, Path]) -> None:
    wrong = replace(spec, data=replace(spec.data, choices=str(sums["train"])))
    assert "not a list of two texts or more" in refusal(drive, wrong)


def test_all_mistakes_are_told_at_once(drive: Drive, spec: PrepareSpec, tmp_path: Path) -> None:
    data = replace(spec.data, train="missing.jsonl", eval="lost.csv", template="Q:")
    model = replace(spec.model, base=str(tmp_path / "nowhere"))
    said = refusal(drive, replace(spec, data=data, model=model)).splitlines()
    assert not list(Path(spec.out_dir).iterdir())
    assert len(said) == 4
    for name in ("missing.jsonl", "lost.csv", "template", "nowhere"):
        assert any(name in line for line in said)


def without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def no_eos(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def small_vocabulary(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 100}))


def strange(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "abacus"}')


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (without("model.safetensors"), "has no weights (*.safetensors)"),
        (pickled, "safetensors only"),
        (cut, "damaged or incomplete"),
        (without("config.json"), "has no config.json"),
        (without("tokenizer.json", "tokenizer_config.json"), "has no tokenizer"),
        (no_eos, "has no end-of-text token"),
        (small_vocabulary, "the model embeds only 100"),
        (strange, "is not a causal language model"),
    ],
)
def test_bad_models(
    drive: Drive,
    spec: PrepareSpec,
    tiny_model: Path,
    tmp_path: Path,
    harm: Callable[[Path], None],
    said: str,
) -> None:
    folder = tmp_path / "harmed"
    shutil.copytree(tiny_model, folder)
    harm(folder)
    assert said in refusal(drive, replace(spec, model=replace(spec.model, base=str(folder))))


def configured(folder: Path, tiny_model: Path, changes: dict[str, Any]) -> ModelSpec:
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return ModelSpec(str(folder))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"n_layer": 10**9}, "n_layer"),
        ({"num_hidden_layers": 10**400}, "num_hidden_layers"),
        ({"num_hidden_layers": 1e9}, "num_hidden_layers"),
        ({"num_local_experts": 10**9}, "num_local_experts"),
        ({"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers"),
        ({"parts": [{"decoder": {"decoder_layers": 10**9}}]}, "decoder_layers"),
        ({"depths": [2, 10**9]}, "depths"),
    ],
)
def test_a_config_that_would_build_without_end_is_refused(
    tiny_model: Path, tmp_path: Path, changes: dict[str, Any], key: str
) -> None:
    with pytest.raises(UserError, match=rf"config.json: {key} is 1[0e].*; no model has so many"):
        check_model(configured(tmp_path / "model", tiny_model, changes))


def test_sizes_of_layers_and_experts_are_no_counts(tiny_model: Path, tmp_path: Path) -> None:
    """Qwen2-57B-A14B has one of 20,480."""
    sizes = {"shared_expert_intermediate_size": 20_480, "layer_norm_eps": 1e-6, "note": [None]}
    assert check_model(configured(tmp_path / "model", tiny_model, sizes)).num_params


@pytest.mark.parametrize(
    ("weight_map", "said"),
    [
        ({"a": "model.safetensors"}, None),
        ({"a": "gone.safetensors"}, "lacks gone.safetensors"),
        ({"a": "model.safetensors", "b": "../model.safetensors"}, "is damaged"),
        ({"a": "model.safetensors", "b": 7}, "is damaged"),
        (["a"], "is damaged"),
    ],
)
def test_an_index_names_files_beside_it(
    tiny_model: Path, tmp_path: Path, weight_map: Any, said: str | None
) -> None:
    model = configured(tmp_path / "model", tiny_model, {})
    index = Path(model.base) / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    if said is None:
        check_model(model)
    else:
        with pytest.raises(UserError, match=said):
            check_model(model)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"dtype": "float16"}, "float16 needs a CUDA GPU"),
        ({"tuning": "lora", "lora": LoraSpec(targets=("lm_head",))}, "lm_head"),
        ({"tuning": "lora", "lora": LoraSpec(targets=("abacus",))}, "abacus"),
    ],
)
def test_settings_the_model_cannot_have(
    drive: Drive, spec: PrepareSpec, model: dict[str, Any], said: str
) -> None:
    import torch

    if torch.cuda.is_available() and "dtype" in model:
        pytest.skip("this machine has a GPU")
    assert said in refusal(drive, replace(spec, model=replace(spec.model, **model)))


@pytest.mark.slow
def test_an_adapter_trains_fewer(drive: Drive, spec: PrepareSpec) -> None:
    lora = replace(spec, model=replace(spec.model, tuning="lora", lora=LoraSpec(rank=2)))
    facts = prepared(drive, lora)
    assert 0 < facts["num_adapter"] < facts["num_params"]
    assert facts["num_saved"] == 0


UNREACHABLE = """
import multiprocessing, sys
from trainer.contract.spec import *
from trainer.worker import run_prepare
ours, theirs = multiprocessing.Pipe()
data = DataSpec(sys.argv[1] if sys.argv[1] != "hub" else "someone/rows")
run_prepare(PrepareSpec(ModelSpec("someone/model"), data, sys.argv[2], (), False, 1), theirs)
while not isinstance(event := ours.recv(), Failed):
    pass
print(event.kind, event.message)
"""


@pytest.mark.slow
def test_an_unreachable_hub_is_told_with_its_remedy(tmp_path: Path, sums: dict[str, Path]) -> None:
    env = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hf")}
    command = [sys.executable, "-c", UNREACHABLE, "hub", str(tmp_path)]
    began = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60  # imports, and no endless retries
    model, rows = done.stdout.strip().splitlines()
    assert model.startswith("bad input model.base: someone/model is not a local folder")
    assert "hf download someone/model --local-dir DIR" in model and "HF_ENDPOINT" in model
    assert rows.startswith("someone/rows: no such file") and ".jsonl" in rows
