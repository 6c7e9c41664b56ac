"""The live page's server: GET and HEAD alone, on this machine unless told otherwise.

Three things can be had: the page, the study's document as JSON, and a stream of events that says
when there is another. A browser of another site is refused by its Host (DNS rebinding), and where
the server can be reached from elsewhere nothing is had without the token in the URL.
"""

from __future__ import annotations

import errno
import hmac
import ipaddress
import json
import secrets
import socket
import threading
import time
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sweep.page.html import page_html
from sweep.page.live import LiveStudy, Shown
from trainer.contract.safe_text import clipped
from trainer.contract.spec import UserError

MOST_LISTENERS = 50  # at a time: each takes a thread
LOOK_S = 0.4  # between two looks for news
BEAT_S = 15.0  # at which a stream says that it lives, and what is shown
WAITING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="color-scheme" content="light dark"><title>waiting</title></head>
<body><h1>No study yet</h1><p>{why}</p><p>This page shows it as soon as it is there.</p>
</body></html>
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class LiveServer(ThreadingHTTPServer):
    """Serves one study. `url` is where it can be seen; `serve_forever` serves."""

    daemon_threads = True

    def __init__(self, where: str, host: str = "127.0.0.1", port: int = 0) -> None:
        """`where`: the study, which need not exist yet. UserError where the address is not to be
        had; port 0: any that is free."""
        self.live = LiveStudy(where)
        self.ending = threading.Event()
        self.listeners = threading.BoundedSemaphore(MOST_LISTENERS)
        self.is_here_alone = _is_loopback(host)
        self.base = "/" if self.is_here_alone else f"/{secrets.token_urlsafe(24)}/"
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise UserError(_not_to_be_had(host, port, error)) from None
        except OverflowError:
            raise UserError(f"--port: is {port}; a port is 0 (any free one) to 65535") from None
        self.port = int(self.server_address[1])
        self.hosts = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]", host)}
        name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
        self.url = f"http://{f'[{name}]' if ':' in name else name}:{self.port}{self.base}"

    def server_close(self) -> None:
        """Let go of the address, the storage and all who listen."""
        self.ending.set()
        super().server_close()
        self.live.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser that went away is nobody's trouble."""


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = 30  # seconds, of a client that says nothing

    def do_GET(self) -> None:
        base = self.server.base
        path = self.path.partition("?")[0]
        host = self.headers.get("Host", "")
        if self.server.is_here_alone and host not in self.server.hosts:
            return self._refuse(HTTPStatus.FORBIDDEN, "asked for under another name")
        if not hmac.compare_digest(path[: len(base)].encode(), base.encode()):
            return self._refuse(HTTPStatus.NOT_FOUND, "nothing is here: the URL has a token in it")
        what = path[len(base) :]
        if what == "events":
            return self._events()
        if what not in ("", "document.json"):
            return self._refuse(HTTPStatus.NOT_FOUND, "nothing is here")
        shown = self.server.live.now()
        if what == "document.json":
            return self._document(shown)
        return self._page(shown)

    do_HEAD = do_GET

    def _refused_method(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "read only: GET and HEAD alone")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refused_method

    def _page(self, shown: Shown) -> None:
        if shown.document is None:
            html = WAITING.format(why=escape(shown.trouble or ""))
        else:
            html = page_html(shown.document, is_live=True)
        # The page's own policy, which names its script, stands in it: both hold.
        more = {"Content-Security-Policy": "frame-ancestors 'none'"}
        self._answer(HTTPStatus.OK, "text/html; charset=utf-8", html.encode(), more)

    def _document(self, shown: Shown) -> None:
        if shown.document is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "there is no study yet")
        body, more = shown.body, dict[str, str]()
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body, more = shown.zipped, {"Content-Encoding": "gzip"}
        return self._answer(HTTPStatus.OK, "application/json", body, more)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        more = {"Allow": "GET, HEAD"} if status == HTTPStatus.METHOD_NOT_ALLOWED else {}
        more["Content-Security-Policy"] = POLICY
        self._answer(status, "text/plain; charset=utf-8", f"{why}\n".encode(), more)

    def _answer(self, status: HTTPStatus, kind: str, body: bytes, more: dict[str, str]) -> None:
        self._head(status, {"Content-Type": kind, "Content-Length": str(len(body)), **more})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _events(self) -> None:
        """Says which version there is, whenever it is another one, until the browser goes away."""
        if self.command == "HEAD":
            return self._head(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
        if not self.server.listeners.acquire(blocking=False):
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many browsers look at it")
        try:
            self._head(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
            told, told_s = None, 0.0
            while not self.server.ending.is_set():
                shown = self.server.live.now()
                is_news = told != (shown.version, shown.trouble)
                if is_news or time.monotonic() - told_s > BEAT_S:
                    self.wfile.write(_event(shown))
                    told, told_s = (shown.version, shown.trouble), time.monotonic()
                self.server.ending.wait(LOOK_S)
        except OSError:
            return None  # it went away
        finally:
            self.server.listeners.release()

    def version_string(self) -> str:
        return "sweep"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what is asked for has the token in it."""


def _event(shown: Shown) -> bytes:
    if shown.trouble is not None:
        return f"event: trouble\ndata: {json.dumps(shown.trouble)}\n\n".encode()
    return f"event: version\ndata: {shown.version}\n\n".encode()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _not_to_be_had(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use, perhaps by another sweep watch: give another with "
            "--port (0: any that is free)"
        )
    if error.errno == errno.EACCES:
        return f"port {port} is the system's: give one above 1023 with --port"
    return (
        f"--host {clipped(host)!r} is no address of this machine ({error.strerror}); without it "
        "the page is served on 127.0.0.1"
    )
