"""`sweep dashboard`: what it shows, and that nothing can be changed through it."""

from __future__ import annotations

import hashlib
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sweep.dashboard import serve
from sweep.dashboard.serve import served
from tests.support.sweep_ledgers import completed, decision, going_on
from trainer.contract.spec import UserError


@pytest.fixture
def address(study: Path) -> Iterator[str]:
    with served(str(study), 0) as address:
        yield address


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    where = urlsplit(address)
    url = f"{where.scheme}://{where.netloc}{path}"
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def page(address: str) -> dict[str, Any]:
    number = urlsplit(address).path.rpartition("/")[2]
    status, body = ask(address, f"/api/studies/{number}")
    assert status == 200
    return json.loads(body)


def test_the_study_has_a_note_and_figures(address: str) -> None:
    found = page(address)
    assert found["name"] == "demo"
    note = found["note"]["body"]
    assert note.startswith("**demo\\: choice\\_accuracy, higher is better**")
    assert "trial 2\\: choice\\_accuracy 0.7400" in note
    figures = {one["id"]: json.loads(one["graph_object"]) for one in found["plotly_graph_objects"]}
    assert set(figures) == {"1_measured", "2_loss", "3_gradient_norm"}
    measured = {line["name"]: line for line in figures["1_measured"]["data"]}
    assert measured["1 completed"]["x"] == [256, 1024]
    assert measured["1 completed"]["y"] == [0.35, 0.71]
    (best,) = [name for name, line in measured.items() if line["line"]["width"] == 3]
    assert best == "2 completed"
    loss = {line["name"]: line for line in figures["2_loss"]["data"]}
    assert loss["1 completed"]["y"][:2] == pytest.approx([3.0, 2.5], abs=0.01)


def test_each_trial_has_its_verdict_as_a_note(address: str) -> None:
    notes = {one["number"]: one["note"]["body"] for one in page(address)["trials"]}
    assert notes[3].startswith("**pruned** at step 4, by rank: rank 7 of 8 at the window")
    assert "\\[bold\\]not markup\\[/bold\\]" in notes[3]
    assert notes[2].startswith("**completed, audited**")
    assert "| choice\\_accuracy | 0.7400 |" in notes[2]
    assert notes[5].startswith("**failed**\n\nfailed: out of memory\\: it was")


def test_nothing_can_be_written(address: str, study: Path) -> None:
    before = hashlib.sha256((study / "study.db").read_bytes()).hexdigest()
    number = urlsplit(address).path.rpartition("/")[2]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in (f"/api/studies/{number}", "/api/studies", f"/api/studies/{number}/note"):
            status, body = ask(address, path, method)
            assert status == 403 and b"read-only" in body, (method, path)
    assert page(address)["name"] == "demo"
    assert hashlib.sha256((study / "study.db").read_bytes()).hexdigest() == before


def test_it_is_for_this_machine_alone(address: str) -> None:
    assert urlsplit(address).hostname == "127.0.0.1"
    assert ask(address, "/api/studies", Host="localhost:9000")[0] == 200  # through a tunnel
    assert ask(address, "/api/studies", Host="localhost")[0] == 200
    status, body = ask(address, "/api/studies", Host="evil.example:80")
    assert status == 403 and b"127.0.0.1" in body


def test_other_studies_of_the_storage_are_not_shown(address: str) -> None:
    found = json.loads(ask(address, "/api/studies")[1])["study_summaries"]
    assert [one["study_name"] for one in found] == ["demo"]


def test_what_another_process_writes_is_shown(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "FRESH_S", 0.0)
    monkeypatch.setattr(serve, "LOAD", 0)
    with served(str(study), 0) as address, going_on(study) as ledger:
        assert "trial 3\\:" not in page(address)["note"]["body"]
        reason = "as it is <script>alert(1)</script> ![x](http://evil/x.png)"
        told = decision(3, "continue", "rank", moment="look 1", reason=reason)
        ledger.save_trial(completed(3, 0.99), decision=told)
        found = page(address)
        assert "trial 3\\: choice\\_accuracy 0.9900" in found["note"]["body"]
        note = {one["number"]: one["note"]["body"] for one in found["trials"]}[3]
        assert "\\<script\\>" in note and "\\!\\[x\\]\\(http\\:" in note


def test_a_port_that_is_taken_is_said(study: Path) -> None:
    with socket.create_server((serve.HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port: .*{port} cannot be listened at"):
            served(str(study), port).__enter__()
    with pytest.raises(UserError, match="99999 cannot be listened at"):
        served(str(study), 99999).__enter__()


def test_without_the_package_it_says_what_to_install(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'sft-sweep\[dashboard\]'"):
        served(str(study), 0).__enter__()


def test_a_study_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="no study 'nowhere'"):
        served("nowhere", 0).__enter__()
