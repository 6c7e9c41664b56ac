"""benchmarks/gpu_check, which nobody runs between one GPU and the next, still runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

QUICKSTART = ROOT / "studies" / "quickstart"


@pytest.mark.slow
def test_all_that_makes_sense_on_a_cpu_is_found(tmp_path: Path) -> None:
    """The interrupted study, its best model in a fresh process, and the weights that a step moves
    hold: else the exit code is 1."""
    command = [sys.executable, "-m", "benchmarks.gpu_check", QUICKSTART / "base"]
    command += [QUICKSTART / "train.jsonl", "--out", tmp_path, "--patience", "30"]
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(line.strip("| ").split(" | ")[:2] for line in table(done.stdout))
    assert {name for name, said in found.items() if said == "needs a GPU"} == {
        "micro-batch search",
        "peak memory",
        "against TRL, largest micro-batch",
        "compile",
        "Liger",
    }
    assert "exit code 143" in found["SIGTERM in its middle"]
    assert found["steps lost in all"].startswith("0 of ")


def table(said: str) -> list[str]:
    """Its lines, without the head."""
    return [line for line in said.splitlines() if line.startswith("| ")][2:]
