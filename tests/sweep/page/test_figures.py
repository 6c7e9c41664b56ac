"""The pictures of a study as matplotlib figures: what stands in them, not how it looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweep.page import figures, notebook
from sweep.page.figures import as_png, configurations_figure, curves_figure, progress_figure
from sweep.page.page_report import page_report
from sweep.page.page_types import PageReport
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from tests.support.page_ledgers import HOSTILE, held_to_a_floor, hostile
from tests.support.sweep_ledgers import completed, fill, observation, written
from trainer.contract.spec import UserError

pytest.importorskip("matplotlib")


def page_of(folder: Path, change: Callable[[Ledger], None], name: str = "demo") -> PageReport:
    with written(folder, name) as ledger:
        change(ledger)
        ledger.flush()
        return page_report(ledger, StudyPaths(folder))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PageReport:
    return page_of(tmp_path_factory.mktemp("demo"), fill)


def lines(figure: Any) -> list[tuple[list[float], list[float], float]]:
    """Of each line with more than one point: x, y and width."""
    found = [(*map(list, one.get_data()), one.get_linewidth()) for one in figure.axes[0].lines]
    return [(x, y, width) for x, y, width in found if len(x) > 1 and x != [0, 1]]


def test_the_best_goes_to_its_end_and_is_bold(demo: PageReport) -> None:
    drawn = lines(progress_figure(demo.study))
    assert len(drawn) == 3  # three were looked at and measured at their end
    bold = [one for one in drawn if one[2] == max(width for _, _, width in drawn)]
    assert [(x[-1], y) for x, y, _ in bold] == [(10.0, [0.35, 0.74])]


def test_configurations_stand_at_their_values(demo: PageReport) -> None:
    figure = configurations_figure(demo.study)
    assert figure.axes[0].get_xlabel() == "learning_rate"
    assert figure.axes[0].get_ylabel() == "batch_size"
    assert figure.axes[0].get_xscale() == "log"
    assert [one.get_text() for one in figure.axes[0].get_yticklabels()] == ["16", "64"]
    ended = figure.axes[0].collections[1].get_offsets()
    assert [list(one) for one in ended] == [[1e-5, 0], [2e-5, 1], [4e-5, 0]]


def test_a_trial_that_breaks_a_constraint_is_a_square(tmp_path: Path) -> None:
    study = page_of(tmp_path, held_to_a_floor).study
    assert study.best and study.best.number == 0  # though trial 1 ended higher
    drawn = progress_figure(study).axes[0]
    ends = {float(line.get_ydata()[-1]): line.get_marker() for line in drawn.lines if points(line)}
    assert (ends[0.5], ends[0.6]) == ("o", "s")
    shown = configurations_figure(study).axes[0]
    for axes in (drawn, shown):
        assert "breaks a constraint" in [one.get_text() for one in axes.get_legend().get_texts()]


def points(line: Any) -> bool:
    """Whether a line is the mark of a trial."""
    return line.get_marker() in {"o", "s"} and len(line.get_ydata()) > 0


def test_a_curve_has_the_steps_that_were_seen(tmp_path: Path) -> None:
    def two(ledger: Ledger) -> None:
        for number in (0, 1):
            ledger.save_trial(completed(number, 0.5 + 0.1 * number))
            for step in range(1, 5):
                ledger.add_observation(number, observation(step, 16, loss=3.0 - step / 10))

    page = page_of(tmp_path, two)
    drawn = lines(curves_figure(page.study, page.curves))
    assert [(x, y) for x, y, _ in drawn] == [([16, 32, 48, 64], [2.9, 2.8, 2.7, 2.6])] * 2
    assert curves_figure(page.study, page.curves, "grad_norm").axes[0].get_yscale() == "log"


def test_names_of_strangers_are_texts_and_no_formulas(tmp_path: Path) -> None:
    def odd(ledger: Ledger) -> None:
        hostile(ledger)
        for number in (2, 3):
            row = completed(number, 0.6)
            row.params = {
                "learning_rate": 1e-5,
                "a$\\frac$b": f"$\\oops{number}$",
                "batch_size": 16,
            }
            ledger.save_trial(row)

    page = page_of(tmp_path, odd, name="$\\bad$")
    for figure in (
        progress_figure(page.study),
        configurations_figure(page.study, "a$\\frac$b", "learning_rate"),
    ):
        assert as_png(figure).startswith(b"\x89PNG")
    assert "<script>" not in notebook.first_screen(page.study)
    assert HOSTILE not in notebook.first_screen(page.study)


@pytest.mark.parametrize("num", [0, 1])
def test_a_study_that_has_just_begun_has_pictures(tmp_path: Path, num: int) -> None:
    def begun(ledger: Ledger) -> None:
        for number in range(num):
            ledger.save_trial(completed(number, 0.5))

    page = page_of(tmp_path, begun)
    assert as_png(progress_figure(page.study)).startswith(b"\x89PNG")
    assert as_png(configurations_figure(page.study)).startswith(b"\x89PNG")
    assert as_png(curves_figure(page.study, page.curves)).startswith(b"\x89PNG")
    assert "<img" in notebook.first_screen(page.study)


def test_what_is_not_there_is_refused_with_what_is(demo: PageReport) -> None:
    with pytest.raises(UserError, match="no trial has a parameter 'dropout': there are learn"):
        configurations_figure(demo.study, "dropout")
    with pytest.raises(UserError, match="no curve 'accuracy': there are loss, grad_norm"):
        curves_figure(demo.study, demo.curves, "accuracy")  # pyright: ignore[reportArgumentType]


def test_the_first_screen_says_the_answer_without_a_script(demo: PageReport) -> None:
    shown = notebook.first_screen(demo.study)
    assert "Which learning_rate and batch_size give org/tiny-base the best" in shown
    assert "<b>0.7400</b>" in shown
    assert 'src="data:image/png;base64,' in shown
    assert "<script" not in shown


def test_without_matplotlib_it_says_so(demo: PageReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "has_matplotlib", lambda: False)
    shown = notebook.first_screen(demo.study)
    assert "the picture needs matplotlib" in shown
    assert "<b>0.7400</b>" in shown
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match="the picture needs matplotlib"):
        figures.progress_figure(demo.study)
