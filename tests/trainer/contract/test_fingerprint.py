"""What makes another base model of a folder, and what does not."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from trainer.contract import fingerprint as fp
from trainer.contract.fingerprint import (
    changed_files,
    digest,
    fingerprint,
    model_facts,
    pinned,
    rows_digest,
)
from trainer.contract.hub import find_model
from trainer.contract.spec import DataSpec, ModelSpec, TrialSpec, UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_weights(path: Path, values: list[int], tensor_bytes: int) -> None:
    """A safetensors file of one tensor of bytes for each value."""
    header = {
        f"tensor {i}": {
            "dtype": "U8",
            "shape": [tensor_bytes],
            "data_offsets": [i * tensor_bytes, (i + 1) * tensor_bytes],
        }
        for i in range(len(values))
    }
    text = json.dumps(header).encode()
    body = b"".join(bytes([value]) * tensor_bytes for value in values)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "generation_config.json"):
        (folder / name).write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "README.md").write_text("a model")
    write_weights(folder / "model.safetensors", [1, 2, 3], 100)
    return folder


def add(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("new")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: write_weights(f / "model.safetensors", [1, 2, 4], 100), ".safetensors changed"),
        (add("tokenizer.json"), "tokenizer.json changed"),
        (add("config.json"), "config.json changed"),
        (add("chat_template.jinja"), "chat_template.jinja changed"),
        (add("model-00002-of-00002.safetensors"), "model-00002-of-00002.safetensors is new"),
        (add("adapter_config.json"), "adapter_config.json is new"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is gone"),
        (lambda f: (f / "tokenizer.json").rename(f / "tokenizer.model"), "tokenizer.json is gone"),
    ],
)  # fmt: skip
def test_other_files_are_another_model(
    tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    folder = write_model(tmp_path / "base")
    facts = {"model": model_facts(folder, ModelSpec(str(folder)))}
    assert changed_files(ModelSpec(str(folder)), facts) == []
    change(folder)
    assert said in ", ".join(changed_files(ModelSpec(str(folder)), facts))
    assert digest(fingerprint(folder)) != facts["model"]["digest"]


@pytest.mark.parametrize(
    "change",
    [
        lambda f: os.utime(f / "model.safetensors", (1, 1)),
        add("README.md"),
        add("notes.txt"),
        add("modelling.py"),
    ],
    ids=["touched", "README", "notes", "code that is not trusted"],
)
def test_what_is_not_read_makes_no_difference(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = write_model(tmp_path / "base")
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) == before


def test_code_counts_where_it_is_run(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "base")
    before = fingerprint(folder, trust_remote_code=True)
    (folder / "modelling.py").write_text("new")
    assert fingerprint(folder, trust_remote_code=True) != before


def test_links_and_copies_have_the_fingerprint_of_what_they_hold(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "base")
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "link").symlink_to(folder)
    linked = tmp_path / "linked files"
    linked.mkdir()
    for path in folder.iterdir():
        (linked / path.name).symlink_to(path)
    for other in ("copy", "link", "linked files"):
        assert fingerprint(tmp_path / other) == fingerprint(folder)


@pytest.mark.parametrize("tensor", [0, 1, 2])
@pytest.mark.parametrize("place", [0, 5000, 9999])
def test_of_large_weights_every_tensor_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensor: int, place: int
) -> None:
    monkeypatch.setattr(fp, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(fp, "BLOCK_BYTES", 16)
    path = tmp_path / "model.safetensors"
    write_weights(path, [1, 2, 3], 10_000)
    before = fingerprint(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) - 30_000 + 10_000 * tensor + place] ^= 1
    path.write_bytes(content)
    assert fingerprint(tmp_path) != before


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 8, struct.pack("<Q", 9) + b"[1, 2, 3]" + b"x" * 2000, b"\x02" + b"\0" * 5000],
)
def test_what_is_no_safetensors_file_has_a_fingerprint_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(fp, "WHOLE_BYTES", 1000)
    (tmp_path / "model.safetensors").write_bytes(content)
    assert fingerprint(tmp_path)["model.safetensors"].startswith(f"{len(content)}:")


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hub's cache with one commit of org/name, which main and v1 name."""
    cache = tmp_path / "hub" / "models--org--name"
    folder = write_model(cache / "snapshots" / COMMIT)
    (cache / "refs").mkdir()
    for name in ("main", "v1"):
        (cache / "refs" / name).write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(
        "huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hub")
    )
    return folder  # fmt: skip


@pytest.mark.parametrize("base", ["org/name", "org/name@v1", f"org/name@{COMMIT}"])
def test_a_hub_id_is_held_to_the_commit_it_stood_for(snapshot: Path, base: str) -> None:
    model = ModelSpec(base)
    folder = find_model(model, offline=True)
    assert folder.resolve() == snapshot.resolve()
    facts = {"model": model_facts(folder, model)}
    assert facts["model"]["revision"] == COMMIT
    held = pinned(model, facts)
    assert held.base == f"org/name@{COMMIT}"
    assert held.digest == digest(fingerprint(snapshot))
    (snapshot.parent.parent / "refs" / "main").write_text("f" * 40)  # the Hub has moved on
    assert find_model(held, offline=True).resolve() == snapshot.resolve()


def test_a_folder_keeps_its_path_and_has_no_revision(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "snapshots" / COMMIT)
    model = ModelSpec(str(folder))
    facts = {"model": model_facts(folder, model)}
    assert facts["model"]["revision"] is None
    assert pinned(model, facts).base == str(folder)


def test_a_trial_does_not_load_other_files_than_it_was_told(tmp_path: Path) -> None:
    import torch

    from trainer.model.load import load_model

    folder = write_model(tmp_path / "base")
    model = ModelSpec(str(folder), digest="0" * 32)
    with pytest.raises(UserError, match="no longer those that the study was made with"):
        load_model(model, torch.device("cpu"))


def test_data_prepared_for_another_base_are_refused(tmp_path: Path) -> None:
    """`python -m trainer` with the data beside its spec."""
    from trainer.standalone import ASKED, prepare

    folder = write_model(tmp_path / "base")
    model, data = ModelSpec(str(folder)), DataSpec("train.jsonl")
    spec = TrialSpec(0, 0, model, str(tmp_path), str(tmp_path), 8, 80, 0, (), 0, 1e-3)
    asked = {f"data.{key}": value for key, value in asdict(data).items()}
    (tmp_path / ASKED).write_text(json.dumps({**asked, "model.base": str(folder)}))
    facts = {"model": model_facts(folder, model), "sources": {}}
    (tmp_path / "prepared.json").write_text(json.dumps(facts))
    assert prepare(spec, data) == 0
    write_weights(folder / "model.safetensors", [4, 5, 6], 100)
    with pytest.raises(UserError, match=r"model\.base: model\.safetensors changed"):
        prepare(spec, data)


def test_rows_of_a_hub_data_set_are_known_by_what_they_hold() -> None:
    rows = [{"prompt": "1+1", "completion": "2"}, {"prompt": "\ud83d", "completion": "3"}]
    assert rows_digest(rows) == rows_digest([dict(reversed(row.items())) for row in rows])
    assert rows_digest(rows) != rows_digest(rows[::-1])
    assert rows_digest(rows) != rows_digest([rows[0], {**rows[1], "completion": "4"}])
