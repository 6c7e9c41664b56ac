"""A judge on 127.0.0.1: an OpenAI-compatible server that says what a test wants.

As a command, a judge that is friendly to long answers: python -m tests.support.fake_judge PORT
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of the server; of `text` a chat completion is made."""

    text: str | None = "Well done. Rating: [[7]]"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None  # in place of a completion
    usage: Mapping[str, int] | None = field(
        default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 20}
    )

    def document(self) -> bytes:
        if self.body is not None:
            return self.body.encode()
        message = {"role": "assistant", "content": self.text}
        return json.dumps({"choices": [{"message": message}], "usage": self.usage}).encode()


Asked = dict[str, Any]  # the body of a request


class FakeJudge:
    """`say(number, body)` makes the answer to a request, the first of which is number 0."""

    def __init__(self) -> None:
        self.say: Callable[[int, Asked], Said] = lambda number, body: Said()
        self.asked: list[Asked] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        judge = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with judge._lock:
                    number = len(judge.asked)
                    judge.asked.append(body)
                    judge.headers.append({k.lower(): v for k, v in self.headers.items()})
                said = judge.say(number, body)
                document = said.document()
                try:
                    self.send_response(said.status)
                    for name, value in said.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(document)))
                    self.end_headers()
                    self.wfile.write(document)
                except (BrokenPipeError, ConnectionResetError):  # it has not waited
                    pass

            def do_GET(self) -> None:
                self.send_error(405)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"


@contextmanager
def fake_judge() -> Iterator[FakeJudge]:
    judge = FakeJudge()
    thread = threading.Thread(target=judge.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield judge
    finally:
        judge.server.shutdown()
        thread.join()
        judge.server.server_close()


def by_length(number: int, body: Asked) -> Said:
    """The longer what it is shown, the better: 1 to 10."""
    shown = len(body["messages"][-1]["content"])
    return Said(f"It is what it is. Rating: [[{min(10, 1 + shown // 400)}]]")


if __name__ == "__main__":
    judge = FakeJudge()
    judge.say = by_length
    sys.stdout.write(judge.base_url + "\n")
    sys.stdout.flush()
    judge.server.serve_forever()
