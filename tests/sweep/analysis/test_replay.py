"""`sweep replay`: the command, its document, its table and its figure."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text
from rich.console import Console

from predictor.recorded.files import write_frames
from predictor.recorded.runs import RecordedStudy
from predictor.replay.policies import Window
from predictor.types import Settings
from sweep.analysis import replay
from sweep.analysis.figures import check_figure, frontier, make_figure
from sweep.analysis.replay import read_settings
from sweep.analysis.replay_text import cautions, print_replay, verdict
from sweep.cli import main
from sweep.config.study import Pruning
from tests.support.evidence_studies import grid, run_of, study_of
from tests.support.recorded_frames import frames, run_row
from trainer.contract.spec import UserError


def demo(name: str, seed: int, num: int = 14) -> RecordedStudy:
    """Of `num` finished runs, one that a guard ended, and one of unknown end."""
    rng = np.random.default_rng(seed)
    early = 5 + rng.normal(size=num)
    runs = study_of(early + 0.2 * rng.normal(size=num), configs=grid(num), early_eval=early).runs
    window = (9.0, 9.0, 9.0, None)
    diverged = run_of("g", None, {"x": 1}, window, state="pruned", pruned_by="guard")
    unknown = run_of("p", None, {"x": 2}, window, state="pruned", pruned_by="rank")
    return RecordedStudy(name, f"work {name}", (*runs, diverged, unknown), True, 10.0)


STUDIES = [demo("a", 0), demo("b", 1)]


def run(*arguments: str, orders: int = 2) -> Any:
    """The document of `sweep replay --json` on STUDIES with these arguments."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.setattr(replay, "read_sources", lambda texts: STUDIES)  # pyright: ignore
        assert main(["replay", "x", "--json", "--orders", str(orders), *arguments]) == 0
    return json.loads(out.getvalue())


@pytest.fixture(scope="module")
def alone() -> Any:
    return run()


@pytest.fixture(scope="module")
def against_all(tmp_path_factory: pytest.TempPathFactory) -> Any:
    figure = tmp_path_factory.mktemp("figure") / "new" / "regret.svg"
    document = run("--against", "all", "--points", "5", "--figure", str(figure))
    return {**document, "drawn": figure}


