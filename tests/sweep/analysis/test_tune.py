"""`sweep tune` from the sources to the study file, whose every other character stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from rich.console import Console

from predictor.recorded.runs import RecordedStudy
from predictor.replay.policies import Window
from predictor.tuning.design import Candidate
from predictor.types import Settings
from sweep.analysis import tune as module
from sweep.analysis.tune import show_tuning
from sweep.analysis.tune_text import print_tuning, verdict
from sweep.config.edit import Change, with_pruning, write_pruning
from sweep.config.load import load_study
from sweep.storage.paths import StudyPaths
from sweep.storage.study_source import source_line, source_of
from tests.support.sweep_ledgers import document, written
from tests.support.tuning_studies import noise, tells_at_once
from trainer.contract.spec import UserError

STUDY = """\
# Mine, and nobody's else
name: demo   # as in the talk
model: {{base: org/tiny-base,
        dtype: float32}}
data: {{train: org/rows, eval: org/others}}
budget: {{samples: 2048}}
search:
    sampler: random
    space:
        learning_rate: {{low: 1.0e-5, high: 3e-2, log: true}}
        batch_size: 16
{pruning}
run: {{trials: 14, seed: 0}}   # enough?
"""
FLOW = "pruning: {window: 0.1, risk: 0.10, startup: 3}  # to be tuned"
BLOCK = """\
pruning:
    # how early
    window: 0.1
    risk:   0.10    # was 0.2
    startup: 3

    # the rest as it comes"""
BETTER = {"window": 0.05, "risk": 0.2, "audit": 0.05}


def study_file(folder: Path, pruning: str = FLOW) -> Path:
    file = folder / "mine.yaml"
    file.write_text(STUDY.format(pruning=pruning))
    return file


class TestTheStudyFile:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (FLOW, "pruning: {window: 0.05, risk: 0.2, startup: 3, audit: 0.05}  # to be tuned"),
            (
                BLOCK,
                BLOCK.replace("window: 0.1", "window: 0.05")
                .replace("risk:   0.10", "risk:   0.2")
                .replace("startup: 3\n", "startup: 3\n    audit: 0.05\n"),
            ),
            ("pruning: {}", "pruning: {window: 0.05, risk: 0.2, audit: 0.05}"),
            (
                "pruning: {window: 0.1, # early\n          startup: 2}",
                "pruning: {window: 0.05, # early\n          startup: 2, risk: 0.2, audit: 0.05}",
            ),
        ],
        ids=["flow", "block", "empty", "two lines"],
    )
    def test_nothing_changes_but_the_values(self, tmp_path: Path, before: str, after: str) -> None:
        file = study_file(tmp_path, before)
        write_pruning(file, BETTER)
        assert file.read_text() == STUDY.format(pruning=after)
        pruning = load_study(file).study.pruning
        settings = pruning.settings()
        assert (pruning.window, settings.risk, settings.audit) == (0.05, 0.2, 0.05)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]

    def test_a_section_that_is_not_there_comes_last(self, tmp_path: Path) -> None:
        file = study_file(tmp_path, "")
        before = file.read_text()
        write_pruning(file, {"risk": 0.2})
        assert file.read_text() == before + "pruning: {risk: 0.2}\n"

    def test_line_ends_are_kept(self) -> None:
        text = "name: x\r\npruning:\r\n  risk: 0.1\r\n"
        assert with_pruning(text, {"risk": "0.2", "audit": "0.05"}) == (
            "name: x\r\npruning:\r\n  risk: 0.2\r\n  audit: 0.05\r\n"
        )

    def test_what_changed_is_told_and_what_did_not_is_left(self, tmp_path: Path) -> None:
        file = study_file(tmp_path)
        assert write_pruning(file, {"risk": 0.2, "audit": 0.05, "startup": 3}) == [
            Change("pruning.risk", 0.1, 0.2, is_new=False),
            Change("pruning.audit", 0.1, 0.05, is_new=True),
        ]
        assert write_pruning(file, {"risk": 0.2}) == []

    @pytest.mark.parametrize(
        ("pruning", "values", "sentence"),
        [
            ("other: &o 0.1\npruning: {risk: 0.1}", {"risk": 0.2}, "other: unknown key"),
            ("pruning: {min_steps: 8}", {"min_steps": 100}, "left as it is.*pruning"),
            (
                "pruning: {risk: &r 0.1, audit: *r}",
                {"risk": 0.2},
                "not valid YAML|cannot be changed alone",
            ),
        ],
    )
    def test_what_would_be_no_study_is_not_written(
        self, tmp_path: Path, pruning: str, values: dict[str, Any], sentence: str
    ) -> None:
        file = study_file(tmp_path, pruning)
        before = file.read_text()
        with pytest.raises(UserError, match=sentence):
            write_pruning(file, values)
        assert file.read_text() == before
        assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


