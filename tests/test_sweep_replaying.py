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
from rich.console import Console

from predictor.policies import Window
from predictor.recorded import RecordedStudy
from predictor.recorded_files import write_frames
from predictor.types import Settings
from sweep import replaying
from sweep.cli import main
from sweep.replay_text import print_replay
from sweep.replaying import read_settings
from sweep.study import Pruning
from tests.evidence_studies import grid, run_of, study_of
from tests.recorded_frames import frames, run_row


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


def run(*arguments: str) -> Any:
    """The document of `sweep replay --json` on STUDIES with these arguments."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.setattr(replaying, "read_sources", lambda texts: STUDIES)  # pyright: ignore
        assert replaying_main("x", "--json", *arguments) == 0
    return json.loads(out.getvalue())


def replaying_main(*arguments: str) -> int:
    return main(["replay", "--orders", "2", *arguments])


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
        document = run("--audit", "0", "--risk", "0.3", "--startup", "2")
        own, unaudited, everything = document["policies"]
        assert own["settings"] | {"risk": 0.3, "startup": 2, "audit": 0.0} == own["settings"]
        assert {**own, "name": ""} == {**unaudited, "name": ""}
        assert everything["compute"] == pytest.approx((14 + 1) / 15)  # the guard's run to the end
        assert own["compute"] < alone["policies"][0]["compute"]

    def test_against_all_has_every_rival(self, against_all: Any) -> None:
        names = {policy["name"] for policy in against_all["policies"]}
        for kind in ("MedianPruner", "PercentilePruner", "SuccessiveHalving 2", "PatientPruner"):
            assert {f"{kind} (eval)", f"{kind} (train)"} <= names
        assert {"HyperbandPruner 3 (eval)", "random 50 %", "top 5 by early eval"} <= names
        assert {"configuration only", "early eval only", "model M", "paper's sign"} <= names
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
        assert "Of the rivals that lost no more," in text and "was the cheapest" in text
        assert "2 runs are left out, failed or pruned by rank when recorded" in text
        assert "2 runs were ended by a guard" in text
        assert "A run was evaluated 2 times when recorded" in text

    def test_shows_what_fits_the_terminal(self, against_all: Any) -> None:
        narrow, wide = self.shown(against_all, 80), self.shown(against_all, 170)
        assert max(map(len, narrow.splitlines())) <= 80
        assert "settings" not in narrow and "95 %  " not in narrow
        assert "eta 2, min_resource" in wide and max(map(len, wide.splitlines())) <= 170

    def test_puts_ours_first_and_the_others_by_regret(self, against_all: Any) -> None:
        lines = self.shown(against_all, 80).splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("sft-sweep "))
        table = lines[start : start + len(against_all["policies"])]
        assert table[1].startswith("sft-sweep, audit 0")
        regrets = [float(line[-80:].split()[-5]) for line in table[2:]]
        assert regrets == sorted(regrets)


class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--orders", "0"], "--orders: is 0; must be at least 1"),
            (["--workers", "0"], "--workers: is 0; must be at least 1"),
            (["--points", "2"], "--points: is 2; must be at least 4"),
            (["--seed", "-1"], "--seed: is -1; must be at least 0"),
            (["--risk", "1.5"], "--risk: is 1.5; must be less than 1"),
            (["--window", "0.5"], "--window: is 0.5; must be at most 0.25"),
            (["--min-gain", "-1"], "--min-gain: is -1.0; must be at least 0"),
            (["--figure", "x.txt"], "--figure: is x.txt; its name must end in .svg, .png, .pdf"),
        ],
    )
    def test_out_of_range_is_one_sentence(
        self, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["replay", "nowhere", *arguments]) == 2
        assert capsys.readouterr().err == f"sweep: {sentence}\n"

    def test_the_window_stays_as_recorded_unless_named(self) -> None:
        assert read_settings({}) == (Settings(), Window())
        assert read_settings({"min_steps": 4})[1] == Window(None, 4)
        assert read_settings({"window": 0.2, "risk": 0.3}) == (Settings(risk=0.3), Window(0.2))

    def test_nothing_that_ended_is_refused_by_name(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        endless = study_of([None, None], name="endless")
        monkeypatch.setattr("sweep.replaying.read_sources", lambda texts: [endless])  # pyright: ignore
        assert main(["replay", "x"]) == 2
        error = capsys.readouterr().err
        assert error == (
            "sweep: nothing to replay: no run of endless was trained to its end with an objective\n"
        )


class TestFigure:
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
        assert replaying_main("x", "--figure", "regret.png") == 2
        error = capsys.readouterr().err
        assert error == (
            "sweep: --figure needs matplotlib, which is not installed: "
            "pip install 'sft-sweep[figures]'\n"
        )
