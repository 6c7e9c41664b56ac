"""A comparison of policies in words: its sentences, and its table at any width."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from sweep.analysis.replay.report import PolicyResult, ReplayReport
from sweep.analysis.replay.text import print_replay
from sweep.analysis.replay.verdict import cautions, verdict
from tests.support.replay_reports import STUDIES, replayed


def shown(report: ReplayReport, width: int) -> str:
    stream = io.StringIO()
    print_replay(report, Console(file=stream, width=width, markup=False, highlight=False))
    return stream.getvalue()


def named(report: ReplayReport, name: str) -> PolicyResult:
    return next(policy for policy in report.policies if policy.name == name)


class TestVerdict:
    @pytest.mark.slow
    def test_says_what_was_saved_and_lost(self, against_all: ReplayReport) -> None:
        first, second = verdict(against_all)
        own = against_all.policies[0]
        assert first.startswith(f"sft-sweep trained {own.compute:.1%} of everything")
        assert second.startswith("Of the baselines that lost no more,")
        assert "was the cheapest" in second

    def test_names_the_orders_that_chose_the_best_baseline(self, against_all: ReplayReport) -> None:
        said = verdict(against_all)[1]
        assert said.endswith("That is by 2 orders; with more it may be another baseline.")

    def test_a_baseline_that_ties_but_for_rounding_counts_as_one_that_lost_no_more(
        self, against_all: ReplayReport
    ) -> None:
        own, name = named(against_all, "sft-sweep"), "MedianPruner (train)"
        tied = {"compute": 0.01, "regret_mean": own.regret_mean + 1e-15}
        policies = tuple(
            replace(policy, **tied) if policy.name == name else policy
            for policy in against_all.policies
        )
        said = verdict(replace(against_all, policies=policies))[1]
        assert said.startswith(f"Of the baselines that lost no more, {name} was the cheapest")

    def test_an_interval_without_width_is_none(self, against_all: ReplayReport) -> None:
        same = {"compute_low": 0.5, "compute_high": 0.5 + 1e-12, "regret_low": 0.0}
        policies = tuple(
            replace(policy, **same, regret_high=0.0) for policy in against_all.policies
        )
        report = replace(against_all, policies=policies)
        report = replace(report, verdict=tuple(verdict(report)[:1]))
        assert "95 %" not in shown(report, 100)


class TestCautions:
    def test_few_groups_are_cautioned_about(self, alone: ReplayReport) -> None:
        (caution,) = alone.cautions
        assert caution == "Caution: 2 groups say little of how another study would do."
        assert caution in shown(alone, 80)

    def test_few_runs_are_cautioned_about_by_group(self, alone: ReplayReport) -> None:
        first, second = alone.groups
        groups = [replace(first, finished=7), replace(second, finished=8)]
        assert any("(a has 7)" in one for one in cautions(groups))

    def test_five_groups_of_eight_runs_need_no_caution(self, alone: ReplayReport) -> None:
        assert cautions([replace(alone.groups[0], finished=8)] * 5) == []

    def test_where_no_run_could_be_judged_it_is_said(self, alone: ReplayReport) -> None:
        blind = [replace(group, windows=0) for group in alone.groups]
        wanted = "so none could be judged, and all were trained to their end."
        assert wanted in " ".join(cautions(blind))
        assert wanted not in " ".join(cautions(alone.groups))


class TestWhatItRestsOn:
    def test_says_what_was_left_out_or_not_told(self, against_all: ReplayReport) -> None:
        text = " ".join(shown(against_all, 100).split())
        assert "2 runs are left out, failed, given up or pruned by rank when recorded" in text
        assert "2 runs were ended by a guard" in text
        assert "A run was evaluated 2 times when recorded" in text

    def test_explains_each_name_in_a_line(
        self, alone: ReplayReport, against_all: ReplayReport
    ) -> None:
        lines = shown(against_all, 80).splitlines()
        for start in ("random 75 %: that share", "audit 0: no pruned"):
            assert sum(line.startswith(start) for line in lines) == 1
        assert "random 75 %" not in shown(alone, 80)

    def test_says_what_the_floor_is_and_what_is_not_used(self, alone: ReplayReport) -> None:
        text = " ".join(shown(alone, 80).split())
        looks = "1 run trained to its end plus one look at each of the others"
        assert f"floor: {alone.floor:.3f} of the compute, with {looks}." in text
        assert "pruning.history is not used" in text

    def test_one_order_of_one_group_has_no_interval_anywhere(self) -> None:
        report = replayed(STUDIES[:1], orders=1, against="all", points=5)
        assert report.gains[0].compute_low is None
        for width in (80, 170):
            assert "95 %:" not in shown(report, width)
            assert "(95 %" not in shown(report, width)


class TestTable:
    def test_shows_what_fits_the_terminal(self, against_all: ReplayReport) -> None:
        narrow, wide = shown(against_all, 80), shown(against_all, 170)
        assert max(map(len, narrow.splitlines())) <= 80
        assert "settings" not in narrow and "Not shown at this width: p90, wall." in narrow
        assert "lost best: replays" in narrow
        assert "p90: of" not in narrow and "wall: in full runs" not in narrow
        assert "eta 2, min_resource" in wide and max(map(len, wide.splitlines())) <= 170
        assert "p90: of" in wide and "wall: in full runs" in wide and "Not shown" not in wide

    def test_has_the_intervals_of_compute_and_regret_also_at_80_columns(
        self, against_all: ReplayReport
    ) -> None:
        own, *others = against_all.policies
        compute = {"compute_low": 0.4231, "compute_high": 0.492}
        regret = {"regret_low": -0.0104, "regret_high": 1.0234}
        report = replace(against_all, policies=(replace(own, **compute, **regret), *others))
        values = f"{own.compute:.3f}", f"{own.regret_mean:.3f}"
        wide = [values[0], "0.423 to 0.492", values[1], "-0.010 to 1.023"]
        narrow = [values[0], ".423 .492", values[1], "-.010 1.023"]
        for width, wanted in ((170, wide), (80, narrow)):
            lines = shown(report, width).splitlines()
            line = next(line for line in lines if line.startswith("sft-sweep  "))
            assert [cell.strip() for cell in line.split("  ") if cell.strip()][1:5] == wanted
            assert any(line.startswith("95 %: by resampling") for line in lines)

    def test_leaves_out_intervals_last_and_compute_and_regret_never(
        self, against_all: ReplayReport
    ) -> None:
        found: list[str] = []
        for width in (104, 80, 70, 60, 50):
            text = shown(against_all, width)
            head = next(line for line in text.splitlines() if line.startswith("policy "))
            assert "compute" in head and "regret" in head
            assert ("95 %: by" in text) == ("low high" in head or "95 %" in head)
            (left_out,) = [line for line in text.splitlines() if "Not shown" in line] or [""]
            found.append(left_out.removeprefix("Not shown at this width: "))
        assert found == [
            *("", "p90, wall.", "p90, lost best, wall.", "compute 95 %, p90, lost best, wall."),
            "compute 95 %, regret 95",  # goes on in the next line
        ]

    def test_has_a_dash_for_an_interval_without_width(self, against_all: ReplayReport) -> None:
        everything = named(against_all, "keep all")
        assert everything.regret_low == everything.regret_high == 0
        lines = shown(against_all, 170).splitlines()
        line = next(line for line in lines if line.startswith("keep all"))
        compute = f"{everything.compute:.3f}"
        assert line.split()[2:8] == [compute, "-", "0.000", "-", "0.000", "0%"]
        assert "- where all of them are equal." in "\n".join(lines)

    def test_puts_ours_first_and_the_others_by_regret(self, against_all: ReplayReport) -> None:
        lines = shown(against_all, 80).splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("sft-sweep "))
        table = lines[start : start + len(against_all.policies)]
        assert table[1].startswith("sft-sweep, audit 0")
        regrets = [named(against_all, line.split("  ")[0]).regret_mean for line in table[2:]]
        assert regrets == sorted(regrets)
