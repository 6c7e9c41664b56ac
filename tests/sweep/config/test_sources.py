from __future__ import annotations

from pathlib import Path

import pytest

from sweep.config.load import load_study
from sweep.config.sources import resolve_source, shipped_studies
from trainer.contract.spec import UserError


def test_a_study_is_found_by_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.config.sources._shipped_folder", lambda: file.parent)
    assert shipped_studies() == [("try", "a study for the tests")]
    assert load_study("try").folder == file.parent
    with pytest.raises(UserError, match=r"tri: no such study file.*did you mean try.*shipped: try"):
        load_study("tri")


@pytest.mark.parametrize("name", [name for name, _ in shipped_studies()])
def test_shipped_studies_load(name: str) -> None:
    loaded = load_study(name)
    assert loaded.study.name == name and dict(shipped_studies())[name]


def test_sources(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert resolve_source("model", tmp_path) == str(tmp_path / "model")
    assert resolve_source("./model", tmp_path) == str(tmp_path / "model")
    assert resolve_source(str(tmp_path), Path("/")) == str(tmp_path)
    for hub_id in ("gpt2", "org/name-1.5B", "openai/gsm8k:test", "openai/gsm8k:main:test"):
        assert resolve_source(hub_id, tmp_path) == hub_id
    for missing in (
        "~nobody-here/a",
        "x" * 300 + ".csv",
        "a\0b.csv",
        "./gpt2",
        "../gpt2",
        "/gpt2",
        "~/gpt2",
        "rows.jsonl",
        "org/rows.csv",
        "a/b/c",
    ):
        with pytest.raises(UserError, match=r"^data.train: no such file"):
            resolve_source(missing, tmp_path, "data.train")


def test_a_chat_template_file_is_found_beside_the_study(file: Path) -> None:
    (file.parent / "chat.jinja").touch()
    assert load_study(file, ["data.template=chat.jinja"]).study.data.template == "chat.jinja"
