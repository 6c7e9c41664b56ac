"""A page in headless Chromium, where that is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_QUIET = (  # Chromium asks nobody for anything of its own
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright's. Skips where playwright or Chromium is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=[*_QUIET])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, page: Path, **how: Any) -> Iterator[Any]:
    """The page, drawn. Fails where it says anything on its console, or asks for anything else."""
    tab = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **how})
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: said.append(request.url))
    tab.goto(page.as_uri())
    tab.wait_for_selector("#progress .chart")
    yield tab
    assert said == [page.as_uri()]
    tab.close()
