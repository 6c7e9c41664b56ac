"""Drivers in processes of their own, with trials that are fakes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time

from tests.support.home import Home


def start_driver(
    home: Home, *overrides: str, step_s: float = 0.01, **env: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.support.fake_driver",
            str(home.file),
            str(home.out),
            *overrides,
        ],
        env={**os.environ, "FAKE_STEP_S": str(step_s), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(home: Home, *overrides: str) -> None:
    driver = start_driver(home, *overrides, step_s=0.001)
    said, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, said


def until_trials_run(home: Home, *, steps: int = 3) -> None:
    """Wait until some trial has made a few steps that are in the ledger."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if (home.out / "study.db").exists():
            with sqlite3.connect(home.out / "study.db", timeout=30) as connection:
                (count,) = connection.execute("SELECT count(*) FROM sweep_observations").fetchone()
            connection.close()
            if count >= steps:
                return
    raise TimeoutError


def assert_whole(home: Home, trials: int = 8) -> None:
    """No trial lost, stuck or counted twice, in our tables and in Optuna's."""
    document = home.document()
    assert [t["number"] for t in document["trials"]] == list(range(trials))
    assert {t["state"] for t in document["trials"]} <= {"completed", "pruned"}
    for ours, theirs in zip(document["trials"], home.optuna_trials(), strict=True):
        assert theirs.state.name == {"completed": "COMPLETE", "pruned": "PRUNED"}[ours["state"]]
    assert document["best"]["number"] == int((home.out / "best" / "model.safetensors").read_text())
    assert not list(home.out.parent.glob(".*.new-*"))
