"""Whatever becomes of the terminal: commands as processes, with their output closed or lost."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from trainer.contract.streams import SafeStream, SteadyStream, print_json, safe_streams


class _Breaks(io.StringIO):
    """Takes one text; then what it is written to is gone."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        if self.getvalue():
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC])
def test_a_stream_that_breaks_is_silent_and_says_why(number: int) -> None:
    broken = _Breaks(number)
    stream = SteadyStream(broken)
    for _ in range(3):
        assert stream.write("a line\n") == 7
        stream.flush()
    assert stream.lost is not None and stream.lost.errno == number
    assert broken.getvalue() == "a line\n"


def test_a_closed_stream_is_one_that_is_lost() -> None:
    file = io.StringIO()
    file.close()
    stream = SafeStream(file)
    stream.write("x")
    assert stream.steady.lost is not None


def test_print_writes_no_control_code_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    document = {
        "name": "\x1b]0;x\x07\u202e",
        "url": "postgresql://u:secret@h/d",
        "of": "password='",
    }
    with safe_streams():
        sys.stdout.write("name \x1b[31m\x9b1m postgresql://u:secret@h/d\n")
        sys.stderr.write("Authorization: Bearer secret\n")
        print_json(document)
    captured = capsys.readouterr()
    line, *rest = captured.out.splitlines()
    assert line == "name \\x1b[31m\\x9b1m postgresql://u:***@h/d"
    assert captured.err == "Authorization: ***\n"
    assert json.loads("\n".join(rest)) == {**document, "url": "postgresql://u:***@h/d"}


def sweep(
    arguments: str, shell: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = f"{sys.executable} -m sweep.cli {arguments} {shell}"
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        env={**os.environ, **(environment or {})},
        check=False,
    )


@pytest.mark.slow
def test_the_terminal_and_the_environment_undo_nothing(tmp_path: Path) -> None:
    long = tmp_path / ("t" * 115)
    long.mkdir()
    cases: Sequence[tuple[str, Mapping[str, str], int]] = [
        (">&-", {}, 0),
        ("2>&-", {}, 0),
        (">&- 2>&- <&-", {}, 0),
        ("| head -c 1", {}, 0),
        ("> /dev/full", {}, 1),
        ("", {"PYTHONIOENCODING": "ascii"}, 0),
        ("", {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, 0),
        ("", {"LC_ALL": "xx_YY.what"}, 0),
        ("", {"TERM": "dumb", "COLUMNS": "1"}, 0),
        ("", {"COLUMNS": "0", "LINES": "-3"}, 0),
        ("", {"COLUMNS": "\u00b2"}, 0),
        ("", {"COLUMNS": "9" * 5000}, 0),
        ("", {"TMPDIR": str(long)}, 0),
        ("", {"TMPDIR": str(tmp_path / "nowhere")}, 0),
        ("", {"HOME": "/nowhere"}, 0),
    ]
    for shell, environment, code in cases:
        ran = sweep("recipes quickstart", shell, environment)
        assert ran.returncode == code, (shell, environment, ran.stderr)
        assert b"Traceback" not in ran.stderr + ran.stdout, (shell, environment)
    gone = tmp_path / "gone"
    gone.mkdir()
    ran = subprocess.run(
        ["bash", "-c", f"cd {gone} && rmdir {gone} && {sys.executable} -m sweep.cli recipes"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        text=True,
        check=False,
    )
    assert ran.returncode == 2 and "working directory" in ran.stderr
