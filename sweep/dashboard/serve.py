"""`sweep dashboard`: a server on this machine alone that answers reads and refuses all else."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sweep.dashboard.figures import figures
from sweep.dashboard.notes import study_note, trial_note
from sweep.dashboard.private import Attributes, ReadOnlyStudy, application, figure, note
from sweep.page.page_report import page_report
from sweep.storage.find import Location, locate
from sweep.storage.readable import readable
from trainer.contract.signals import Signals
from trainer.contract.spec import UserError

HOST = "127.0.0.1"
HERE = ("127.0.0.1", "localhost", "[::1]")
FRESH_S = 3.0  # for how long what was made of the ledger is shown
LOAD = 10  # and as many times what that took

App = Callable[[Mapping[str, Any], Any], Iterable[bytes]]


@dataclass(slots=True)
class Shown:
    """Notes and figures of a study, made anew where they are no longer fresh."""

    at: Location
    _found: Attributes = field(default_factory=dict[str, "str | int"])
    _stale_s: float = 0.0  # time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, trial_ids: Mapping[int, int]) -> Attributes:
        """The attributes; `trial_ids`: by number, of the trials that Optuna knows."""
        with self._lock:
            began_s = time.monotonic()
            if began_s >= self._stale_s:
                self._found = self._made(trial_ids)
                now_s = time.monotonic()
                self._stale_s = now_s + max(FRESH_S, LOAD * (now_s - began_s))
            return self._found

    def _made(self, trial_ids: Mapping[int, int]) -> Attributes:
        ledger = self.at.open()
        try:
            with readable(str(self.at)):
                page = page_report(ledger, self.at.paths)
        finally:
            ledger.engine.dispose()
        report = page.study
        found = note(study_note(report))
        for trial in report.trials:
            if trial.number in trial_ids:
                told = trial_note(report, trial, page.decisions.get(trial.number, ()))
                found |= note(told, trial_ids[trial.number])
        for name, one in figures(page).items():
            found |= figure(name, one)
        return found


def read_only(app: App) -> App:
    """The application without whatever could write, and for this machine's browsers alone: a page
    from elsewhere that has its name lead here is refused."""

    def answer(environ: Mapping[str, Any], start: Any) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", "")).rpartition(":")
        name = host[0] if host[0] and host[2].isdigit() else host[0] + host[1] + host[2]
        why = None
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            why = "this dashboard is read-only"
        elif name not in HERE:
            why = "this dashboard is for 127.0.0.1 alone"
        if why is None:
            return app(environ, start)
        start("403 Forbidden", [("Content-Type", "application/json")])
        return [f'{{"reason": "{why}"}}'.encode()]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def served(where: str, port: int) -> Generator[str]:
    """The address of the study's page while the context lasts; `where`: as for inspect; `port`: 0
    takes a free one.

    UserError where there is no such study, optuna-dashboard is missing, or the port is taken.
    """
    if find_spec("optuna_dashboard") is None:
        raise UserError(
            "optuna-dashboard cannot be imported: pip install 'sft-sweep[dashboard]'. Without it: "
            "sweep report shows the same and more"
        )
    at = locate(where).absolute()
    with readable(where):
        storage = ReadOnlyStudy(at.url, at.study, Shown(at))
        study_id = storage.study_id
    try:
        server = make_server(HOST, port, read_only(application(storage)), _Server, _Quiet)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--port: {HOST}:{port} cannot be listened at ({error}); name another, or 0 for one "
            "that is free"
        ) from None
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/dashboard/studies/{study_id}"
        finally:
            server.shutdown()
            thread.join()
            storage.engine.dispose()


def serve(where: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it. UserError as `served`."""
    ended = threading.Event()

    def end(_: Any) -> bool:
        ended.set()
        return True

    with served(where, port) as address, Signals(end):
        say(f"{address} (read-only; Ctrl-C ends it)")
        ended.wait()
