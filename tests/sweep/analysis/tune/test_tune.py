"""`sweep tune`: what it reports, and which setting it takes for the present one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from predictor.tuning.design import Candidate
from sweep.analysis.tune import tune as module
from sweep.analysis.tune.tune import TooFewRuns
from sweep.documents import to_json
from tests.support.sweep_ledgers import document, written
from tests.support.tune_reports import CLEAR, study_file, tuned
from tests.support.tuning_studies import noise
from trainer.contract.spec import UserError

HISTORY = "Replays know no pruning.history"


@pytest.mark.usefixtures("few_settings")
class TestReport:
    @pytest.mark.slow
    def test_recommends_what_is_better(self, made: Path) -> None:
        report = tuned([made], CLEAR)
        assert report.is_better
        assert report.changes["startup"] == (3, 2)
        assert report.folds_over == "workloads"
        assert len(report.frontier) == 5
        assert report.written is None

    @pytest.mark.slow
    def test_recommends_the_present_setting_where_nothing_is_better(self, made: Path) -> None:
        report = tuned([made], [noise(name, 10) for name in "abcde"])
        assert not report.is_better
        assert report.recommended == report.present and report.changes == {}

    @pytest.mark.slow
    def test_is_json(self, made: Path) -> None:
        report = tuned([made], CLEAR)
        found = json.loads(json.dumps(to_json(report), allow_nan=False))
        assert found["present"]["window"] == report.present["window"]
        assert found["compute_gained"]["mean"] == report.compute_gained.mean
        assert found["recorded_window"].keys() == {"share", "min_steps"}

    def test_of_few_runs_there_is_none(self, made: Path) -> None:
        with pytest.raises(TooFewRuns, match=r"^too few runs to tune on: 3 runs were trained"):
            tuned([made], [noise("a", 3)])

    def test_of_a_single_order_of_one_study_there_is_none(self, made: Path) -> None:
        with pytest.raises(UserError, match=r"^orders 1: a: one study of one seed needs 2 orders"):
            tuned([made], [noise("a", 10)], orders=1)

    def test_a_fault_of_ours_is_not_called_the_users(
        self, made: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: object, **options: object) -> None:
            raise ValueError("a fault")

        monkeypatch.setattr(module, "search", fail)
        with pytest.raises(ValueError, match="a fault") as caught:
            tuned([made], CLEAR)
        assert not isinstance(caught.value, UserError)

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"risk": 1.5}, "^risk is 1.5; must be less than 1"),
            ({"orders": 0}, "^orders: is 0; must be at least 1"),
            ({"workers": 0}, "^workers: is 0; must be at least 1"),
            ({"seed": -1}, "^seed: is -1; must be at least 0"),
            ({"max_runs": 2}, "^max_runs: is 2; must be at least 20"),
        ],
    )
    def test_takes_no_option_that_is_out_of_range(
        self, options: dict[str, float], sentence: str
    ) -> None:
        with pytest.raises(UserError, match=sentence):
            tuned(["x"], CLEAR, **options)


@pytest.mark.usefixtures("few_settings")
class TestThePresentSetting:
    @pytest.mark.slow
    def test_is_the_studys_own(self, made: Path) -> None:
        assert tuned([made], CLEAR).origin == "the study's own"

    def test_is_that_of_the_file_if_one_is_named(self, made: Path, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        file = study_file(tmp_path / "other", "pruning: {risk: 0.4, window: 0.1}")
        report = tuned([made], CLEAR, file=file)
        assert (report.origin, report.present["risk"]) == ("as in mine.yaml", 0.4)

    @pytest.mark.parametrize(("window", "present"), [(0.1, None), (0.2, 0.2)])
    def test_has_the_recorded_window_unless_the_files_was_edited(
        self, made: Path, tmp_path: Path, window: float, present: float | None
    ) -> None:
        file = study_file(tmp_path, f"pruning: {{window: {window}}}")
        recorded = [replace(noise(name, 8), recorded_window=12.0) for name in "ab"]
        assert tuned([made], recorded, file=file).present["window"] == present


class TestAHistory:
    @pytest.mark.parametrize(
        ("pruning", "fixed"),
        [
            ("pruning: {history: [../runs/old], prior_strength: 1.5}", ("prior_strength",)),
            ("pruning: {prior_strength: 1.5}", ()),
        ],
    )
    def test_keeps_its_strength_as_replays_do_not_know_it(
        self,
        made: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        pruning: str,
        fixed: tuple[str, ...],
    ) -> None:
        asked: list[object] = []

        def few(base: Candidate, *args: object) -> list[Candidate]:
            asked.append(args[-1])
            return [base]

        monkeypatch.setattr("predictor.tuning.search.design", few)
        monkeypatch.setattr(module, "num_cores", lambda: 1)
        report = tuned([made], [noise("a", 8)], file=study_file(tmp_path, pruning))
        assert asked == [fixed]
        assert any(HISTORY in one for one in report.limits) == bool(fixed)

    def test_of_the_study_itself_counts_where_no_file_is_named(
        self, tmp_path: Path, few_settings: None
    ) -> None:
        asked = {**document(), "pruning": {"history": ["old"]}}
        with (
            patch("tests.support.sweep_ledgers.document", lambda: asked),
            written(tmp_path / "past"),
        ):
            pass
        report = tuned([tmp_path / "past"], [noise("a", 8)])
        assert any(HISTORY in one for one in report.limits)
