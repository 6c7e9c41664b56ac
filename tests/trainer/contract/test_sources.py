from __future__ import annotations

import pytest

from trainer.contract.sources import hub_revision, may_be_hub_id


@pytest.mark.parametrize(
    ("text", "revision"),
    [
        ("gpt2", None),
        ("org/model-1.5b", None),
        ("org/model@v1", "v1"),
        ("org/model@refs/pr/1", "refs/pr/1"),
        ("org/rows:train", None),
        ("org/rows:config:train", None),
        ("org/rows@v1:train", "v1"),
    ],
)
def test_ids_of_models_and_of_rows(text: str, revision: str | None) -> None:
    assert may_be_hub_id(text)
    assert hub_revision(text) == revision


@pytest.mark.parametrize(
    "text",
    ["./org", "../org/model", "/data/model", "~/model", "a/b/c", "train.jsonl", "org/rows.csv",
     "org/rows.tsv", "chat.jinja", "org/rows:train[:10%]", "org/rows:a:b:c", "two words", ""],
)  # fmt: skip
def test_paths_and_what_is_neither(text: str) -> None:
    assert not may_be_hub_id(text)
