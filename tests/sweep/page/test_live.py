"""The live page's server: what it serves, to whom, and what it makes of a study that changes."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweep.page.live import LiveStudy
from sweep.page.server import LiveServer
from sweep.page.watch import watch_study
from sweep.storage.changes import stamp
from sweep.storage.find import open_study
from sweep.storage.ledger import Ledger
from tests import ROOT
from tests.support.page_ledgers import HOSTILE, SHOWN, hostile
from tests.support.sweep_ledgers import (
    completed,
    cost,
    decision,
    fill,
    going_on,
    observation,
    trial,
    written,
)
from trainer.contract.spec import UserError

ELSEWHERE = "0.0.0.0"
TAKEN = -1  # stands for a port that is in use


@contextmanager
def served(where: Path | str, host: str = "127.0.0.1") -> Iterator[LiveServer]:
    """A server in a thread, on any free port."""
    with LiveServer(str(where), host) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(
    server: LiveServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return found


class Stream:
    """The events of a server, as a browser hears them."""

    def __init__(self, server: LiveServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._connection.request("GET", f"{server.base}events")
        self._answer = self._connection.getresponse()

    def next(self) -> tuple[str, str]:
        """Waits for an event: its kind and its data."""
        lines = [self._answer.readline().decode().strip() for _ in range(3)]
        return lines[0].removeprefix("event: "), lines[1].removeprefix("data: ")

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    with written(tmp_path / "demo") as ledger:
        fill(ledger)
    return tmp_path / "demo"


def test_it_serves_the_page_and_its_document(demo: Path) -> None:
    with served(demo) as server:
        status, headers, page = asked(server, "/")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"connect-src 'self'" in page
        status, headers, body = asked(server, "/document.json")
        assert json.loads(body)["best"] == 2
        assert headers["cache-control"] == "no-store"
        status, _, zipped = asked(server, "/document.json", **{"Accept-Encoding": "gzip"})
        assert gzip.decompress(zipped) == body


def test_it_answers_get_and_head_alone(demo: Path) -> None:
    with served(demo) as server:
        assert asked(server, "/", "HEAD")[::2] == (200, b"")
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            status, headers, _ = asked(server, "/", method)
            assert (status, headers["allow"]) == (405, "GET, HEAD")
        assert asked(server, "/", "BREW")[0] == 501
        assert asked(server, "/study.db")[0] == 404
        assert asked(server, "/../study.db")[0] == 404


def test_a_page_of_another_site_cannot_ask_it(demo: Path) -> None:
    with served(demo) as server:
        assert asked(server, "/", Host=f"rebound.example:{server.port}")[0] == 403
        assert asked(server, "/", Host=f"localhost:{server.port}")[0] == 200
        assert asked(server, "/")[1]["cross-origin-resource-policy"] == "same-origin"


def test_where_it_can_be_reached_from_elsewhere_nothing_is_had_without_the_token(
    demo: Path,
) -> None:
    with served(demo, ELSEWHERE) as server, served(demo, ELSEWHERE) as other:
        assert len(server.base) > 30
        assert server.base != other.base
        assert server.url.endswith(server.base)
        for path in ("", "document.json", "events"):
            assert asked(server, f"/{path}")[0] == 404
            assert asked(server, f"{other.base}{path}")[0] == 404
        assert asked(server, server.base)[0] == 200
        assert asked(server, f"{server.base}document.json", Host="any.example")[0] == 200
    with served(demo) as server:
        assert server.base == "/"


def test_a_trial_that_ends_is_told_to_all_who_listen(demo: Path) -> None:
    with served(demo) as server:
        streams = [Stream(server), Stream(server)]
        first = [stream.next() for stream in streams]
        assert first[0] == first[1]
        with going_on(demo) as ledger:  # as a driver's process does
            ledger.save_trial(completed(6, 0.8))
        second = [stream.next() for stream in streams]
        assert second[0] == second[1] != first[0]
        document = json.loads(asked(server, "/document.json")[2])
        assert ("version", document["version"]) == second[0]
        assert document["best"] == 6
        for stream in streams:
            stream.close()


def changes() -> dict[str, Any]:
    def observed(ledger: Ledger) -> None:
        ledger.add_observation(6, observation(9))
        ledger.record(cost(6, 6e12))
        ledger.flush()

    return {
        "a state": lambda ledger: ledger.save_trial(trial(7, "running", window=None)),
        "a look": lambda ledger: ledger.save_trial(
            trial(6, "parked"), decision=decision(6, "park", "rank", moment="look 1")
        ),
        "a step": observed,
        "a note": lambda ledger: ledger.note("the disk was full"),
        "a fact": lambda ledger: ledger.keep_fact("hours_used", 1.5),
    }


@pytest.mark.parametrize("what", changes())
def test_what_people_are_shown_changes_the_stamp(demo: Path, what: str) -> None:
    ledger, _ = open_study(str(demo))
    before = stamp(ledger)
    assert stamp(ledger) == before
    with going_on(demo) as writer:
        changes()[what](writer)
    assert stamp(ledger) != before
    ledger.engine.dispose()


def test_the_same_study_is_the_same_version(demo: Path) -> None:
    one, other = LiveStudy(str(demo)), LiveStudy(str(demo))
    assert one.now().version == other.now().version
    assert one.now().document is one.now().document  # it is made once
    one.close()
    other.close()


def test_a_study_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "<later>"
    with served(folder) as server:
        status, _, page = asked(server, "/")
        assert status == 200
        assert b"No study yet" in page
        assert b"<later>" not in page
        assert asked(server, "/document.json")[0] == 404
        stream = Stream(server)
        assert stream.next()[0] == "trouble"
        with written(folder) as ledger:
            fill(ledger)
        kind = stream.next()[0]
        while kind == "trouble":  # the tables came before the study
            kind = stream.next()[0]
        stream.close()
        assert b"connect-src" in asked(server, "/")[2]


def test_a_study_that_goes_away_is_shown_as_it_was_and_found_again(demo: Path) -> None:
    aside = demo.with_name("aside")
    with served(demo) as server:
        stream = Stream(server)
        before = stream.next()
        shutil.move(demo, aside)
        kind, told = stream.next()
        assert kind == "trouble"
        assert "demo" in json.loads(told)
        assert json.loads(asked(server, "/document.json")[2])["best"] == 2
        shutil.move(aside, demo)
        assert stream.next() == before
        stream.close()


def test_texts_of_strangers_are_data_in_the_document(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        hostile(ledger)
    with served(tmp_path) as server:
        assert HOSTILE.encode() not in asked(server, "/")[2]
        assert json.loads(asked(server, "/document.json")[2])["notes"] == [SHOWN]


@pytest.mark.parametrize(
    ("where", "host", "port", "why"),
    [
        ("demo", "127.0.0.1", TAKEN, "is in use, perhaps by another sweep watch"),
        ("demo", "127.0.0.1", 70_000, "--port: is 70000"),
        ("demo", "192.0.2.1", 0, "--host '192.0.2.1' is no address of this machine"),
        ("nosuch://here#x", "127.0.0.1", 0, "storage 'nosuch://here' cannot be used"),
    ],
)
def test_an_address_that_is_not_to_be_had_is_refused(
    where: str, host: str, port: int, why: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1] if port == TAKEN else port
        with pytest.raises(UserError, match=why):
            watch_study(where, host, port)


@pytest.mark.slow
def test_the_command_says_where_and_ends_with_ctrl_c(demo: Path) -> None:
    command = [sys.executable, "-m", "sweep", "watch", str(demo), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        assert said.startswith("http://127.0.0.1:")
        os.kill(running.pid, signal.SIGINT)
        rest = running.communicate(timeout=60)
    assert (running.returncode, *rest) == (0, "", "")
