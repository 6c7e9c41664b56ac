"""A study in a notebook: the page's first screen without scripts, which notebooks strip."""

from __future__ import annotations

import base64
from html import escape

from sweep.page import answer
from sweep.page.figures import WITHOUT, as_png, has_matplotlib, progress_figure
from sweep.report import study_text
from sweep.report.html import study_html
from sweep.report.study_types import StudyReport
from trainer.contract.safe_text import safe


def first_screen(report: StudyReport) -> str:
    """The question, the numbers of the answer, the first picture, and the trials as a table to
    unfold, in HTML whose every text is escaped."""
    names = study_text.varying(report)
    tiles = answer.tiles(report)
    cells = "".join(
        f'<td style="text-align:left;vertical-align:top"><small>{_text(tile.label)}</small><br>'
        f"<b>{_text(tile.value)}</b><br><small>{_text(tile.note)}</small></td>"
        for tile in tiles
    )
    return "\n".join(
        (
            f"<div><small>{_text(report.study)}</small></div>",
            f"<h3>{_text(answer.question(report, names))}</h3>",
            f"<table><tr>{cells}</tr></table>",
            _picture(report),
            f"<details><summary>trials</summary>{study_html(report)}</details>",
        )
    )


def _picture(report: StudyReport) -> str:
    if not has_matplotlib():
        return f"<div><small>{_text(WITHOUT)}</small></div>"
    png = base64.b64encode(as_png(progress_figure(report))).decode()
    about = f"{report.metric} of each trial against its compute"
    return f'<img alt="{_text(about)}" src="data:image/png;base64,{png}" style="max-width:100%">'


def _text(value: str) -> str:
    return escape(safe(value))
