"""Takes the pictures of docs/report.md in Chromium: `python -m docs.report_pictures`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.page_studies import made
from docs.generate import HERE
from sweep.page.write import write_page
from sweep.storage.find import open_study

PICTURES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        made(Path(folder), 50)
        ledger, paths = open_study(folder)
        page = write_page(ledger, paths).path
        ledger.engine.dispose()
        program = shutil.which("chromium")
        browser: Any = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, how in PICTURES.items():
            tab = browser.new_page(**how)
            tab.goto(page.as_uri())
            tab.wait_for_selector("#curve-evals canvas")
            if name == "dark":
                tab.locator("#signals").scroll_into_view_if_needed()
                tab.evaluate("document.getElementById('signals').scrollIntoView()")
            tab.wait_for_timeout(500)
            tab.screenshot(path=HERE / f"report_{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
