"""What is read of a file, whatever wrote it, and in which words the rest is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract.spec import UserError
from trainer.contract.strict_json import MAX_DEPTH, Malformed, parse
from trainer.data.rows import Source, read_source

MARK = "\ufeff".encode()
ROW = {"prompt": "a", "completion": "b"}
LINE = json.dumps(ROW).encode()


def read(folder: Path, content: bytes, suffix: str = ".jsonl") -> Source:
    (folder / f"own{suffix}").write_bytes(content)
    return read_source(str(folder / f"own{suffix}"), "train", folder)


@pytest.mark.parametrize(
    ("suffix", "content", "numbers"),
    [
        (".jsonl", MARK + LINE + b"\n" + LINE, [1, 2]),
        (".jsonl", LINE + b"\n" + MARK + LINE, [1, 2]),  # two files, one behind the other
        (".jsonl", LINE + b"\r\n\r\n" + LINE + b"\n" + LINE + b"\r" + LINE, [1, 3, 4, 5]),
        (".jsonl", b" " + LINE + b"\t\n", [1]),
        (".json", MARK + b"[" + LINE + b",\n" + LINE + b"]\n", [1, 2]),
        (".csv", MARK + b"prompt,completion\r\na,b\r\n", [2]),
        (".csv", b"prompt,completion\na,b\n\na,b\r\na,b", [2, 4, 5]),
    ],
)
def test_marks_and_line_ends_are_no_text(
    tmp_path: Path, suffix: str, content: bytes, numbers: list[int]
) -> None:
    found = read(tmp_path, content, suffix)
    assert found.rows == [ROW] * len(numbers)
    assert found.numbers == numbers


def test_a_csv_row_has_the_line_it_begins_on_and_cells_of_any_length(tmp_path: Path) -> None:
    long = "x" * 200_000
    found = read(
        tmp_path, f'prompt,completion\n"two\nlines",{long}\nc,"d ""e"""\n'.encode(), ".csv"
    )
    assert found.numbers == [2, 4]
    assert [row["completion"] for row in found.rows] == [long, 'd "e"']
    assert found.place(1) == f"{tmp_path / 'own.csv'}, line 4"
    assert found.short_place(1) == "own.csv, line 4"


