"""Writing the page into a file, and what is said of it then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweep import formats as f
from sweep.page.document import document
from sweep.page.html import page_html
from sweep.page.page_report import page_report
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from trainer.contract.files import write_text
from trainer.contract.safe_text import clipped, safe
from trainer.contract.spec import UserError

SUFFIXES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Written:
    """A page that was written."""

    path: Path
    """absolute"""
    num_bytes: int
    steps_a_point: int
    """the most steps that a point of a curve is the mean of; 1: none was thinned"""

    @property
    def sentence(self) -> str:
        """Where it is, how large, and whether curves were thinned."""
        thinned = f"; a point of a curve is the mean of up to {self.steps_a_point} steps"
        return (
            f"{safe(str(self.path))}: {self.num_bytes / 1e6:.2f} MB, one file that needs no network"
            f"{thinned if self.steps_a_point > 1 else ''}"
        )


def write_page(ledger: Ledger, paths: StudyPaths, to: str | Path | None = None) -> Written:
    """The page of a study, written to `to`; report.html in the study's folder if None.

    A file that is there is replaced, once the new one is whole. UserError for a name that is no
    HTML file's, and where it cannot be written.
    """
    path = Path(paths.out / "report.html" if to is None else to).absolute()
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        raise UserError(
            f"--to {clipped(str(to))!r}: a page is written into a file whose name ends in .html, "
            "as report.html"
        )
    if not path.parent.is_dir():
        where = "give another with --to" if to is None else "make it first, or name another"
        raise UserError(f"there is no folder {clipped(str(path.parent))!r} to write into: {where}")
    page = page_report(ledger, paths)
    html = page_html(document(page))
    try:
        write_text(path, html)
    except OSError as error:
        raise UserError(
            f"{clipped(str(path))!r} could not be written ({error.strerror}): name another with "
            "--to"
        ) from None
    return Written(path, len(html.encode()), page.curves.steps_a_point)


def open_page(path: Path) -> str | None:
    """Show the page in the browser. A sentence where there is none."""
    import webbrowser

    if webbrowser.open(path.as_uri()):
        return None
    return f"no browser could be opened; the page is {f.exact(path.as_uri())}"
