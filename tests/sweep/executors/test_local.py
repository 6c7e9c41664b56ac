"""What every executor promises the driver. Jobs here are small functions of this file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from predictor.types import Verdict
from sweep.executors import Job, Slot
from sweep.executors.local import LocalExecutor
from tests import ROOT
from trainer.contract.spec import Alive, Event, Failed, Stop, Stopped


def says_two_things(spec: str, channel: Connection) -> None:
    channel.send(Alive(spec))
    channel.send(Stopped(1))


def answers(_spec: Any, channel: Connection) -> None:
    channel.send(Alive(repr(channel.recv())))
    channel.send(Stopped(1))


def raises(_spec: Any, _channel: Connection) -> None:
    raise ValueError("no good")


def dies(signal_number: int, _channel: Connection) -> None:
    os.kill(os.getpid(), signal_number)


def leaves(code: int, _channel: Connection) -> None:
    os._exit(code)


def sleeps_with_a_child(pid_file: str, channel: Connection) -> None:
    child = subprocess.Popen(["sleep", "600"])
    Path(pid_file).write_text(f"{os.getpid()} {child.pid}")
    channel.send(Alive("asleep"))
    time.sleep(600)


def leaves_a_child(how: str, channel: Connection) -> None:
    child = subprocess.Popen(["sleep", "600"])
    Path(how.split()[1]).write_text(f"{os.getpid()} {child.pid}")
    if how.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    channel.send(Stopped(1))


def shows_its_environment(name: str, channel: Connection) -> None:
    sys.stdout.write("printed\n")
    os.write(2, b"and so did a library\n")
    channel.send(Alive(os.environ.get(name, "")))
    channel.send(Stopped(1))


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor(preload=())
    yield executor
    executor.close()


def job(entry: Any, spec: Any, folder: Path) -> Job:
    return Job("job", f"{entry.__module__}:{entry.__name__}", spec, folder / "log.txt")


def events_of(executor: LocalExecutor) -> list[Event]:
    """All events until the job's last."""
    events: list[Event] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        events += [event for _, event in executor.wait(0.5)]
        if events and isinstance(events[-1], Stopped | Failed):
            return events
    raise TimeoutError(events)