@pytest.mark.parametrize(
    ("suffix", "content", "said"),
    [
        (".jsonl", b"", "own.jsonl: no rows"),
        (".jsonl", MARK + b" \n\n", "own.jsonl: no rows"),
        (".json", b"", "own.json: no rows"),
        (".json", b"[ ]", "own.json: no rows"),
        (".csv", b"", "own.csv: no rows"),
        (".csv", b"prompt,completion\n", "own.csv: no rows"),
        (".jsonl", b"[" + LINE + b"]", "line 1: it begins with a list, .* name .* .json"),
        (".jsonl", b"[\n" + LINE + b"\n]", "line 1: it begins with a list, .* name .* .json"),
        (".jsonl", b'{\n"prompt": "a"\n}', "line 1: malformed JSON .*one object on each line"),
        (".jsonl", LINE + LINE, r"line 1: malformed JSON \(more follows after the value"),
        (".jsonl", LINE + b"\n7", "line 2: 7 is not an object"),
        (
            ".jsonl",
            b"7\n" + LINE + b"\n8",
            "line 1: 7 is not an object .*; line 3: 8 is not an object",
        ),
        (".jsonl", b"{\n" + LINE + b"\n}}\n", "line 1: malformed .*; line 3: malformed [^;]*$"),
        (
            ".jsonl",
            LINE + b"\n{" * 5,
            "own.jsonl, line 2: malformed .*; line 3: .*; line 4: .*; 2 more such lines$",
        ),
        (
            ".csv",
            b"a,b\n1\n1,2\n1,2,3\n",
            "own.csv, line 2: 1 cells, and the header has 2; line 4: 3 cells, and the header has 2",
        ),
        (".json", LINE + b"\n" + LINE, "own.json: .* one object per line .jsonl"),
        (".json", LINE, "own.json: .* one list of objects, and this one an object with the keys"),
        (".json", b"7", "own.json: a .json file holds one list of objects"),
        (".json", b"[" + LINE + b",\n7]", "own.json, row 2: 7 is not an object"),
        (".json", b"[" + LINE + b"\n" + LINE + b"]", "own.json, line 2: .*Expecting ','"),
        (".json", b"[" + LINE + b",\n]", "own.json, line 2: malformed JSON"),
        (".json", b"[" + LINE + b",", "own.json, line 1: malformed JSON"),
        (".json", b"[" + LINE + b"] 1", "own.json, line 1: .*more follows after the list"),
        (".jsonl", LINE + b'\n{"prompt": "\xff"}', "line 2: not UTF-8 text .byte 13 of the line"),
        (".csv", b"prompt,completion\na,b\na,\xe9\n", "own.csv, line 3: not UTF-8 text"),
        (".json", b'[{"prompt":\n"\xff"}]', "own.json, line 2: not UTF-8 text"),
        (".jsonl", "\ufeff{}".encode("utf-16-le"), "line 1: not UTF-8 but UTF-16"),
        (".csv", "\ufeffa".encode("utf-16-be"), "own.csv, line 1: not UTF-8 but UTF-16"),
        (".jsonl", LINE + b'\n{"prompt": "\x00"}', "line 2: malformed JSON .Invalid control"),
        (".jsonl", b'{"prompt": "hi \\ud83d"}', r"line 1: .*\\ud83d is a lone surrogate"),
        (".jsonl", b'{"a": [{"\\uDE00": 1}]}', r"line 1: .*\\ude00 is a lone surrogate"),
        (".json", b'[\n{"a": "\\ud83d"}]', r"own.json, line 2: .*lone surrogate"),
        (".jsonl", b'{"a": 1, "a": 2}', "line 1: .*the key 'a' appears twice in one object"),
        (".jsonl", b'{"m": [{"a": 1, "a": 1}]}', "line 1: .*the key 'a' appears twice"),
        (".json", b'[{},\n{"a": 1, "a": 2}]', "own.json, line 2: .*the key 'a' appears twice"),
        (
            ".csv",
            b"prompt,prompt\na,b\n",
            "own.csv, line 1: the column 'prompt' appears twice",
        ),
        (".csv", b"a,b\n1,2\n1\n", "own.csv, line 3: 1 cells, and the header has 2"),
        (".csv", b"prompt;completion\na,b\n", "own.csv, line 2: .*commas separate.*not semicolons"),
        (".csv", b'a,b\n1,2\n"1,2\n1,2\n', "own.csv, line 3: malformed CSV"),
        (".csv", b'a,b\n"1"x,2\n', "own.csv, line 2: malformed CSV"),
        (".jsonl", b'{"a": ' + b"9" * 5000 + b"}", "line 1: .*too many digits"),
        (".jsonl", b"[" * 100_000, "line 1: it begins with a list"),
        (".jsonl", LINE + b"\n" + b'{"a":' * 100_000, "line 2: .*more than 100 deep"),
        (".jsonl", b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "line 1: .*more than 100 deep"),
        (".json", b"[" * 100_000, "own.json, line 1: .*more than 100 deep"),
        (".parquet", b"PAR1", "own.parquet: cannot be read as parquet"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(
    tmp_path: Path, suffix: str, content: bytes, said: str
) -> None:
    with pytest.raises(UserError, match=f"(?s){said}"):
        read(tmp_path, content, suffix)


def test_parquet_gives_objects_keys_that_are_not_theirs(tmp_path: Path) -> None:
    """A column of objects has all keys of all objects; null is as good as not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    messages = [{"role": "user", "content": "a", "calls": None}, {"role": "x", "calls": [{"n": 1}]}]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"messages": [messages], "prompt": [None]}), path)
    (row,) = read_source(str(path), "train", tmp_path).rows
    assert row == {"messages": [{"role": "user", "content": "a"}, messages[1]], "prompt": None}


@pytest.mark.parametrize("kind", ["twice", "bytes"])
def test_parquet_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    texts = pa.array(["a", "b"])
    if kind == "twice":
        pq.write_table(pa.Table.from_arrays([texts, texts], names=["prompt", "prompt"]), path)
        said = "rows.parquet: the column 'prompt' appears twice"
    else:
        raw = pa.array([b"a", b"\xff"], pa.binary()).view(pa.string())
        pq.write_table(pa.table({"prompt": raw}), path)
        said = "rows.parquet, row 2: not UTF-8 text"
    with pytest.raises(UserError, match=said):
        read_source(str(path), "train", tmp_path)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.slow
@given(json_values)
@settings(max_examples=100, deadline=None)
def test_parse_takes_what_json_writes(value: Any) -> None:
    for ascii_only in (True, False):
        assert parse(json.dumps(value, ensure_ascii=ascii_only)) == value


@given(st.text(st.sampled_from('{}[]",:\\ud8 0a1e.-\n'), max_size=40))
@settings(max_examples=300, deadline=None)
def test_parse_raises_nothing_but_malformed(text: str) -> None:
    try:
        value = parse(text)
    except Malformed as error:
        assert 0 <= error.position <= len(text)
    else:
        assert value == json.loads(text)


def test_as_deep_as_allowed() -> None:
    parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(Malformed, match="deep"):
        parse("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2))
