"""The trackers' processes: whatever becomes of them, the study hears of it and goes on."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

from sweep.report.view import PlainView
from sweep.storage.find import Location
from sweep.storage.paths import StudyPaths
from sweep.trackers import host
from sweep.trackers.host import Trackers, refuse_missing
from trainer.contract.signals import SIGNALS, Interrupted
from trainer.contract.spec import UserError

READS = "import json, sys, time; asked = json.loads(sys.stdin.readline()); "


class View(PlainView):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def view() -> View:
    return View()


@pytest.fixture
def at(tmp_path: Path) -> Location:
    return Location("postgresql://me:hunter22@host/db", "demo", StudyPaths(tmp_path))


def tracker_is(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """In place of the real process."""
    script = READS + textwrap.dedent(script)
    monkeypatch.setattr(host, "COMMAND", (sys.executable, "-c", script))


def test_a_process_hears_where_the_study_is_and_when_it_ends(
    view: View, at: Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tracker_is(
        monkeypatch,
        """
        print(json.dumps({"say": asked["tracker"] + " of " + asked["study"]}), flush=True)
        sys.stdin.read()
        open(asked["out"] + "/whole", "w").write(asked["url"])
        """,
    )
    with Trackers(["wandb", "mlflow", "wandb"], view) as trackers:
        trackers.start(at)
        trackers.start(at)  # a further session of the same command
        assert not (tmp_path / "whole").exists()
        for process in trackers._processes:
            assert "hunter22" not in Path(f"/proc/{process.popen.pid}/cmdline").read_text()
    assert (tmp_path / "whole").read_text() == at.url
    assert sorted(view.lines) == ["mlflow of demo", "wandb of demo"]


def test_a_process_that_hangs_is_ended_and_said(
    view: View, at: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "SILENCE_S", 0.3)
    tracker_is(monkeypatch, "import signal; signal.signal(15, signal.SIG_IGN); time.sleep(1000)")
    with Trackers(["wandb"], view) as trackers:
        trackers.start(at)
        (process,) = trackers._processes
    assert process.popen.returncode == -9
    assert view.lines == ["wandb: ended before it had everything"]


@pytest.mark.slow
def test_a_process_that_gets_on_is_waited_for(
    view: View, at: Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "SILENCE_S", 3.0)
    monkeypatch.setattr(host, "SAID_AFTER_S", 0.5)
    tracker_is(
        monkeypatch,
        """
        sys.stdin.read()
        for _ in range(50):
            print("{}", flush=True)
            time.sleep(0.1)
        open(asked["out"] + "/whole", "w")
        """,
    )
    with Trackers(["wandb"], view) as trackers:
        trackers.start(at)
    assert (tmp_path / "whole").exists()
    assert view.lines == ["waiting for wandb to finish; Ctrl-C ends it as it is"]


@pytest.mark.parametrize("script", ["sys.exit(1)", "raise MemoryError"])
def test_a_process_that_fails_is_said_at_the_end(
    script: str, view: View, at: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker_is(monkeypatch, script)
    with Trackers(["wandb"], view) as trackers:
        trackers.start(at)
    assert view.lines == ["wandb: not everything was tracked; the same command makes up for it"]


def test_a_command_that_is_interrupted_waits_for_none(
    view: View, at: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker_is(monkeypatch, "time.sleep(1000)")
    with pytest.raises(Interrupted), Trackers(["wandb"], view) as trackers:
        trackers.start(at)
        raise Interrupted(SIGNALS[0])
    assert view.lines == ["wandb: ended before it had everything"]


def test_a_signal_ends_the_waiting(
    view: View, at: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "SAID_AFTER_S", 0.1)
    tracker_is(monkeypatch, "time.sleep(1000)")

    class Impatient(View):
        def say(self, line: str) -> None:
            super().say(line)
            if line.startswith("waiting"):
                os.kill(os.getpid(), SIGNALS[0])

    view, began_s = Impatient(), time.monotonic()
    with Trackers(["wandb"], view) as trackers:
        trackers.start(at)
    assert time.monotonic() - began_s < host.SILENCE_S / 2
    assert view.lines[-1] == "wandb: ended before it had everything"


def test_no_tracker_is_no_process(view: View, at: Location) -> None:
    with Trackers([], view) as trackers:
        trackers.start(at)
        assert not trackers._processes
    assert not view.lines


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_missing(["json"])
    with pytest.raises(UserError) as refused:
        refuse_missing(["json", "no_such_tracker"])
    assert str(refused.value) == (
        "run.report_to: no_such_tracker cannot be imported: pip install 'sft-sweep[trackers]', or "
        "leave it out"
    )
