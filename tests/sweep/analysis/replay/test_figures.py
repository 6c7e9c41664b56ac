"""The figure of a replay: numbered points, their names in a legend."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.replay.figures import check_figure, draw_replay, frontier, make_figure
from sweep.analysis.replay.report import ReplayReport
from sweep.analysis.replay.table import best_first
from sweep.cli import main
from trainer.contract.spec import UserError


class TestPlace:
    @pytest.mark.parametrize("place", ["file/x.png", "folder.png"])
    def test_that_cannot_be_written_is_refused_at_once(self, place: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "folder.png").mkdir()
        with pytest.raises(UserError, match="--figure: cannot write"):
            check_figure(tmp_path / place)

    @pytest.mark.slow
    def test_a_missing_folder_is_made_only_when_drawn(
        self, tmp_path: Path, alone: ReplayReport
    ) -> None:
        path = tmp_path / "new" / "x.svg"
        check_figure(path)
        assert list(tmp_path.iterdir()) == []
        draw_replay(alone, path)
        assert list(path.parent.iterdir()) == [path]

    def test_without_matplotlib_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        assert main(["replay", "x", "--figure", "regret.png"]) == 2
        error = capsys.readouterr().err
        assert error == (
            "sweep: --figure needs matplotlib, which is not installed: "
            "pip install 'sft-sweep[figures]'\n"
        )


def test_the_frontier_is_what_none_beats() -> None:
    points = [(0.5, 0.1), (0.2, 0.3), (0.6, 0.1), (0.5, 0.2), (1.0, 0.0), (0.3, 0.4)]
    assert frontier(points) == [(0.2, 0.3), (0.5, 0.1), (1.0, 0.0)]


def drawn(report: ReplayReport) -> tuple[Any, Any]:
    """The axes and the legend."""
    figure = make_figure(report)
    figure.canvas.draw()
    (axes,), (legend,) = figure.axes, figure.legends
    return axes, legend


class TestPoints:
    @pytest.mark.slow
    def test_are_numbered_as_the_table_orders_them_and_named_in_the_legend(
        self, against_all: ReplayReport
    ) -> None:
        axes, legend = drawn(against_all)
        ordered = best_first(against_all.policies)
        markers = {line.get_label(): line for line in axes.lines if line.get_marker() != "None"}
        for number, policy in enumerate(ordered, start=1):
            point = markers[policy.name]
            assert point.get_marker() == f"${number}$"
            assert point.get_xydata().tolist() == [[policy.compute, policy.regret_mean]]
        named = [text.get_text() for text in legend.get_texts()]
        assert named == ["floor", *(policy.name for policy in ordered)]

    @pytest.mark.slow
    def test_stand_beside_the_legend_and_not_below_it(self, against_all: ReplayReport) -> None:
        axes, legend = drawn(against_all)
        assert not axes.get_window_extent().overlaps(legend.get_window_extent())

    @pytest.mark.slow
    def test_without_any_regret_stand_on_an_axis_with_several_ticks(
        self, against_all: ReplayReport
    ) -> None:
        nothing = {"regret_mean": 0.0, "regret_low": 0.0, "regret_high": 0.0}
        policies = tuple(replace(policy, **nothing) for policy in against_all.policies)
        axes, _ = drawn(replace(against_all, policies=policies))
        assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "0.005", "0.01"]
