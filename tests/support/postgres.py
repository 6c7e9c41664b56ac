"""A PostgreSQL server on a free port of 127.0.0.1, where one is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Server:
    """`url` is its database, which anybody on this machine may use without a password."""

    def __init__(self, bin: Path, folder: Path, user: str | None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.bin, self.data, self.user = bin, folder / "data", user
        self._run("initdb", "-A", "trust", "-U", "sweep", "-N", "-D", str(self.data))
        self.start()
        self.url = f"postgresql+psycopg://sweep@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.data} -F"
        log = str(self.data / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(self.data), "-o", options, "-l", log)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.data))

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.bin / program, *arguments],
            user=self.user,
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.data.parent,
        )


@contextmanager
def running_server() -> Iterator[Server]:
    """A new server, which ends with the block; the test is skipped where none is installed."""
    bin = _binaries()
    if bin is None:
        pytest.skip("no PostgreSQL server is installed")
    # Of a short name: that of a socket has at most 107 bytes.
    folder, user = Path(tempfile.mkdtemp(prefix="sweep-postgres-", dir="/tmp")), None
    if os.geteuid() == 0:  # which the server refuses to run as
        user = "nobody"
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    try:
        server = Server(bin, folder, user)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path | None:
    """Debian keeps them out of the PATH."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((place for place in reversed(places) if (place / "initdb").exists()), None)