# --- the command


@pytest.fixture
def few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """One setting to choose from, and one process to replay in."""
    offer(monkeypatch, lambda base: Candidate(Settings(risk=0.2, startup=2), Window(0.03, 2)))
    monkeypatch.setattr(module, "num_cores", lambda: 1)


def offer(monkeypatch: pytest.MonkeyPatch, other: Callable[[Candidate], Candidate]) -> None:
    """The setting to choose from beside the present one."""
    monkeypatch.setattr("predictor.tuning.search.design", lambda base, *args: [base, other(base)])


def tune(texts: Sequence[Path | str], studies: Sequence[RecordedStudy] = (), **options: Any) -> int:
    """show_tuning, the sources holding `studies`."""
    named: dict[str, Any] = {"risk": None, "write": False, "to": None, "as_json": False}
    named |= {"num_workers": 1, "num_orders": 2, "seed": 0, "max_runs": 200}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "read_sources", lambda texts: list(studies))
        return show_tuning([str(text) for text in texts], **(named | options))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder of a study that was run from tmp_path/mine.yaml."""
    folder = tmp_path / "demo"
    with written(folder):
        pass
    line = source_line(load_study(study_file(tmp_path)))
    StudyPaths(folder).study_file.write_text(line + "name: demo\n")
    return folder


CLEAR = [tells_at_once(name, 10) for name in "abcde"]


@pytest.mark.usefixtures("few_settings")
class TestTheCommand:
    def test_writes_into_the_file_that_the_study_was_run_from(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert tune([made], CLEAR, write=True) == 0
        pruning = load_study(tmp_path / "mine.yaml").study.pruning
        assert (pruning.window, pruning.min_steps) == (0.03, 2)
        assert pruning.settings().startup == 2
        said = " ".join(capsys.readouterr().out.split())
        assert "Recommended: window 0.1 to 0.03, min_steps 8 to 2, startup 3 to 2" in said
        assert "pruning.startup: 3 -> 2" in said
        assert "pruning.min_steps: 8 (default) -> 2" in said

    def test_leaves_the_file_where_nothing_is_better(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = (tmp_path / "mine.yaml").read_text()
        assert tune([made], [noise(name, 10) for name in "abcde"], write=True) == 0
        assert (tmp_path / "mine.yaml").read_text() == before
        said = " ".join(capsys.readouterr().out.split())
        assert "No setting is better than the present one beyond its interval: keep it." in said
        assert "was left as it is" in said

    def test_prints_one_document(self, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert tune([made], CLEAR, as_json=True) == 0

        def refuse(text: str) -> None:
            raise AssertionError(text)

        document = json.loads(capsys.readouterr().out, parse_constant=refuse)
        assert document["is_better"]
        assert document["changes"]["startup"] == [3, 2]
        assert document["folds_over"] == "workloads"
        assert len(document["frontier"]) == 5
        assert document["origin"] == "the study's own"
        assert document["written"] is None

    def test_the_present_setting_is_that_of_the_file_to_write_to(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "other").mkdir()
        file = study_file(tmp_path / "other", "pruning: {risk: 0.4, window: 0.1}")
        assert tune([made], CLEAR, write=True, to=file, as_json=True) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["origin"] == "as in mine.yaml"
        assert document["changes"]["risk"][0] == 0.4

    def test_few_runs_are_too_few(self, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert tune([made], [noise("a", 3)]) == 0
        assert "Too few runs to tune on: 3 runs were trained" in capsys.readouterr().out
        assert tune([made], [noise("a", 3)], as_json=True) == 0
        assert json.loads(capsys.readouterr().out)["recommended"] is None

    def test_a_file_that_is_left_is_said_to_be_left(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file, before = tmp_path / "mine.yaml", (tmp_path / "mine.yaml").read_text()
        assert tune([made], [noise("a", 3)], write=True) == 0
        assert "mine.yaml was left as it is." in " ".join(capsys.readouterr().out.split())
        assert tune([made], [noise("a", 3)], write=True, as_json=True) == 0
        written = json.loads(capsys.readouterr().out)["written"]
        assert written == {"file": str(file), "changes": [], "error": None}
        assert file.read_text() == before

    def test_says_on_leaving_that_nothing_was_written(
        self, made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def leave(*args: object, **options: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(module, "tune", leave)
        with pytest.raises(KeyboardInterrupt):
            tune([made], CLEAR, write=True)
        assert capsys.readouterr().err == "stopped; nothing was written\n"

    def test_a_single_order_of_one_study_is_too_few(self, made: Path) -> None:
        with pytest.raises(UserError, match="--orders 1: a: one study of one seed needs 2 orders"):
            tune([made], [noise("a", 10)], num_orders=1)

    def test_a_fault_of_ours_is_not_called_the_users(
        self, made: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: object, **options: object) -> None:
            raise ValueError("a fault")

        monkeypatch.setattr(module, "tune", fail)
        with pytest.raises(ValueError, match="a fault") as caught:
            tune([made], CLEAR)
        assert not isinstance(caught.value, UserError)


@pytest.mark.usefixtures("few_settings")
class TestTheFileThatIsWrittenTo:
    def test_keeps_what_was_edited_since_the_run(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        edited = "pruning: {window: 0.1, risk: 0.20, min_gain: 0.04, startup: 3}"
        file = study_file(tmp_path, edited)
        earlier = Window(0.03, 2)
        offer(monkeypatch, lambda base: Candidate(replace(base.settings, startup=2), earlier))
        tune([made], CLEAR, write=True)
        now = "pruning: {window: 0.03, risk: 0.20, min_gain: 0.04, startup: 2, min_steps: 2}"
        assert file.read_text() == STUDY.format(pruning=now)

    def test_gets_the_settings_of_the_run_where_those_were_better(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = study_file(tmp_path, "pruning: {window: 0.25}")
        offer(monkeypatch, lambda base: replace(base, window=Window(0.1, 8)))
        tune([made], CLEAR, write=True)
        assert file.read_text() == STUDY.format(pruning="pruning: {window: 0.1}")

    @pytest.mark.parametrize(("window", "present"), [(0.1, None), (0.2, 0.2)])
    def test_its_window_is_the_recorded_one_unless_it_was_edited(
        self,
        made: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        window: float,
        present: float | None,
    ) -> None:
        study_file(tmp_path, f"pruning: {{window: {window}}}")
        recorded = [replace(noise(name, 8), recorded_window=12.0) for name in "ab"]
        tune([made], recorded, write=True, as_json=True)
        document = json.loads(capsys.readouterr().out)
        assert document["present"]["window"] == present

    def test_the_document_is_printed_where_it_cannot_be_written(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = study_file(tmp_path, "pruning: {window: &w 0.1, risk: *w}")
        with pytest.raises(UserError) as caught:
            tune([made], CLEAR, write=True, as_json=True)
        document = json.loads(capsys.readouterr().out)
        assert document["is_better"]
        assert document["written"] == {"file": str(file), "changes": [], "error": str(caught.value)}


class TestAHistory:
    HISTORY = "pruning: {history: [../runs/old], prior_strength: 1.5}"

    @pytest.mark.parametrize(
        ("pruning", "fixed"),
        [(HISTORY, ("prior_strength",)), ("pruning: {prior_strength: 1.5}", ())],
    )
    def test_keeps_its_strength_as_replays_do_not_know_it(
        self,
        made: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        pruning: str,
        fixed: tuple[str, ...],
    ) -> None:
        study_file(tmp_path, pruning)
        asked: list[object] = []

        def few(base: Candidate, *args: object) -> list[Candidate]:
            asked.append(args[-1])
            return [base]

        monkeypatch.setattr("predictor.tuning.search.design", few)
        monkeypatch.setattr(module, "num_cores", lambda: 1)
        assert tune([made], [noise("a", 8)], write=True) == 0
        assert asked == [fixed]
        said = " ".join(capsys.readouterr().out.split())
        assert ("Replays know no pruning.history" in said) == bool(fixed)

    def test_of_the_study_itself_counts_where_no_file_is_written(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], few_settings: None
    ) -> None:
        asked = {**document(), "pruning": {"history": ["old"]}}
        with (
            patch("tests.support.sweep_ledgers.document", lambda: asked),
            written(tmp_path / "past"),
        ):
            pass
        tune([tmp_path / "past"], [noise("a", 8)], as_json=True)
        limits = json.loads(capsys.readouterr().out)["limits"]
        assert any("Replays know no pruning.history" in one for one in limits)


@pytest.mark.usefixtures("few_settings")
class TestTheText:
    def test_says_that_so_few_orders_have_no_intervals(
        self, made: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tune([made], [tells_at_once("a", 10)], as_json=True)
        document = json.loads(capsys.readouterr().out)
        assert document["compute_gained"]["low"] is None
        said = " ".join(" ".join(printed(document)).split())
        assert "So few orders of so few groups tell of no setting that it is better" in said
        assert "Intervals: none of so few (2 orders of the groups)." in said
        assert "None" not in said

    def test_says_of_each_lost_run_what_it_was_and_why_it_was_stopped(
        self,
        made: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        rash = "risk: 0.3, min_gain: 0.2, audit: 0.0, startup: 2, max_expected_misses: 9.0"
        study_file(tmp_path, f"pruning: {{window: 0.03, {rash}}}")
        offer(monkeypatch, lambda base: base)
        tune([made], [noise(name) for name in "abc"], write=True, as_json=True)
        document = json.loads(capsys.readouterr().out)
        lines = printed(document)
        start = lines.index("Runs that the present setting loses, better than any that it keeps")
        assert document["present_losses"]
        for loss in document["present_losses"]:
            rows = [row for row in lines[start:] if row.split()[:1] == [loss["run"]]]
            p, p0 = loss["probability"], loss["before"]
            assert any(row.endswith(f"{p:.2f}  {p0:.2f}") for row in rows)
            assert loss["reason"].startswith("P(beats run ")
            rest = " ".join(" ".join(lines[start:]).split())
            rate = loss["config"]["learning_rate"]
            assert f"{loss['study']}, learning_rate {rate:.3g} {loss['reason']}" in rest

    def test_the_frontier_shows_the_risk_and_its_misses(
        self, made: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tune([made], CLEAR, as_json=True)
        document = json.loads(capsys.readouterr().out)
        line = document["frontier"][-1]
        assert line["candidate"] == document["frontier"][0]["candidate"]
        (row,) = [cells for cells in map(str.split, printed(document)) if cells[1:2] == ["0.2"]]
        assert row[0] == "0.005"
        assert row[1] == f"{line['candidate']['risk']:g}" == "0.2"
        assert row[2] == f"{1 - line['in_sample']['compute']['mean']:.3f}"
        held = line["held_out"]
        assert row[-2:] == [f"{held['misses']:.2f}", f"{held['stated_misses']:.2f}"]

    def test_says_saved_or_spent_and_more_or_less_and_what_was_judged(
        self, made: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tune([made], CLEAR, as_json=True)
        document = json.loads(capsys.readouterr().out)
        mean, low, high = (100 * document["compute_gained"][k] for k in ("mean", "low", "high"))
        assert mean < 0
        assert (
            f"it saved {-mean:.1f} points of the compute against the present setting "
            f"(95 % {-high:.1f} to {-low:.1f}), at the same regret."
        ) in document["verdict"][1]
        assert document["verdict"][-1] == (
            "Judged was the line of the frontier at 0.005, the only one up to 0.02 that is not the "
            "present setting."
        )
        worse = {"mean": 0.056, "low": -0.0001, "high": 0.1}
        less = {"mean": -0.022, "low": -0.05, "high": 0.0001}
        more = {**document, "compute_gained": worse, "regret_gained": less, "is_better": False}
        assert (
            "at a regret of at most 0.005 spent 5.6 points more of the compute than the present "
            "setting (95 % 0.0 to 10.0), at 0.022 less regret (95 % 0.000 to 0.050), on runs"
        ) in verdict(more)[1]

    def test_says_of_several_lines_that_each_is_a_chance_to_be_wrong(
        self, made: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tune([made], CLEAR, as_json=True)
        document = json.loads(capsys.readouterr().out)
        for number, line in enumerate(document["frontier"]):
            line["held_out"]["misses"] = number
        document |= {"judged": [0.02, 0.01], "gained_at": 0.01, "gained_level": 0.975}
        said = verdict(document)
        assert "(97.5 % " in said[1]
        assert (
            "at 0.02 and 0.01, in this order, and the first that is better is that at 0.01"
            in (said[2])
        )
        assert "in this order, and none is better" in verdict({**document, "is_better": False})[2]
        assert "2 chances to be wrong, so each interval of a difference is at 97.5 %" in said[2]

    def test_a_line_is_named_by_the_tightest_limit_that_it_meets(
        self, made: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tune([made], CLEAR, as_json=True)
        document = json.loads(capsys.readouterr().out)
        saved = f"{1 - document['frontier'][0]['in_sample']['compute']['mean']:.3f}"
        lines: list[str] = []
        for regret, label in ((0.013, "0.02"), (0.2, "0.1*")):
            for line in document["frontier"]:
                line["in_sample"]["regret"]["mean"] = regret
            lines = printed(document)
            rows = [
                cells for cells in map(str.split, lines) if cells[2:4] == [saved, f"{regret:.3f}"]
            ]
            assert [cells[0] for cells in rows] == [label]
        assert any(line.startswith("* No setting has so little regret in-sample") for line in lines)

    def test_seeds_are_called_seeds(self, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
        one = tells_at_once("a", 24)
        runs = tuple(replace(run, seed=str(i % 3)) for i, run in enumerate(one.runs))
        tune([made], [replace(one, runs=runs)])
        said = " ".join(capsys.readouterr().out.split())
        assert said.startswith("1 group of 3 seeds, 24 runs, 2 orders")
        assert "Intervals: bootstrap over 3 seeds" in said
        assert "`sweep replay` has the seeds together" in said

    def test_objectives_that_differ_or_are_turned_are_named(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rash = "risk: 0.3, min_gain: 0.2, audit: 0.0, startup: 2, max_expected_misses: 9.0"
        study_file(tmp_path, f"pruning: {{window: 0.03, {rash}}}")
        turned = replace(noise("a"), metric="accuracy", direction="maximize")
        tune([made], [turned, noise("b"), noise("c")], write=True)
        said = " ".join(capsys.readouterr().out.split())
        assert "The objectives differ (accuracy (maximize), eval_loss (minimize)): each" in said
        assert (
            "objective, best kept: accuracy turned into an error rate, half a question up" in said
        )
        assert "P and P0: means over the replays that lost the run; the reason" in said
        tune([made], [noise("b"), noise("c")], write=True)
        said = capsys.readouterr().out
        assert "The objectives differ" not in said and "turned" not in said

    def test_a_recorded_window_is_a_number_only_where_all_have_it(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for part in ("runs", "steps"):
            (tmp_path / f"x_{part}.parquet").touch()

        def said(*windows: float) -> list[list[str]]:
            named = zip("ab", windows, strict=True)
            studies = [replace(noise(name, 8), recorded_window=window) for name, window in named]
            tune([tmp_path / "x"], studies)
            return [line.split() for line in capsys.readouterr().out.splitlines()]

        assert ["window", "0.12", "(as", "recorded)", "the", "same"] in said(12.0, 12.0)
        assert ["window", "as", "recorded", "the", "same"] in said(12.0, 20.0)


def printed(document: dict[str, Any]) -> list[str]:
    """The lines on a terminal of 80 columns, none of them longer."""
    text = StringIO()
    print_tuning(document, Console(width=80, file=text))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    return lines


class TestWhereToWrite:
    def test_a_recorded_set_has_no_file(self, tmp_path: Path) -> None:
        for part in ("runs", "steps"):
            (tmp_path / f"x_{part}.parquet").touch()
        with pytest.raises(UserError, match="recorded set and has no study file"):
            tune([tmp_path / "x"], write=True)

    def test_of_several_sources_no_file_is_meant(self, made: Path) -> None:
        with pytest.raises(UserError, match="say which study file with --to FILE"):
            tune([made, made], write=True)

    def test_a_shipped_study_is_not_written_to(self) -> None:
        shipped = Path(load_study("quickstart").folder) / "quickstart.yaml"
        with pytest.raises(UserError, match=r"--to my-study\.yaml"):
            tune(["x"], write=True, to=shipped)

    def test_the_file_may_have_become_another_studys(self, made: Path, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(file.read_text().replace("name: demo", "name: other"))
        with pytest.raises(UserError, match="is the file of 'other' now, not of 'demo'"):
            tune([made], write=True)

    def test_a_study_whose_folder_does_not_say(self, made: Path) -> None:
        StudyPaths(made).study_file.write_text("name: demo\n")
        with pytest.raises(UserError, match="does not say which file"):
            tune([made], write=True)
        shutil.rmtree(made)
        assert source_of(StudyPaths(made)) is None

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"risk": 1.5}, "--risk is 1.5; must be less than 1"),
            ({"num_orders": 0}, "--orders 0: must be 1 or more"),
            ({"seed": -1}, "--seed -1: must be 0 or more"),
            ({"to": Path("x.yaml")}, "takes --write as well"),
            ({"to": Path("x.yaml"), "write": True}, "x.yaml: there is no such file"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, options: dict[str, Any], sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            tune(["x"], **options)


def test_the_source_of_a_shipped_study_is_its_file() -> None:
    assert source_line(load_study("quickstart")).endswith('/studies/quickstart.yaml"\n')
