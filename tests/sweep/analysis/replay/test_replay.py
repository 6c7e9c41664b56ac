"""`sweep replay`: what it reads, what it reports, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from predictor.recorded.files import write_frames
from predictor.replay.policies import WindowSetting
from predictor.types import Settings
from sweep.analysis.replay.report import PolicyResult, ReplayReport
from sweep.analysis.replay.settings import read_settings, settings_given
from sweep.cli import main
from tests.support.evidence_studies import study_of
from tests.support.recorded_frames import frames, run_row
from tests.support.replay_reports import replayed


@pytest.mark.slow
def test_the_command_reads_recorded_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frames(tmp_path / "x", *frames(*[run_row(i) for i in range(8)]))
    arguments = ["replay", str(tmp_path / "x"), "--orders", "3"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("g: 8 runs, replayed in 3 orders on 1 worker\n")
    assert "sft-sweep, audit 0" in text and "keep all" in text
    assert main([*arguments, "--json", "--set", "risk=0.2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [group["group"] for group in document["groups"]] == ["g"]
    assert (document["orders"], document["settings"]["risk"]) == (3, 0.2)
    assert {"compute", "compute_low", "regret_mean", "regret_high"} <= set(document["policies"][0])


class TestReport:
    def test_has_our_policy_with_the_default_settings(self, alone: ReplayReport) -> None:
        names = [policy.name for policy in alone.policies]
        assert names == ["sft-sweep", "sft-sweep, audit 0", "keep all"]
        own, default = alone.policies[0], Settings()
        for name in ("mode", "risk", "min_gain", "audit", "max_expected_misses"):
            assert own.settings[name] == getattr(default, name)
        assert own.groups == 2 and own.replays == 4
        assert 0 < (own.compute_low or 0) <= own.compute <= (own.compute_high or 0) < 1
        assert (own.regret_low or 0) <= own.regret_mean <= (own.regret_high or 0)

    def test_replays_the_mode_that_is_asked_for(self, alone: ReplayReport) -> None:
        stream = replayed(settings={"mode": "stream", "startup": 2})
        assert (stream.settings["mode"], stream.settings["startup"]) == ("stream", 2)
        assert stream.floor == pytest.approx((2 + 0.1 * 13) / 15)
        assert stream.policies[0].compute > alone.policies[0].compute
        scout = replayed(settings={"looks": [0.5]})
        assert scout.settings["looks"] == [0.5]

    @pytest.mark.slow
    def test_takes_settings_and_an_audit_of_0_makes_both_of_ours_equal(
        self, alone: ReplayReport
    ) -> None:
        report = replayed(settings={"audit": 0, "risk": 0.3})
        own, unaudited, everything = report.policies
        assert {**own.settings, "risk": 0.3, "audit": 0.0} == own.settings
        assert replace(own, name="") == replace(unaudited, name="")
        assert everything.compute == pytest.approx((14 + 1) / 15)  # the guard's run to the end
        assert own.compute < alone.policies[0].compute

    @pytest.mark.slow
    def test_against_all_has_every_baseline(self, against_all: ReplayReport) -> None:
        names = {policy.name for policy in against_all.policies}
        for kind in ("MedianPruner", "PercentilePruner", "SuccessiveHalving 2", "PatientPruner"):
            assert {f"{kind} (eval)", f"{kind} (train)"} <= names
        assert {"HyperbandPruner 3 (eval)", "random 50 %", "top 5 by early eval"} <= names
        assert {"configuration only", "early eval only", "paper's sign"} <= names
        assert {"ASHA 2", "ASHA 3", "MedianPruner (looks)", "sft-sweep, stream"} <= names
        assert against_all.points == 5
        assert {gain.over for gain in against_all.gains} == names - {"sft-sweep"}

    def test_has_a_row_for_each_group_and_policy(self, alone: ReplayReport) -> None:
        rows = {(row.group, row.policy): row for row in alone.per_group}
        assert len(rows) == len(alone.per_group) == 2 * 3
        mean = (rows["a", "sft-sweep"].compute + rows["b", "sft-sweep"].compute) / 2
        assert alone.policies[0].compute == pytest.approx(mean)
        assert rows["a", "sft-sweep"].workload == "work a"

    def test_counts_what_is_left_out_and_states_the_floor(self, alone: ReplayReport) -> None:
        group = alone.groups[0]
        assert (group.runs, group.finished, group.guarded, group.left_out) == (15, 14, 1, 1)
        assert alone.floor == pytest.approx((1 + 0.1 * 14) / 15)

    @pytest.mark.slow
    def test_is_the_same_again_and_another_with_another_seed(self, alone: ReplayReport) -> None:
        assert replayed() == alone
        assert replayed(seed=4).per_group != alone.per_group

    @pytest.mark.slow
    def test_more_workers_take_less_time(self, alone: ReplayReport) -> None:
        def wall(policies: tuple[PolicyResult, ...]) -> float:
            return policies[0].wall

        assert wall(replayed(workers=4).policies) < 0.7 * wall(alone.policies)


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
                "min_gain, max_expected_misses, audit, prior_strength, mode, looks",
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

    def test_settings_are_keys_of_the_study_files_pruning_section(self) -> None:
        given = settings_given(["risk=3e-1", "pruning.startup=2"])
        assert given == {"risk": 0.3, "startup": 2}

    def test_the_window_stays_as_recorded_unless_named(self) -> None:
        assert read_settings({}) == (Settings(), WindowSetting())
        assert read_settings({"min_steps": 4})[1] == WindowSetting(None, 4)
        assert read_settings({"window": 0.2, "risk": 0.3}) == (
            Settings(risk=0.3),
            WindowSetting(0.2),
        )

    def test_nothing_that_ended_is_refused_by_name(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        endless = study_of([None, None], name="endless")
        monkeypatch.setattr("sweep.analysis.replay.replay.read_sources", lambda texts: [endless])  # pyright: ignore
        assert main(["replay", "x"]) == 2
        error = capsys.readouterr().err
        assert error == (
            "sweep: nothing to replay: no run of endless was trained to its end with an objective\n"
        )
