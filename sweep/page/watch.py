"""`sweep watch`: from a study's name to a page that is served until somebody ends it."""

from __future__ import annotations

import sys
from collections.abc import Callable

from sweep.page.server import LiveServer
from sweep.storage.engine import make_engine
from trainer.contract.safe_text import safe

WAY_OUT = "Ctrl-C ends it, the study goes on"


def watch_study(
    where: str, host: str, port: int, say: Callable[[str], object] | None = None
) -> None:
    """Serve the study's live page until an exception ends it, as Ctrl-C does. UserError where the
    address is not to be had, and for a URL that is none."""
    say = say or _print
    if "://" in where:
        make_engine(where.rpartition("#")[0] or where, read_only=True).dispose()  # or it is refused
    with LiveServer(where, host, port) as server:
        shown = server.live.now()
        if shown.document is None:
            say(f"{shown.trouble}; waiting for it")
        say(f"{server.url} ({WAY_OUT})")
        if not server.is_here_alone:
            say(
                "Whoever knows this URL can read the study, and what goes over the network is not "
                "encrypted; nobody can change anything"
            )
        server.serve_forever(poll_interval=0.2)


def _print(text: str) -> None:
    sys.stdout.write(safe(text) + "\n")
    sys.stdout.flush()
