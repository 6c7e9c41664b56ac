"""Study files as strangers write them: one sentence each, in bounded time, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.config.load import load_study
from sweep.config.yaml_text import MOST_BYTES, parse, read_mapping
from trainer.contract.spec import UserError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join(['*' + before] * 10)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: !!bool abc", "line 1: not valid YAML: the tag tag:yaml.org,2002:bool is not taken"),
        ("a: 1\nb: !!int ''", "line 2: not valid YAML: the tag"),
        ("a: !!timestamp x", "the tag"),
        ("a: !!binary abc", "the tag"),
        ("a: !!python/object/apply:os.system [ls]", "the tag"),
        ("a: !mine x", "the tag"),
        ("!!set {a, b}", "the tag"),
        ("a: &a [*a]", "*a stands inside of what it names"),
        ("a: &a {b: &b {c: *a}}", "*a stands inside"),
        (BOMB, "more than 100,000 values, aliases written out"),
        (MERGE_BOMB, "more than 100,000 values"),
        ("a: " + "1" * 5000, "is malformed or out of range"),
        ("a: 1" + "0" * 400, "is malformed or out of range"),
        ("a: 0x" + "f" * 20, "is malformed or out of range"),
        ("a: 0b_", "is malformed or out of range"),
        ("a: 0x_", "is malformed or out of range"),
        ("a: ._e5", "is malformed or out of range"),
        ("a: " + "[" * 30 + "]" * 30, "nested more than 20 deep"),
        ("a: " + "{b: " * 30 + "}" * 30, "nested more than 20 deep"),
        ("[" * 100_000, "nested more than 20 deep"),
        ("1: x", "key '1' is not text; put it in quotes"),
        ("~: x", "is not text"),
        ("yes: x", "key 'yes' is not text"),
        ("1.5: x", "is not text"),
        ("? [a, b]\n: x", "key that is a collection is not text"),
        ("a: {b: 1, b: 2}", "key 'b' is given twice"),
        ("a: *nowhere", "undefined alias"),
        ("a: 1\n---\nb: 2", "another document"),
        ('a: "\\ud800"', "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        ("a: \ud800", "not valid YAML"),
        ("a: 'b", "line 1: not valid YAML"),
        ("<<: x", "not valid YAML"),
    ],
)
def test_what_no_study_holds_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, "x.yaml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("x.yaml") and len(str(caught.value)) < 500


def test_what_people_write_is_taken() -> None:
    text = "a: &a {rate: 1e-5, n: 1_000}\n"
    text += "b: {<<: *a, n: 2}\nc: *a\nd: 2024-01-01\ne: !!str 5\nf: [.5, 1e5, 0x10, ~]\ng: '1'\n"
    assert parse(text, "x") == {
        "a": {"rate": 1e-5, "n": 1000},
        "b": {"rate": 1e-5, "n": 2},
        "c": {"rate": 1e-5, "n": 1000},
        "d": "2024-01-01",
        "e": "5",
        "f": [0.5, 1e5, 16, None],
        "g": "1",
    }


def test_a_file_is_read_so_far_and_no_further(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("# " + "x" * MOST_BYTES)
    with pytest.raises(UserError, match="over 1 MB"):
        read_mapping(file)
    file.write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read_mapping(file) == {"name": "x"}


@pytest.mark.slow
def test_of_very_many_problems_the_first_are_said(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("".join(f"key{i}: 1\n" for i in range(30_000)))
    with pytest.raises(UserError) as caught:
        load_study(file)
    lines = str(caught.value).splitlines()
    assert len(lines) < 30
    assert any(line.startswith("and: 29,9") for line in lines)


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.train=x", "data=5"],
        ["data.train=x", "data={}"],
        ["a." * 10_000 + "b=1"],
        ["run.seed=" + "9" * 5000],
        ["name=" + "x" * 100_000],
        ["model.base=" + "x/" * 50_000],
        ['model.base="~a\\0b"'],
        ["data.phases=[" + "x.jsonl, " * 5_000 + "]"],
        ["run=!!bool abc"],
        ["model.lora.targets=[" + "a, " * 5_000 + "]"],
        ["run.trials=\udcff"],
        ["search.space.learning_rate={choices: [" + "1, " * 5_000 + "2]}"],
        ["search.space.learning_rate={low: 1, high: " + "9" * 400 + "}"],
    ],
)
def test_what_is_set_is_one_sentence_too(overrides: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_study("quickstart", overrides)
    assert len(str(caught.value)) < 20_000
