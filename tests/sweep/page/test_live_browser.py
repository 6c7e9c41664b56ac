"""The live page in a browser: what is new is shown, and nothing that a reader did is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweep.page.server import LiveServer
from tests.support.browser import chromium
from tests.support.page_ledgers import HOSTILE, SHOWN
from tests.support.sweep_ledgers import completed, fill, going_on, trial, written

pytestmark = pytest.mark.slow

ASKED_FOR = ("", "document.json", "events")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    with written(tmp_path / "demo") as ledger:
        fill(ledger)
    return tmp_path / "demo"


@contextmanager
def watched(browser: Any, where: Path, height: int = 500) -> Iterator[Any]:
    """The live page of a study, once it is connected. Fails where it says anything on its console,
    or asks for anything but its own."""
    said: list[str] = []
    with LiveServer(str(where)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        tab = browser.new_page(viewport={"width": 1280, "height": height})
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: said.append(request.url))
        tab.goto(server.url)
        tab.wait_for_selector("#progress .chart")
        tab.locator("#live", has_text="last change").wait_for()
        yield tab
        assert set(said) <= {server.url + name for name in ASKED_FOR}
        tab.close()
        server.shutdown()
        thread.join()


def is_shown(tab: Any, number: int, text: str) -> None:
    """Waits until the table says so of the trial."""
    tab.locator(f"#trial-table tr[data-row='{number}']", has_text=text).wait_for()


def rows(tab: Any) -> list[int]:
    return [int(one) for one in tab.locator("#trial-table button.open").all_text_contents()]


def test_a_trial_that_ends_is_shown_without_a_touch(browser: Any, demo: Path) -> None:
    with watched(browser, demo) as tab:
        assert tab.locator(".tiles .value").first.text_content() == "0.7400"
        with going_on(demo) as ledger:
            ledger.save_trial(completed(6, 0.8))
        is_shown(tab, 6, "completed, the best")
        assert tab.locator(".tiles .value").first.text_content() == "0.8000"
        assert tab.locator("#progress .chart .run.best").get_attribute("data-trial") == "6"
        with going_on(demo) as ledger:
            ledger.save_trial(completed(7, 0.9))
        is_shown(tab, 7, "completed, the best")


def test_what_a_reader_did_is_kept(browser: Any, demo: Path) -> None:
    with watched(browser, demo) as tab:
        tab.locator("#trial-table thead button", has_text="learning").click()
        tab.locator("#trial-table thead button", has_text="learning").click()
        tab.locator("input[name=state-failed]").uncheck()
        tab.locator("#trial-table button.open", has_text="3").click()
        tab.locator("#space details.behind summary").click()
        tab.locator("#risk").evaluate(
            "one => { one.value = 900; one.dispatchEvent(new Event('input')) }"
        )
        tab.locator("#find").fill("e")
        tab.locator("#find").focus()
        order, risk = rows(tab), tab.locator("#risk-value").text_content()
        tab.locator("#trial-3").evaluate("one => one.scrollIntoView({ behavior: 'instant' })")
        top = "document.getElementById('trial-3').getBoundingClientRect().top"
        before = tab.evaluate(top)
        with going_on(demo) as ledger:
            ledger.save_trial(completed(6, 0.8))
        is_shown(tab, 6, "completed")
        assert rows(tab) == order == [6, 4, 3, 2, 1, 0]
        assert tab.locator("#trial-3 h3").first.text_content() == "Trial 3, pruned"
        assert tab.locator("#space details.behind td").count() > 0
        assert tab.locator("#risk-value").text_content() == risk
        assert tab.locator("#find").input_value() == "e"
        assert tab.evaluate("document.activeElement.id") == "find"
        assert abs(tab.evaluate(top) - before) <= 1
        tab.keyboard.type("nd")
        assert tab.locator("#find").input_value() == "end"


def test_a_marked_text_is_not_taken_away(browser: Any, demo: Path) -> None:
    with watched(browser, demo) as tab:
        tab.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
        with going_on(demo) as ledger:
            ledger.save_trial(completed(6, 0.8))
        tab.locator("#live", has_text="there is news").wait_for()
        assert tab.evaluate("getSelection().toString()").startswith("Which")
        assert tab.locator("tr[data-row='6']", has_text="completed").count() == 0
        tab.evaluate("getSelection().removeAllRanges()")
        is_shown(tab, 6, "completed")


def test_names_that_come_later_are_as_harmless(browser: Any, demo: Path) -> None:
    with watched(browser, demo) as tab:
        with going_on(demo) as ledger:
            row = trial(8, "running", window=None, recipe=HOSTILE)
            row.params = {**row.params, "schedule": HOSTILE}
            ledger.save_trial(row)
            ledger.note(HOSTILE)
        is_shown(tab, 8, "running")
        assert tab.locator("#notes li").text_content() == SHOWN
        assert tab.evaluate("[window.hacked, document.scripts.length, document.images.length]") == [
            *(None, 2, 0)
        ]


def test_it_says_when_the_server_is_gone(browser: Any, demo: Path) -> None:
    with LiveServer(str(demo)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        tab = browser.new_page()
        tab.goto(server.url)
        tab.locator("#live", has_text="last change").wait_for()
        server.shutdown()
        thread.join()
    tab.locator("#live.trouble", has_text="not connected").wait_for()
    assert rows(tab) != []
    tab.close()
