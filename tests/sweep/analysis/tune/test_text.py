"""What a search found in words: its sentences and its tables."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from predictor.tuning.report import Interval
from sweep.analysis.tune.report import FrontierLine, TuneReport
from sweep.analysis.tune.text import print_tuning
from sweep.analysis.tune.verdict import verdict
from tests.support.tune_reports import CLEAR, RASH, offer, study_file, tuned
from tests.support.tuning_studies import noise, tells_at_once

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_settings")]


def printed(report: TuneReport) -> list[str]:
    """The lines on a terminal of 80 columns, none of them longer."""
    text = StringIO()
    print_tuning(report, Console(width=80, file=text))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    return lines


def words(report: TuneReport) -> str:
    return " ".join(" ".join(printed(report)).split())


class TestVerdict:
    def test_says_saved_or_spent_and_more_or_less_and_what_was_judged(self, made: Path) -> None:
        report = tuned([made], CLEAR)
        gained = report.compute_gained
        assert gained.mean < 0 and gained.low is not None and gained.high is not None
        assert (
            f"it saved {-100 * gained.mean:.1f} points of the compute against the present setting "
            f"(95 % {-100 * gained.high:.1f} to {-100 * gained.low:.1f}), at the same regret."
        ) in report.verdict[1]
        assert report.verdict[-1] == (
            "Judged was the line of the frontier at 0.005, the only one up to 0.02 that is not the "
            "present setting."
        )
        more = replace(
            report,
            compute_gained=Interval(0.056, -0.0001, 0.1),
            regret_gained=Interval(-0.022, -0.05, 0.0001),
            is_better=False,
        )
        assert (
            "at a regret of at most 0.005 spent 5.6 points more of the compute than the present "
            "setting (95 % 0.0 to 10.0), at 0.022 less regret (95 % 0.000 to 0.050), on runs"
        ) in verdict(more)[1]

    def test_says_of_several_lines_that_each_is_a_chance_to_be_wrong(self, made: Path) -> None:
        report = tuned([made], CLEAR)
        frontier = tuple(
            replace(line, held_out=replace(line.held_out, misses=number))
            for number, line in enumerate(report.frontier)
        )
        several = replace(
            report, frontier=frontier, judged=(0.02, 0.01), gained_at=0.01, gained_level=0.975
        )
        said = verdict(several)
        assert "(97.5 % " in said[1]
        first = "at 0.02 and 0.01, in this order, and the first that is better is that at 0.01"
        assert first in said[2]
        assert "2 chances to be wrong, so each interval of a difference is at 97.5 %" in said[2]
        assert "in this order, and none is better" in verdict(replace(several, is_better=False))[2]

    def test_says_that_so_few_orders_have_no_intervals(self, made: Path) -> None:
        report = tuned([made], [tells_at_once("a", 10)])
        assert report.compute_gained.low is None
        said = words(report)
        assert "So few orders of so few groups tell of no setting that it is better" in said
        assert "Intervals: none of so few (2 orders of the groups)." in said
        assert "None" not in said


class TestTables:
    def test_the_frontier_shows_the_risk_and_its_misses(self, made: Path) -> None:
        report = tuned([made], CLEAR)
        line = report.frontier[-1]
        assert line.candidate == report.frontier[0].candidate
        (row,) = [cells for cells in map(str.split, printed(report)) if cells[1:2] == ["0.2"]]
        assert row[0] == "0.005"
        assert row[1] == f"{line.candidate['risk']:g}" == "0.2"
        assert row[2] == f"{1 - line.in_sample.compute.mean:.3f}"
        held = line.held_out
        assert row[-2:] == [f"{held.misses:.2f}", f"{held.stated_misses:.2f}"]

    def test_a_line_is_named_by_the_tightest_limit_that_it_meets(self, made: Path) -> None:
        report = tuned([made], CLEAR)
        saved = f"{1 - report.frontier[0].in_sample.compute.mean:.3f}"

        def with_regret(line: FrontierLine, mean: float) -> FrontierLine:
            regret = replace(line.in_sample.regret, mean=mean)
            return replace(line, in_sample=replace(line.in_sample, regret=regret))

        lines: list[str] = []
        for mean, label in ((0.013, "0.02"), (0.2, "0.1*")):
            frontier = tuple(with_regret(line, mean) for line in report.frontier)
            lines = printed(replace(report, frontier=frontier))
            rows = [
                cells for cells in map(str.split, lines) if cells[2:4] == [saved, f"{mean:.3f}"]
            ]
            assert [cells[0] for cells in rows] == [label]
        assert any(line.startswith("* No setting has so little regret in-sample") for line in lines)

    def test_a_recorded_window_is_a_number_only_where_all_have_it(self, tmp_path: Path) -> None:
        for part in ("runs", "steps"):
            (tmp_path / f"x_{part}.parquet").touch()

        def cells(*windows: float) -> list[list[str]]:
            named = zip("ab", windows, strict=True)
            studies = [replace(noise(name, 8), recorded_window=window) for name, window in named]
            return [line.split() for line in printed(tuned([tmp_path / "x"], studies))]

        assert ["window", "0.12", "(as", "recorded)", "the", "same"] in cells(12.0, 12.0)
        assert ["window", "as", "recorded", "the", "same"] in cells(12.0, 20.0)


class TestLosses:
    def test_say_of_each_run_what_it_was_and_why_it_was_stopped(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        offer(monkeypatch, lambda base: base)
        file = study_file(tmp_path, RASH)
        report = tuned([made], [noise(name) for name in "abc"], file=file)
        lines = printed(report)
        start = lines.index("Runs that the present setting loses, better than any that it keeps")
        assert report.present_losses
        for loss in report.present_losses:
            rows = [row for row in lines[start:] if row.split()[:1] == [loss.run]]
            assert any(row.endswith(f"{loss.probability:.2f}  {loss.before:.2f}") for row in rows)
            assert loss.reason is not None and loss.reason.startswith("P(beats run ")
            rest = " ".join(" ".join(lines[start:]).split())
            rate = loss.config["learning_rate"]
            assert f"{loss.study}, learning_rate {rate:.3g} {loss.reason}" in rest

    def test_name_the_objectives_that_differ_or_are_maximized(
        self, made: Path, tmp_path: Path
    ) -> None:
        file = study_file(tmp_path, RASH)
        accuracy = replace(noise("a"), metric="accuracy", direction="maximize")
        said = words(tuned([made], [accuracy, noise("b"), noise("c")], file=file))
        assert "The objectives differ (accuracy (maximize), eval_loss (minimize)): each" in said
        assert "objective, best kept: accuracy as an error rate, half a question up" in said
        assert "P and P0: means over the replays that lost the run; the reason" in said
        said = words(tuned([made], [noise("b"), noise("c")], file=file))
        assert "The objectives differ" not in said and "objective, best kept" not in said


def test_seeds_are_called_seeds(made: Path) -> None:
    one = tells_at_once("a", 24)
    runs = tuple(replace(run, seed=str(i % 3)) for i, run in enumerate(one.runs))
    said = words(tuned([made], [replace(one, runs=runs)]))
    assert said.startswith("1 group of 3 seeds, 24 runs, 2 orders")
    assert "Intervals: bootstrap over 3 seeds" in said
    assert "`sweep replay` has the seeds together" in said
