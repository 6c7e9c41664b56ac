"""A map over processes that can be left at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from predictor.replay.workers import Workers
from tests import ROOT


def times(factor: int, number: int) -> tuple[int, int]:
    return factor * number, os.getpid()


def sleep(shared: float, _: int) -> None:
    time.sleep(shared)


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_every_task_is_answered_in_order_with_what_is_shared(num_processes: int) -> None:
    with Workers(3, num_processes) as workers:
        found = list(workers.map(times, range(8)))
        again = list(workers.map(times, [10]))
    assert [value for value, _ in found] == [0, 3, 6, 9, 12, 15, 18, 21]
    assert again[0][0] == 30
    assert (os.getpid() in {pid for _, pid in found}) == (num_processes == 1)


def test_left_by_an_exception_it_waits_for_no_task() -> None:
    begun = time.monotonic()
    with pytest.raises(KeyError), Workers(600.0, 2) as workers:
        workers.map(sleep, range(4))
        raise KeyError
    assert time.monotonic() - begun < 60
    assert not active_children()


@pytest.mark.slow
def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import operator\n"
        "from predictor.replay.workers import Workers\n"
        "with Workers(3, 2) as workers:\n"
        "    print(list(workers.map(operator.mul, range(8))))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[0, 3, 6, 9, 12, 15, 18, 21]\n"


TWICE = """
import sys, time
from predictor.replay.workers import Workers
from tests.predictor.replay.test_workers import sleep

if __name__ == "__main__":
    with Workers(600.0, 2) as workers:
        print("begun", flush=True)
        list(workers.map(sleep, range(4)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("gap_s", [0.0, 0.05, 0.5])
def test_ctrl_c_twice_leaves_nothing_behind(gap_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TWICE],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(gap_s)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) != 0
    process.stdout.close()
    _assert_gone(process.pid)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_caller_that_is_killed(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TWICE], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    time.sleep(1.5)
    process.send_signal(number)
    assert process.wait(timeout=30) == -number
    process.stdout.close()
    _assert_gone(process.pid)


def _assert_gone(group: int) -> None:
    deadline = time.monotonic() + 10
    while _is_alive(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(group)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
