"""Where Hub data sets cannot be read, in words that say what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from trainer.contract.spec import UserError
from trainer.data.rows import read_source


class Hub:
    """Answers the first question about a data set with an error."""

    error = RuntimeError("")

    def dataset_info(self, name: str, timeout: float) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        (
            "org/rows:train",
            "Dataset 'org/rows' is a gated dataset on the Hub. Visit the dataset page",
            "org/rows:train: a gated Hub data set; accept its terms at "
            "https://huggingface.co/datasets/org/rows and log in with `hf auth login`",
        ),
        (
            "org/rows",
            "404 Client Error.\n\nRepository Not Found",
            r"not readable as a Hub data set (404 Client Error. Repository Not Found)",
        ),
    ],
)
def test_the_hub_says_no(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, error: str, said: str
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr(Hub, "error", RuntimeError(error))
    with pytest.raises(UserError, match=re.escape(said)):
        read_source(source, "train", tmp_path)


@pytest.mark.parametrize("source", ["org/rows@main", "org/rows@main:train", "rows@main"])
def test_a_revision_is_refused_with_the_way_round(source: str, tmp_path: Path) -> None:
    name = source.partition("@")[0]
    said = f"hf download {name} --repo-type dataset --revision main --local-dir DIR"
    with pytest.raises(UserError, match=re.escape(said)):
        read_source(source, "train", tmp_path)


@pytest.mark.parametrize("source", ["./rows@main", "rows@main.jsonl", "a b", "/rows"])
def test_what_is_no_hub_id_is_no_file(source: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{source}: no such file") + "$"):
        read_source(source, "train", tmp_path)