def test_events_come_in_order(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.start(job(says_two_things, "hello", tmp_path), Slot(0))
    assert events_of(executor) == [Alive("hello"), Stopped(1)]


@pytest.mark.parametrize("reply", [Stop(checkpoint=True), Verdict("prune", "rank", "worse half")])
def test_a_job_hears_replies(executor: LocalExecutor, tmp_path: Path, reply: Any) -> None:
    executor.start(job(answers, None, tmp_path), Slot(0))
    executor.send("job", reply)
    assert events_of(executor) == [Alive(repr(reply)), Stopped(1)]


def test_a_reply_to_a_job_that_has_ended_is_dropped(executor: LocalExecutor) -> None:
    executor.send("long gone", Stop(checkpoint=False))


@pytest.mark.parametrize(
    ("entry", "spec", "kind", "says"),
    [
        (raises, None, "error", "ValueError: no good"),
        (dies, signal.SIGKILL, "killed", "SIGKILL (the kernel does so when memory runs out)"),
        (dies, signal.SIGSEGV, "killed", "SIGSEGV"),
        (leaves, 3, "lost", "exit code 3"),
        (leaves, 0, "lost", "exit code 0"),
    ],
)
def test_however_a_job_ends_there_is_a_cause(
    executor: LocalExecutor, tmp_path: Path, entry: Any, spec: Any, kind: str, says: str
) -> None:
    executor.start(job(entry, spec, tmp_path), Slot(0))
    last = events_of(executor)[-1]
    assert isinstance(last, Failed)
    assert last.kind == kind
    assert says in last.message


def test_what_a_job_prints_goes_to_its_log(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.start(job(shows_its_environment, "X", tmp_path), Slot(0, {"X": "of the slot"}))
    assert events_of(executor)[0] == Alive("of the slot")
    assert (tmp_path / "log.txt").read_text() == "printed\nand so did a library\n"


def test_killing_a_job_ends_what_it_started_too(executor: LocalExecutor, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    executor.start(job(sleeps_with_a_child, str(pids), tmp_path), Slot(0))
    while not (started := executor.wait(0.5)):
        pass
    assert started == [("job", Alive("asleep"))]
    executor.kill("job", Failed("silent", "for too long"))
    assert events_of(executor) == [Failed("silent", "for too long")]
    assert_gone(pids)


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_what_a_job_started_ends_with_it(executor: LocalExecutor, tmp_path: Path, how: str) -> None:
    pids = tmp_path / "pids"
    executor.start(job(leaves_a_child, f"{how} {pids}", tmp_path), Slot(0))
    last = events_of(executor)[-1]
    assert isinstance(last, Failed if how == "killed" else Stopped)
    assert_gone(pids)


@pytest.mark.slow
def test_the_server_does_not_hear_ctrl_c(tmp_path: Path) -> None:
    slow = tmp_path / "slow_to_import.py"
    slow.write_text("import time; time.sleep(3)")
    code = (
        "import os, signal, time; from sweep.executors.local import LocalExecutor;"
        "signal.signal(signal.SIGINT, lambda *_: print('heard'));"
        "executor = LocalExecutor(preload=('slow_to_import',)); time.sleep(1);"
        "os.killpg(0, signal.SIGINT);"
        "from tests.sweep.executors.test_local import says_hello_through;"
        "says_hello_through(executor)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        start_new_session=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ran.stdout.split() == ["heard", "hello"]
    assert ran.stderr == ""


def says_hello_through(executor: LocalExecutor) -> None:
    executor.start(job(says_two_things, "hello", Path.cwd()), Slot(0))
    first = events_of(executor)[0]
    sys.stdout.write(first.doing if isinstance(first, Alive) else repr(first))
    executor.close()


DRIVER = """
import sys, time
from pathlib import Path
from sweep.executors import Job, Slot
from sweep.executors.local import LocalExecutor
executor = LocalExecutor(preload=())
log, pids = Path(sys.argv[1]), sys.argv[2]
entry = "tests.sweep.executors.test_local:sleeps_with_a_child"
executor.start(Job("job", entry, pids, log), Slot(0))
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphan_outlives_the_driver(tmp_path: Path, how: signal.Signals) -> None:
    pids = tmp_path / "pids"
    arguments = [sys.executable, "-c", DRIVER, str(tmp_path / "log.txt"), str(pids)]
    driver = subprocess.Popen(arguments)
    while not pids.exists() or " " not in pids.read_text():
        time.sleep(0.05)
    family = psutil.Process(driver.pid).children(recursive=True)
    assert len(family) >= 3  # the server, the resource tracker, the job and its child
    driver.send_signal(how)
    driver.wait()
    assert_gone(pids)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def assert_gone(pids: Path) -> None:
    deadline = time.monotonic() + 10
    for pid in map(int, pids.read_text().split()):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"process {pid} is still there"
            time.sleep(0.05)


@pytest.mark.slow
def test_a_script_without_a_guard_is_not_run_again_by_its_jobs(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "print('mine', flush=True)\n"
        "from pathlib import Path\n"
        "from sweep.executors import Job, Slot\n"
        "from sweep.executors.local import LocalExecutor\n"
        "executor = LocalExecutor(preload=())\n"
        "entry = 'tests.sweep.executors.test_local:says_two_things'\n"
        f"log = Path({str(tmp_path / 'log.txt')!r})\n"
        "executor.start(Job('job', entry, 'hello', log), Slot(0))\n"
        "events = []\n"
        "while len(events) < 2:\n"
        "    events += [event for _, event in executor.wait(10)]\n"
        "print(events)\n"
        "executor.close()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script)]
    said = subprocess.check_output(command, env=env, text=True, timeout=120)
    assert said == f"mine\n{[Alive('hello'), Stopped(1)]}\n"