def test_reads_recorded_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_frames(tmp_path / "x", *frames(*[run_row(i) for i in range(8)]))
    assert main(["replay", str(tmp_path / "x"), "--orders", "3"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("g: 8 runs, replayed in 3 orders on 1 worker\n")
    assert "sft-sweep, audit 0" in text and "keep all" in text


class TestDocument:
    def test_has_our_policy_with_the_settings_of_a_study_file(self, alone: Any) -> None:
        names = [policy["name"] for policy in alone["policies"]]
        assert names == ["sft-sweep", "sft-sweep, audit 0", "keep all"]
        own = alone["policies"][0]
        pruning = Pruning()
        for name in ("risk", "min_gain", "startup", "audit", "max_expected_misses"):
            assert own["settings"][name] == getattr(pruning, name)
        assert own["groups"] == 2 and own["replays"] == 4
        assert 0 < own["compute_low"] <= own["compute"] <= own["compute_high"] < 1
        assert own["regret_low"] <= own["regret_mean"] <= own["regret_high"]
        assert {"regret_p90", "lost_best", "config_regret", "wall"} <= set(own)

    def test_takes_settings_and_an_audit_of_0_makes_both_of_ours_equal(self, alone: Any) -> None:
        document = run("--set", "audit=0", "risk=0.3", "pruning.startup=2")
        own, unaudited, everything = document["policies"]
        assert own["settings"] | {"risk": 0.3, "startup": 2, "audit": 0.0} == own["settings"]
        assert {**own, "name": ""} == {**unaudited, "name": ""}
        assert everything["compute"] == pytest.approx((14 + 1) / 15)  # the guard's run to the end
        assert own["compute"] < alone["policies"][0]["compute"]

    def test_against_all_has_every_baseline(self, against_all: Any) -> None:
        names = {policy["name"] for policy in against_all["policies"]}
        for kind in ("MedianPruner", "PercentilePruner", "SuccessiveHalving 2", "PatientPruner"):
            assert {f"{kind} (eval)", f"{kind} (train)"} <= names
        assert {"HyperbandPruner 3 (eval)", "random 50 %", "top 5 by early eval"} <= names
        assert {"configuration only", "early eval only", "paper's sign"} <= names
        assert against_all["points"] == 5
        assert {gain["over"] for gain in against_all["gains"]} == names - {"sft-sweep"}

    def test_has_a_row_for_each_group_and_policy(self, alone: Any) -> None:
        rows = {(row["group"], row["policy"]): row for row in alone["per_group"]}
        assert len(rows) == len(alone["per_group"]) == 2 * 3
        mean = (rows["a", "sft-sweep"]["compute"] + rows["b", "sft-sweep"]["compute"]) / 2
        assert alone["policies"][0]["compute"] == pytest.approx(mean)
        assert rows["a", "sft-sweep"]["workload"] == "work a"

    def test_counts_what_is_left_out_and_states_the_floor(self, alone: Any) -> None:
        group = alone["groups"][0]
        assert (group["runs"], group["finished"], group["guarded"], group["left_out"]) == (
            15,
            14,
            1,
            1,
        )
        assert alone["floor"] == pytest.approx((3 + 0.1 * 12) / 15)

    def test_is_the_same_again_and_another_with_another_seed(self) -> None:
        assert run("--seed", "3") == run("--seed", "3")
        assert run("--seed", "3")["per_group"] != run("--seed", "4")["per_group"]

    def test_more_workers_take_less_time(self, alone: Any) -> None:
        assert run("--workers", "4")["policies"][0]["wall"] < 0.5 * (alone["policies"][0]["wall"])


class TestText:
    def shown(self, document: Any, width: int) -> str:
        stream = io.StringIO()
        print_replay(document, Console(file=stream, width=width, markup=False, highlight=False))
        return stream.getvalue()

    def test_says_in_words_what_was_saved_and_lost(self, against_all: Any) -> None:
        text = " ".join(self.shown(against_all, 100).split())
        own = against_all["policies"][0]
        assert f"sft-sweep trained {own['compute']:.1%} of everything" in text
        assert "Of the baselines that lost no more," in text and "was the cheapest" in text
        assert "2 runs are left out, failed or pruned by rank when recorded" in text
        assert "2 runs were ended by a guard" in text
        assert "A run was evaluated 2 times when recorded" in text

    def test_names_the_orders_that_chose_the_best_baseline(self, against_all: Any) -> None:
        text = " ".join(self.shown(against_all, 100).split())
        assert "That is by 2 orders; with more it may be another baseline." in text

    def test_explains_each_name_in_a_line(self, alone: Any, against_all: Any) -> None:
        lines = self.shown(against_all, 80).splitlines()
        for start in ("random 75 %: that share", "audit 0: no pruned"):
            assert sum(line.startswith(start) for line in lines) == 1
        assert "random 75 %" not in self.shown(alone, 80)

    def test_says_what_the_floor_is_and_what_is_not_used(self, alone: Any) -> None:
        text = " ".join(self.shown(alone, 80).split())
        looks = "3 runs trained to their end plus one look at each of the others"
        assert f"floor: {alone['floor']:.3f} of the compute, with {looks}." in text
        assert "pruning.history is not used" in text

    def test_few_groups_are_cautioned_about(self, alone: Any) -> None:
        assert alone["cautions"] == ["Caution: 2 groups say little of how another study would do."]
        assert alone["cautions"][0] in self.shown(alone, 80)

    def test_few_runs_are_cautioned_about_by_group(self, alone: Any) -> None:
        groups = [
            {**group, "finished": n} for group, n in zip(alone["groups"], (7, 8), strict=True)
        ]
        assert any("(a has 7)" in one for one in cautions({**alone, "groups": groups}))

    def test_five_groups_of_eight_runs_need_no_caution(self, alone: Any) -> None:
        assert cautions({**alone, "groups": [{**alone["groups"][0], "finished": 8}] * 5}) == []

    def test_one_order_of_one_group_has_no_interval_anywhere(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.modules[__name__], "STUDIES", STUDIES[:1])
        document = run("--against", "all", "--points", "5", orders=1)
        assert document["gains"][0]["compute_low"] is None
        for width in (80, 170):
            assert "95 %:" not in self.shown(document, width)
            assert "(95 %" not in self.shown(document, width)

    def test_shows_what_fits_the_terminal(self, against_all: Any) -> None:
        narrow, wide = self.shown(against_all, 80), self.shown(against_all, 170)
        assert max(map(len, narrow.splitlines())) <= 80
        assert "settings" not in narrow and "Not shown at this width: p90, wall." in narrow
        assert "lost best: replays" in narrow
        assert "p90: of" not in narrow and "wall: in full runs" not in narrow
        assert "eta 2, min_resource" in wide and max(map(len, wide.splitlines())) <= 170
        assert "p90: of" in wide and "wall: in full runs" in wide and "Not shown" not in wide

    def test_has_the_intervals_of_compute_and_regret_also_at_80_columns(
        self, against_all: Any
    ) -> None:
        changed = {"compute_low": 0.4231, "compute_high": 0.492}
        changed |= {"regret_low": -0.0104, "regret_high": 1.0234}
        own, *others = against_all["policies"]
        document = {**against_all, "policies": [{**own, **changed}, *others]}
        compute, regret = f"{own['compute']:.3f}", f"{own['regret_mean']:.3f}"
        wide = [compute, "0.423 to 0.492", regret, "-0.010 to 1.023"]
        narrow = [compute, ".423 .492", regret, "-.010 1.023"]
        for width, wanted in ((170, wide), (80, narrow)):
            lines = self.shown(document, width).splitlines()
            line = next(line for line in lines if line.startswith("sft-sweep  "))
            assert [cell.strip() for cell in line.split("  ") if cell.strip()][1:5] == wanted
            assert any(line.startswith("95 %: by resampling") for line in lines)

    def test_leaves_out_intervals_last_and_compute_and_regret_never(self, against_all: Any) -> None:
        found: list[str] = []
        for width in (104, 80, 70, 60, 50):
            text = self.shown(against_all, width)
            head = next(line for line in text.splitlines() if line.startswith("policy "))
            assert "compute" in head and "regret" in head
            assert ("95 %: by" in text) == ("low high" in head or "95 %" in head)
            (left_out,) = [line for line in text.splitlines() if "Not shown" in line] or [""]
            found.append(left_out.removeprefix("Not shown at this width: "))
        assert found == [
            *("", "p90, wall.", "p90, lost best, wall.", "compute 95 %, p90, lost best, wall."),
            "compute 95 %, regret 95",  # goes on in the next line
        ]

    def test_a_baseline_that_ties_but_for_rounding_counts_as_one_that_lost_no_more(
        self, against_all: Any
    ) -> None:
        own = next(p for p in against_all["policies"] if p["name"] == "sft-sweep")
        changed = {"compute": 0.01, "regret_mean": own["regret_mean"] + 1e-15}
        policies = [
            {**p, **changed} if p["name"] == "MedianPruner (train)" else p
            for p in against_all["policies"]
        ]
        said = verdict({**against_all, "policies": policies})[1]
        assert said.startswith(
            "Of the baselines that lost no more, MedianPruner (train) was the cheap"
        )

    def test_says_where_no_run_could_be_judged(self, against_all: Any) -> None:
        groups = [{**group, "windows": 0} for group in against_all["groups"]]
        said = " ".join(cautions({**against_all, "groups": groups}))
        assert "so none could be judged, and all were trained to their end." in said
        assert "none could be judged" not in " ".join(cautions(against_all))

    def test_an_interval_without_width_is_none(self, against_all: Any) -> None:
        everything = next(p for p in against_all["policies"] if p["name"] == "keep all")
        assert everything["regret_low"] == everything["regret_high"] == 0
        lines = self.shown(against_all, 170).splitlines()
        line = next(line for line in lines if line.startswith("keep all"))
        assert line.split()[2:8] == [
            f"{everything['compute']:.3f}",
            "-",
            "0.000",
            "-",
            "0.000",
            "0%",
        ]
        assert "- where all of them are equal." in "\n".join(lines)
        same = {"compute_low": 0.5, "compute_high": 0.5 + 1e-12, "regret_low": 0.0}
        policies = [{**p, **same, "regret_high": 0.0} for p in against_all["policies"]]
        document = {**against_all, "policies": policies}
        said = verdict(document)[0]
        assert "95 %" not in said
        assert "95 %" not in self.shown({**document, "verdict": [said]}, 100)

    def test_puts_ours_first_and_the_others_by_regret(self, against_all: Any) -> None:
        lines = self.shown(against_all, 80).splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("sft-sweep "))
        table = lines[start : start + len(against_all["policies"])]
        assert table[1].startswith("sft-sweep, audit 0")
        by_name = {row["name"]: row["regret_mean"] for row in against_all["policies"]}
        regrets = [by_name[line.split("  ")[0]] for line in table[2:]]
        assert regrets == sorted(regrets)


class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--orders", "0"], "--orders: is 0; must be at least 1"),
            (["--workers", "0"], "--workers: is 0; must be at least 1"),
            (["--points", "2"], "--points: is 2; must be at least 4"),
            (["--seed", "-1"], "--seed: is -1; must be at least 0"),
            (["--set", "risk=1.5"], "--set risk: is 1.5; must be less than 1"),
            (["--set", "window=0.5"], "--set window: is 0.5; must be at most 0.25"),
            (["--set", "min_gain=-1"], "--set min_gain: is -1; must be at least 0"),
            (["--set", "risk"], "--set risk: must be key.path=value, as run.trials=8"),
            (
                ["--set", "guards=false"],
                "--set guards: no setting of a replay; there are window, min_steps, startup, risk, "
                "min_gain, max_expected_misses, audit, prior_strength",
            ),
            (["--figure", "x.txt"], "--figure: is x.txt; its name must end in .svg, .png, .pdf"),
            (["--figure", "README.md/x.png"], "--figure: cannot write README.md/x.png"),
        ],
    )
    def test_out_of_range_is_one_sentence(
        self, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["replay", "nowhere", *arguments]) == 2
        assert capsys.readouterr().err == f"sweep: {sentence}\n"

    def test_the_window_stays_as_recorded_unless_named(self) -> None:
        assert read_settings([]) == (Settings(), Window())
        assert read_settings(["min_steps=4"])[1] == Window(None, 4)
        assert read_settings(["window=0.2", "risk=3e-1"]) == (Settings(risk=0.3), Window(0.2))

    def test_nothing_that_ended_is_refused_by_name(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        endless = study_of([None, None], name="endless")
        monkeypatch.setattr("sweep.analysis.replay.read_sources", lambda texts: [endless])  # pyright: ignore
        assert main(["replay", "x"]) == 2
        error = capsys.readouterr().err
        assert error == (
            "sweep: nothing to replay: no run of endless was trained to its end with an objective\n"
        )


def without_regret(document: Any) -> Any:
    nothing = {"regret_mean": 0.0, "regret_low": 0.0, "regret_high": 0.0}
    return {**document, "policies": [{**row, **nothing} for row in document["policies"]]}


def drawn(document: Any) -> tuple[Any, list[Any]]:
    """The axes, and where the policies' names stand."""
    figure = make_figure(document)
    figure.canvas.draw()
    (axes,) = figure.axes
    names = {row["name"] for row in document["policies"]}
    labels = [text for text in axes.texts if text.get_text() in names]
    # of the text alone: an annotation's own extent has its line too
    return axes, [Text.get_window_extent(label, figure.canvas.get_renderer()) for label in labels]


class TestFigure:
    @pytest.mark.parametrize("place", ["file/x.png", "folder.png"])
    def test_a_place_that_cannot_be_written_is_refused_at_once(
        self, place: str, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "folder.png").mkdir()
        with pytest.raises(UserError, match="--figure: cannot write"):
            check_figure(tmp_path / place)

    def test_a_missing_folder_is_made_only_when_drawn(self, tmp_path: Path) -> None:
        check_figure(tmp_path / "new" / "x.png")
        assert list(tmp_path.iterdir()) == []

    def test_the_frontier_is_what_none_beats(self) -> None:
        points = [(0.5, 0.1), (0.2, 0.3), (0.6, 0.1), (0.5, 0.2), (1.0, 0.0), (0.3, 0.4)]
        policies = [{"compute": x, "regret_mean": y} for x, y in points]
        assert frontier(policies) == [(0.2, 0.3), (0.5, 0.1), (1.0, 0.0)]

    def test_no_name_covers_another_or_leaves_the_axes(self, against_all: Any) -> None:
        few = {**against_all, "policies": against_all["policies"][:2]}
        for document in (against_all, few, without_regret(few)):
            axes, boxes = drawn(document)
            assert len(boxes) == len(document["policies"])
            for i, box in enumerate(boxes):
                assert axes.bbox.y0 < box.y0 and box.y1 < axes.bbox.y1 and axes.bbox.x0 < box.x0
                assert not any(box.overlaps(other) for other in boxes[:i])

    def test_without_any_regret_the_axis_has_several_ticks(self, against_all: Any) -> None:
        axes, _ = drawn(without_regret(against_all))
        assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "0.005", "0.01"]

    def test_names_every_policy(self, against_all: Any) -> None:
        path = against_all["drawn"]
        drawn = path.read_text()
        for policy in against_all["policies"]:
            assert f">{policy['name']}<" in drawn
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
