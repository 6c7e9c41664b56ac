"""Signals that ask a process to end."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests import ROOT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_the_end_changes_no_exit_code(number: signal.Signals) -> None:
    code = (
        "import os\n"
        "from trainer.contract.signals import end_with\n"
        "code = end_with(143)\n"
        f"os.kill(os.getpid(), {number.value})\n"
        "raise SystemExit('not at once')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "")
