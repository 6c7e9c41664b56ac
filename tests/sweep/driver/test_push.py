"""`sweep push`: what is refused before anything is sent, and what the Hub gets."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from sweep.cli import main
from sweep.driver.push import push_study
from sweep.storage.paths import MARK
from tests.support.page_ledgers import held_to_a_floor
from tests.support.sweep_ledgers import fill, trial, written
from trainer.contract.spec import UserError

TOKEN = "hf_" + "Q" * 34
TO = "me/my-model"


class FakeHub:
    """What HfApi was asked for."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.fails: Exception | None = None

    def create_repo(self, _: object, repo_id: str, **how: Any) -> str:
        self.made.append({"repo_id": repo_id, **how})
        return f"https://hub.example/{repo_id}"

    def upload_folder(self, _: object, **how: Any) -> None:
        if self.fails is not None:
            raise self.fails
        self.sent.append(how)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    for name in ("create_repo", "upload_folder"):
        asked = getattr(fake, name)
        method: Callable[..., Any] = lambda api, *a, asked=asked, **k: asked(api, *a, **k)  # noqa: E731
        monkeypatch.setattr(huggingface_hub.HfApi, name, method)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return fake


def weights(num_bytes: int = 8, cut: int = 0) -> bytes:
    """A safetensors file of one tensor."""
    head = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, num_bytes]}})
    whole = struct.pack("<Q", len(head)) + head.encode() + bytes(num_bytes)
    return whole[: len(whole) - cut]


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """A study whose best is trial 2, its model in best/."""
    folder = tmp_path / "demo"
    with written(folder) as ledger:
        fill(ledger)
    model(folder, 2)
    return folder


def model(folder: Path, number: int) -> None:
    best = folder / "best"
    best.mkdir()
    (best / MARK).write_text(json.dumps({"trial": number}))
    (best / "README.md").write_text("# a card")
    (best / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (best / "tokenizer_config.json").write_text("{}")
    (best / "model.safetensors").write_bytes(weights())


def test_the_best_goes_to_the_hub_as_it_lies(
    done: Path, hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(done), "--to", TO, "--private"]) == 0
    said = capsys.readouterr()
    assert said.out == f"https://hub.example/{TO}\n"
    assert hub.made == [{"repo_id": TO, "private": True, "exist_ok": True}]
    (sent,) = hub.sent
    assert sent["repo_id"] == TO
    assert sent["folder_path"] == done / "best"
    assert sent["commit_message"] == "sft-sweep: demo, trial 2"
    assert TOKEN not in said.out + said.err


@pytest.mark.parametrize("to", ["model", "a/b/c", "me/-bad", "me/sp ace", ""])
def test_a_name_that_is_none_is_refused(done: Path, hub: FakeHub, to: str) -> None:
    with pytest.raises(
        UserError, match=r"^--to: is '.*'; a model on the Hub is named as user/my-model"
    ):
        push_study(str(done), to)
    assert not hub.made


def remove(name: str) -> Callable[[Path], None]:
    return lambda best: (best / name).unlink()


def write(name: str, text: str | bytes) -> Callable[[Path], None]:
    def damage(best: Path) -> None:
        (best / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return damage


DAMAGE = {
    "README.md is missing": remove("README.md"),
    "config.json is missing": remove("config.json"),
    "config.json cannot be read": write("config.json", "{"),
    "its config names no model_type": write("config.json", "{}"),
    "its config names no base_model_name_or_path": write("adapter_config.json", "{}"),
    "tokenizer_config.json is missing": remove("tokenizer_config.json"),
    "model.safetensors is missing": remove("model.safetensors"),
    "model.safetensors is not whole": write("model.safetensors", weights(cut=1)),
    "no weights": write("model.safetensors.index.json", "{}"),
    "model-2.safetensors is missing": write(
        "model.safetensors.index.json", json.dumps({"weight_map": {"w": "model-2.safetensors"}})
    ),
}


@pytest.mark.parametrize("why", DAMAGE)
def test_a_model_that_is_not_complete_is_not_sent(done: Path, hub: FakeHub, why: str) -> None:
    DAMAGE[why](done / "best")
    with pytest.raises(UserError, match=f"is not complete: .*{why}"):
        push_study(str(done), TO)
    assert not hub.made


@pytest.mark.parametrize("data", [b"", b"\x00" * 8, b"\xff" * 20, struct.pack("<Q", 2) + b"[]"])
def test_weights_that_are_no_safetensors_are_not_sent(
    done: Path, hub: FakeHub, data: bytes
) -> None:
    (done / "best" / "model.safetensors").write_bytes(data)
    with pytest.raises(UserError, match=r"model\.safetensors is not whole"):
        push_study(str(done), TO)


def test_weights_of_another_trial_are_not_called_the_best(done: Path, hub: FakeHub) -> None:
    (done / "best" / MARK).write_text(json.dumps({"trial": 1}))
    with pytest.raises(UserError, match=r"of the best, trial 2, are not in .* those of trial 1"):
        push_study(str(done), TO)
    assert not hub.made


def test_a_study_without_a_best_has_nothing_to_push(tmp_path: Path, hub: FakeHub) -> None:
    with written(tmp_path) as ledger:
        ledger.save_trial(trial(0, "running"))
    with pytest.raises(UserError, match="no trial of 'demo' is completed yet"):
        push_study(str(tmp_path), TO)


def test_what_breaks_a_constraint_is_not_pushed(tmp_path: Path, hub: FakeHub) -> None:
    with written(tmp_path) as ledger:
        held_to_a_floor(ledger)
        ledger.save_trial(trial(0, "failed"))  # the one that held it
    model(tmp_path, 1)
    with pytest.raises(UserError, match=r"no completed trial holds every constraint .* trial 1,"):
        push_study(str(tmp_path), TO)
    assert not hub.made


def test_without_a_token_it_says_how_to_give_one(
    done: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UserError, match="HF_TOKEN, or run `hf auth login`"):
        push_study(str(done), TO)


def test_a_refusal_is_one_sentence_without_the_token(
    done: Path, hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.fails = OSError(f"403 Forbidden for Bearer {TOKEN}")
    assert main(["push", str(done), "--to", TO]) == 2
    said = capsys.readouterr()
    assert "403 Forbidden" in said.err
    assert TOKEN not in said.out + said.err
