"""A study goes on with the inputs it was made with, or says what has changed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable

import pytest

from sweep.driver import inputs
from tests.support.home import Home
from trainer.contract.spec import TrialSpec, UserError

pytestmark = pytest.mark.slow

ONE = ("run.trials=1", "run.workers=1")


@pytest.fixture
def made(home: Home) -> Home:
    """A study of one trial whose base has weights and a tokenizer."""
    (home.folder / "base" / "model.safetensors").write_bytes(b"weights")
    (home.folder / "base" / "tokenizer.json").write_text("{}")
    home.run(*ONE)
    home.lines.clear()
    return home


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h: (h.folder / "base/model.safetensors").write_bytes(b"others!"),
         "model.safetensors changed"),
        (lambda h: (h.folder / "base/tokenizer.json").write_text("{ }"), "tokenizer.json changed"),
        (lambda h: (h.folder / "base/extra.safetensors").touch(), "extra.safetensors is new"),
        (lambda h: (h.folder / "train.jsonl").write_text("{}"), "data.train: "),
    ],
)  # fmt: skip
def test_other_inputs_are_refused_with_the_difference(
    made: Home, change: Callable[[Home], None], said: str
) -> None:
    change(made)
    with pytest.raises(UserError) as refused:
        made.run("run.trials=2")
    assert "no longer holds what the study was made with" in str(refused.value)
    assert said in str(refused.value)
    assert len(made.states()) == 1


def test_a_base_that_has_gone_is_refused(made: Home) -> None:
    shutil.rmtree(made.folder / "base")
    with pytest.raises(UserError, match=r"model\.base"):
        made.run("run.trials=2")


def test_the_same_content_at_another_path_is_allowed_and_said(made: Home) -> None:
    (made.folder / "base").rename(made.folder / "moved")
    (made.folder / "train.jsonl").rename(made.folder / "rows.jsonl")
    assert made.run("run.trials=2", "model.base=./moved", "data.train=./rows.jsonl") == 0
    said = [line for line in made.lines if "with the same content" in line]
    assert len(said) == 2 and "model.base: was ./base, is ./moved" in said[0]
    assert any("./moved (with the same content)" in note for note in made.document()["notes"])


def test_another_path_to_other_content_is_refused(made: Home) -> None:
    shutil.copytree(made.folder / "base", made.folder / "other")
    (made.folder / "other" / "model.safetensors").write_bytes(b"others!")
    with pytest.raises(UserError, match=r"model.base: was ./base, is ./other"):
        made.run("run.trials=2", "model.base=./other")


def test_other_versions_are_allowed_and_said_once(
    made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {**inputs.environment(), "torch": "99.0", "device": "NVIDIA H900"}
    monkeypatch.setattr(inputs, "environment", lambda: now)
    for _ in range(2):
        assert made.run(*ONE) == 0
    said = "\n".join(made.lines)
    assert said.count("is 99.0; numbers may differ a little from those before") == 1
    assert said.count("device: was") == 1
    assert sum("is 99.0" in note for note in made.document()["notes"]) == 1


def test_a_study_made_before_is_held_to_its_files_from_now_on(made: Home) -> None:
    with sqlite3.connect(made.out / "study.db") as connection:
        (text,) = connection.execute("SELECT facts FROM sweep_studies").fetchone()
        facts = {k: v for k, v in json.loads(text).items() if k not in ("model", "versions")}
        connection.execute("UPDATE sweep_studies SET facts = ?", (json.dumps(facts),))
    connection.close()
    assert made.run(*ONE) == 0
    assert any("is stored from now on" in line for line in made.lines)
    (made.folder / "base" / "model.safetensors").write_bytes(b"others!")
    with pytest.raises(UserError, match=r"model\.safetensors changed"):
        made.run("run.trials=2")


def test_every_trial_is_told_which_files_to_train(made: Home) -> None:
    spec = json.loads((made.out / "trials" / "0000" / "spec.json").read_text())
    facts = json.loads((made.out / "data" / "prepared.json").read_text())
    assert TrialSpec.from_json(spec).model.digest == facts["model"]["digest"]
