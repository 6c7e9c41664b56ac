"""The report page as a file: what is in it, and that nothing in it can do harm."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from predictor.types import Observation
from sweep.cli import main
from sweep.page.curves import SMOOTHED, curves_of
from sweep.page.document import document
from sweep.page.html import page_html
from sweep.page.page_report import page_report
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from tests.support.page_ledgers import HOSTILE, SHOWN, held_to_a_floor, hostile
from tests.support.sweep_ledgers import completed, fill, observation, trial, written
from tests.support.sweep_ledgers import document as study_file
from trainer.contract.spec import UserError


def page_of(folder: Path, change: Any = fill, name: str = "demo") -> dict[str, Any]:
    """The JSON of the page."""
    with written(folder, name) as ledger:
        change(ledger)
        return document(page_report(ledger, StudyPaths(folder)), now_s=0.0)


def test_its_numbers_are_those_of_the_report(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert (page["study"], page["metric"], page["higher"]) == ("demo", "choice_accuracy", True)
    assert [one["state"] for one in page["trials"]] == [
        *("completed", "completed", "completed", "pruned", "pruned", "failed", "running", "waiting")
    ]
    assert page["best"] == 2
    assert page["trials"][2]["objective"] == 0.74
    assert page["base"] == {"objective": 0.30}
    assert page["made"].startswith("1970-01-01 00:00 UTC")
    assert "sha256" not in page["study_file"]
    assert page["question"] == (
        "Which learning_rate and batch_size give org/tiny-base the best choice_accuracy (higher is "
        "better)?"
    )


def test_a_base_model_in_a_folder_is_asked_about_by_its_last_names(tmp_path: Path) -> None:
    def change(ledger: Ledger) -> None:
        own = study_file()
        base = {**own["model"], "base": "/home/me/models/tiny/base"}
        ledger.continue_as({**own, "model": base}, "gap-1", [])

    assert "tiny/base the best" in (asked := page_of(tmp_path, change)["question"])
    assert "/home" not in asked


def test_bars_of_compute_lead_from_the_plan_to_what_was_used(tmp_path: Path) -> None:
    bars = page_of(tmp_path)["compute"]["bars"]
    (first, planned), *steps, (last, used) = bars
    assert (first, last) == ("planned", "used")
    assert planned + math.fsum(flops for _, flops in steps) == pytest.approx(used)


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        (0.01, "95 % +0.1804 to +0.2196, paired"),
        (0.2, "95 % -0.1920 to +0.5920, paired: within noise"),
    ],
)
def test_a_gain_that_was_paired_says_so(tmp_path: Path, stderr: float, told: str) -> None:
    def change(ledger: Ledger) -> None:
        row = completed(0, 0.5)
        assert row.measurements is not None
        row.measurements["choice_accuracy"] |= {"over_base": 0.2, "over_base_stderr": stderr}
        ledger.save_trial(row)

    gain = page_of(tmp_path, change)["tiles"][1]
    assert gain["value"] == "+0.2000"
    assert gain["note"].endswith(told)


def test_a_gain_of_unknown_error_has_no_interval(tmp_path: Path) -> None:
    assert "no standard error is known" in page_of(tmp_path)["tiles"][1]["note"]


def test_a_study_without_trials_has_a_page(tmp_path: Path) -> None:
    page = page_of(tmp_path, lambda ledger: None)
    assert page["tiles"][0]["value"] == "-"
    assert "no trial is completed" in page_html(page)


def test_texts_of_strangers_are_no_markup(tmp_path: Path) -> None:
    html = page_html(page_of(tmp_path, hostile, name=f"<script>{HOSTILE}"))
    assert html.count("<script") == 2  # the data and the page's own
    assert html.count("</script>") == 2
    assert "<img" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    data = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["notes"] == [SHOWN]


def test_its_policy_allows_its_own_script_and_no_request(tmp_path: Path) -> None:
    html = page_html(page_of(tmp_path))
    policy = re.search(r'Security-Policy" content="([^"]*)"', html)
    script = html.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none'")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
    assert "Copyright" in script  # of the library, with its licence


def test_who_breaks_a_constraint_is_not_the_best(tmp_path: Path) -> None:
    page = page_of(tmp_path, held_to_a_floor)
    assert page["best"] == 0
    assert [one["feasible"] for one in page["trials"]] == [True, False]
    ((*ends, words),) = page["trials"][1]["held"]
    assert ends == pytest.approx([-0.04, -0.0478, -0.0322], abs=1e-4)
    assert words == "broken for certain"
    assert page["constraints"][0]["front"] == [1, 0]
    assert page["question"].endswith("(higher is better), with lm_eval:mmlu at least base - 0.01?")


def curve(*losses: float, tokens: int = 5, batch: int = 4) -> list[Observation]:
    return [
        replace(observation(i, batch), loss=loss, loss_tokens_seen=i * tokens, grad_norm=2.0 * loss)
        for i, loss in enumerate(losses, 1)
    ]


def test_short_curves_are_shown_step_by_step_on_one_axis() -> None:
    found = curves_of([(0, curve(3.0, 2.0)), (1, curve(4.0, batch=8))], 2)
    assert found.samples == [4.0, 8.0]
    assert found.trials[0].loss == [3.0, 2.0]
    assert found.trials[1].loss == [None, 4.0]
    assert found.trials[1].grad_norm == [None, 8.0]
    assert found.steps_a_point == 1


def test_long_curves_are_thinned_to_means_and_it_is_said() -> None:
    found = curves_of([(0, curve(*([1.0, 3.0] * 400)))], 1)
    assert len(found.samples) == 400
    assert found.steps_a_point == 2
    assert found.trials[0].loss == pytest.approx([2.0] * 400)


def test_a_mean_of_losses_is_over_tokens() -> None:
    tokens = [9 * ((i + 1) // 2) + i // 2 for i in range(1, 801)]  # 9, then 1 more, then 9 ...
    steps = curve(*[1.0, 0.0] * 400)
    heavy = [replace(one, loss_tokens_seen=n) for one, n in zip(steps, tokens, strict=True)]
    found = curves_of([(0, heavy)], 1)
    assert found.trials[0].loss == pytest.approx([0.9] * 400)
    assert found.trials[0].grad_norm == pytest.approx([1.0] * 400)  # of steps


def test_what_is_not_finite_is_left_out() -> None:
    found = curves_of([(0, curve(2.0, math.nan, math.inf))], 1)
    assert found.trials[0].loss == [2.0, None, None]


def test_a_noise_free_norm_is_of_several_steps_and_missing_where_noise_hides_it() -> None:
    steps = curve(*[2.0] * (SMOOTHED + 2))
    clear = [replace(one, grad_sq_noise_free=4.0) for one in steps]
    hidden = [replace(one, grad_sq_noise_free=-1.0) for one in steps]
    found = curves_of([(0, clear), (1, hidden)], 2)
    assert found.trials[0].noise_free == [*[None] * (SMOOTHED - 1), 2.0, 2.0, 2.0]
    assert set(found.trials[1].noise_free) == {None}


def test_an_unfinished_trial_is_expected_to_end_within_its_band(tmp_path: Path) -> None:
    def change(ledger: Ledger) -> None:
        for number in range(6):
            row = completed(number, 0.6 + 0.02 * number) if number < 4 else trial(number, "parked")
            assert row.window is not None
            row.window |= {"share": 0.2, "samples": 64, "early_eval": 0.4 + 0.02 * number}
            ledger.save_trial(row)

    bands = [one.get("band") for one in page_of(tmp_path, change)["trials"]]
    assert bands[:4] == [None] * 4
    for low, expected, high in bands[4:]:
        assert low < expected < high < 1.2


@pytest.mark.parametrize(
    ("to", "told"),
    [("report.txt", "ends in .html"), ("no/such/report.html", "there is no folder")],
)
def test_where_it_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    to: str, told: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with written(tmp_path / "runs" / "demo") as ledger:
        fill(ledger)
    assert main(["report", "demo", "--to", to]) == 2
    assert told in capsys.readouterr().err


def test_the_command_writes_into_the_studys_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with written(tmp_path / "runs" / "demo") as ledger:
        fill(ledger)
    assert main(["report", "demo"]) == 0
    page = tmp_path / "runs" / "demo" / "report.html"
    assert page.read_text().startswith("<!doctype html>")
    assert str(page) in capsys.readouterr().out


@pytest.mark.parametrize("is_there", [True, False])
def test_it_is_opened_where_there_is_a_browser_and_else_said_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    is_there: bool,
) -> None:  # fmt: skip
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: shown.append(url) or is_there)
    with written(tmp_path) as ledger:
        fill(ledger)
    assert main(["report", str(tmp_path), "--open"]) == 0
    assert shown == [(tmp_path / "report.html").as_uri()]
    assert ("no browser could be opened" in capsys.readouterr().err) is not is_there


def test_from_python_the_page_is_written_beside_the_report(tmp_path: Path) -> None:
    import sweep

    with written(tmp_path / "demo") as ledger:
        fill(ledger)
    study = sweep.load(tmp_path / "demo")
    assert study.report(to=tmp_path / "page.html").study == "demo"
    assert (tmp_path / "page.html").stat().st_size > 50_000
    with pytest.raises(UserError, match=r"ends in \.html"):
        study.report(to=tmp_path / "page")
