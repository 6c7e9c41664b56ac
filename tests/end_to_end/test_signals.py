"""A tree of processes that ends well, whichever of its processes are asked to end, and how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from tests.support.drivers import assert_whole, finish, start_driver, until_trials_run
from tests.support.home import Home

pytestmark = pytest.mark.slow


STEP_S = 0.03


def family(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The driver first, then the server, the trackers and the trials."""
    me = psutil.Process(driver.pid)
    return [me, *me.children(recursive=True)]


def is_trial(process: psutil.Process) -> bool:
    return os.getsid(process.pid) == process.pid


def server(driver: subprocess.Popen[str]) -> psutil.Process:
    own = psutil.Process(driver.pid).children()  # not a trial that is just being forked
    return next(process for process in own if "forkserver" in " ".join(process.cmdline()))


def to_driver(driver: subprocess.Popen[str], number: signal.Signals) -> None:
    driver.send_signal(number)


def to_group(driver: subprocess.Popen[str], number: signal.Signals) -> None:
    """As a terminal does, and `timeout`."""
    os.killpg(driver.pid, number)


def to_all(driver: subprocess.Popen[str], number: signal.Signals) -> None:
    """As systemd and SLURM do, in no order that one could hope for."""
    for process in reversed(family(driver)):
        process.send_signal(number)


Send = Callable[[subprocess.Popen[str], signal.Signals], None]


def failures(home: Home) -> list[int]:
    return [trial["failures"] for trial in home.document()["trials"]]


@pytest.mark.parametrize(
    ("send", "number"),
    [
        (to_driver, signal.SIGHUP),
        (to_group, signal.SIGINT),
        (to_group, signal.SIGTERM),
        (to_all, signal.SIGTERM),
    ],
)
def test_running_trials_stop_with_a_checkpoint_and_go_on_later(
    home: Home, send: Send, number: signal.Signals
) -> None:
    driver = start_driver(home, "run.retries=0", "pruning.enabled=false", step_s=STEP_S)
    until_trials_run(home)
    started = family(driver)
    send(driver, number)
    said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 128 + number, said
    assert not psutil.wait_procs(started, timeout=10)[1]
    assert "waiting" in home.states()
    assert list(home.out.glob("trials/*/checkpoints/step"))  # the checkpoints of the fakes
    assert set(failures(home)) == {0}
    finish(home, "run.retries=0", "pruning.enabled=false")
    assert_whole(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_a_study_that_was_being_prepared(
    home: Home, number: signal.Signals
) -> None:
    driver = start_driver(home, FAKE_PREPARE_S="60", step_s=STEP_S)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "preparing: reading the data\n"
    started = family(driver)
    to_all(driver, number)
    said, _ = driver.communicate(timeout=240)
    assert (driver.returncode, said) == (128 + number, "")
    assert not psutil.wait_procs(started, timeout=10)[1]
    assert not list(home.out.parent.iterdir())
    finish(home)


def test_what_does_not_stop_in_time_is_killed_and_has_not_failed(home: Home) -> None:
    home.script({0: "silent", 1: "silent"})
    driver = start_driver(home, "run.grace_s=0.5", "run.retries=0", step_s=STEP_S)
    until_trials_run(home, steps=2)
    to_group(driver, signal.SIGTERM)
    said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 143, said
    assert "did not stop within run.grace_s = 0.5 s; to be continued" in said
    assert set(failures(home)) == {0}
    finish(home, "run.retries=0", "run.grace_s=0.5")
    assert_whole(home)


def test_signals_that_come_together_are_one_request(home: Home) -> None:
    """`timeout` signals its child, and then the group that it is in."""
    driver = start_driver(home, "run.retries=0", step_s=STEP_S)
    until_trials_run(home)
    to_driver(driver, signal.SIGTERM)
    to_group(driver, signal.SIGTERM)
    said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 143
    assert "interrupted twice" not in said
    assert list(home.out.glob("trials/*/checkpoints/step"))


def test_the_first_of_two_signals_is_the_exit_code(home: Home) -> None:
    home.script({0: "silent", 1: "silent"})
    driver = start_driver(home, step_s=STEP_S)
    until_trials_run(home, steps=2)
    to_group(driver, signal.SIGTERM)
    time.sleep(1.0)
    to_all(driver, signal.SIGINT)
    driver.communicate(timeout=30)
    assert driver.returncode == 143
    assert set(failures(home)) == {0}


def test_nohup_is_respected(home: Home) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited by the driver
    try:
        driver = start_driver(home, step_s=STEP_S)
    finally:
        signal.signal(signal.SIGHUP, before)
    until_trials_run(home)
    to_all(driver, signal.SIGHUP)
    said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, said
    assert_whole(home)


def test_a_trial_that_is_interrupted_again_and_again_has_failed(home: Home) -> None:
    home.script({0: "always interrupted"})
    assert home.run("run.retries=0", "run.trials=2", "run.workers=1") == 4
    states = {trial["number"]: trial["state"] for trial in home.document()["trials"]}
    assert states == {0: "failed", 1: "completed"}
    assert (
        len([line for line in home.lines if "its server was killed; to be continued" in line]) == 5
    )


SWALLOWS = """
import time
from trainer.contract import signals
signals.PEACE_S = 0.2
with signals.Signals():
    for _ in range(2):
        try:
            print("waits", flush=True)
            time.sleep(60)
        except BaseException:
            time.sleep(0.5)
"""


def test_a_signal_is_heard_also_where_the_first_was_swallowed() -> None:
    process = subprocess.Popen([sys.executable, "-c", SWALLOWS], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(2):
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    process.stdout.close()


def test_trials_live_on_where_their_server_is_killed(home: Home) -> None:
    driver = start_driver(home, "run.retries=0", step_s=STEP_S)
    until_trials_run(home)
    server(driver).kill()
    said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, said
    assert_whole(home)
    assert {trial["attempts"] for trial in home.document()["trials"]} == {1}


def test_trials_that_end_with_their_server_have_not_failed(home: Home) -> None:
    driver = start_driver(home, "run.retries=0", "run.trials=3", step_s=0.2)
    until_trials_run(home)
    for process in [server(driver), *filter(is_trial, family(driver)[1:])]:
        process.kill()
    said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, said
    assert said.count("it ended with the process that jobs are forked from") == 2
    assert_whole(home, trials=3)
    assert set(failures(home)) == {0}
