"""What people see of a study, at the widths of a small terminal and of a large one."""

from __future__ import annotations

import io
import re
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sweep import formats as f
from sweep.account.audits import AuditReport, ExpectedMisses
from sweep.config.load import load_study
from sweep.report.compute_text import compute_rows, risk_lines
from sweep.report.console import print_lines
from sweep.report.curves import curve, labelled_curve
from sweep.report.live import LiveView
from sweep.report.print_recipes import print_recipes
from sweep.report.print_study import MOST_ROWS, print_study
from sweep.report.print_trial import print_trial
from sweep.report.recipes_text import recipes_report
from sweep.report.study_report import study_report, trial_report
from sweep.report.text_table import Column, table_lines, table_width
from sweep.report.trial_types import VerdictReport
from sweep.report.view import ParkedTrial, PlainView, RunningTrial, Status, status_lines
from sweep.storage.ledger import BASE
from sweep.storage.paths import StudyPaths
from sweep.storage.states import State
from tests.support.golden import check_golden
from tests.support.sweep_ledgers import completed, cost, document, fill, trial, written

NO_AUDITS = AuditReport(0, 0, 0.0, 0, 0, None, 0.0, 1.0, None)
WIDTHS = pytest.mark.parametrize("width", [80, 140])


def shown(draw: Callable[[Console], None], width: int = 80) -> str:
    """What goes into a pipe."""
    stream = io.StringIO()
    draw(Console(file=stream, width=width))  # rich's own defaults: markup and highlighting on
    return stream.getvalue()


def study(folder: Path, width: int, change: Callable[[Any], None] = fill) -> str:
    with written(folder) as ledger:
        change(ledger)
        report = study_report(ledger, StudyPaths(folder))
    return shown(lambda console: print_study(report, console), width)


def one_line(text: str) -> str:
    """Without the breaks that wrapping put in."""
    return re.sub(r"\s+", " ", text)


def section(text: str, name: str) -> str:
    """Of the text, what stands below a heading."""
    return text.split(f"\n{name}")[1].split("\n\n")[0]


@WIDTHS
def test_a_study_reads_as_it_was_last_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.chdir(tmp_path)  # lines break by how long the folder's path is
    check_golden(f"inspect_{width}", study(Path("runs/demo"), width))


def test_of_many_trials_the_first_few_are_shown_unless_all_are_asked_for(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        for number in range(MOST_ROWS + 3):
            ledger.save_trial(completed(number, 0.5 + number / 100))
        report = study_report(ledger, StudyPaths(tmp_path))
    few = shown(lambda console: print_study(report, console))
    every = shown(lambda console: print_study(report, console, every_trial=True))
    assert "and 3 more: --trials all" in few and "--trials all" not in every
    worst = re.compile(r"^ +0 +.*0\.5000", re.MULTILINE)
    assert not worst.search(few) and worst.search(every)


def test_what_a_person_wants_first_stands_before_the_tables(tmp_path: Path) -> None:
    text = study(tmp_path, 80)
    places = [text.index(f"\n{title}") for title in ("Best", "Saved, and", "Completed", "Compute")]
    assert places == sorted(places)


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_trial_reads_as_it_was_last_looked_at(tmp_path: Path, number: int) -> None:
    check_golden(f"inspect_trial_{number}", one_trial(tmp_path, number, 80))


@pytest.mark.parametrize("name", [None, "quickstart"])
def test_recipes_read_as_they_were_last_looked_at(name: str | None) -> None:
    report = recipes_report(None if name is None else load_study(name).study)
    text = shown(lambda console: print_recipes(report, console))
    check_golden("recipes" if name is None else f"recipes_{name}", text)


@WIDTHS
def test_no_line_is_wider_than_asked_and_a_pipe_gets_no_colours(tmp_path: Path, width: int) -> None:
    text = study(tmp_path, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "…" not in text


@WIDTHS
def test_completed_and_pruned_trials_stand_apart_below_the_base_model(
    tmp_path: Path, width: int
) -> None:
    text = study(tmp_path, width)
    ended, pruned = section(text, "Completed"), section(text, "Pruned")
    first_words = [line.split()[0] for line in ended.splitlines() if re.match(r" +[b\d]", line)]
    assert first_words == ["base", "2*", "1", "0"]
    first_words = [line.split()[0] for line in pruned.splitlines() if re.match(r" +[b\d]", line)]
    assert first_words[:1] == ["base"]
    assert {"3", "4"} <= set(first_words)
    for table in (ended, pruned):
        assert "0.3000" in table


@WIDTHS
def test_only_parameters_that_vary_are_columns(tmp_path: Path, width: int) -> None:
    text = study(tmp_path, width)
    table = section(text, "Completed")
    assert "4e-05" in table
    assert "constant" not in table.partition("the same in all trials")[0]
    assert "the same in all trials: schedule constant" in text


def test_parameters_share_a_column_where_they_do_not_fit(tmp_path: Path) -> None:
    def many(ledger: Any) -> None:
        for number in range(2):
            params = {f"parameter_{name}": f"value-{name}{number}" for name in "abcdef"}
            ledger.save_trial(completed(number, 0.5, params=params))

    text = study(tmp_path, 80, many)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for name in "abcdef":
        assert f"parameter_{name} value-{name}1" in one_line(section(text, "Completed"))


def test_reasons_are_wrapped_and_told_whole(tmp_path: Path) -> None:
    text = one_line(study(tmp_path, 80))
    assert "gradient norm 1.9 sd above the cohort, early evaluation 0.8 sd above it" in text
    assert "the loss is not finite at step 3" in text


@WIDTHS
def test_the_users_words_are_not_markup(tmp_path: Path, width: int) -> None:
    text = study(tmp_path, width)
    assert "[bold]not" in text
    assert "[red]said[/red]" in text


def test_control_codes_in_messages_do_not_reach_the_terminal(tmp_path: Path) -> None:
    def hostile(ledger: Any) -> None:
        error = {"kind": "error", "message": "\x1b[31mred\x07 \x9b2J"}
        ledger.save_trial(trial(0, "failed", failures=1, error=error))

    text = study(tmp_path, 80, hostile)
    assert not {"\x1b", "\x07", "\x9b"} & set(text)


def test_a_study_without_prunes_has_no_table_of_them_and_no_risk_to_tell(tmp_path: Path) -> None:
    text = study(tmp_path, 80, lambda ledger: ledger.save_trial(completed(0, 0.5)))
    assert "\nPruned" not in text
    assert "\nRisk" not in text


@WIDTHS
def test_trials_that_were_judged_show_p(tmp_path: Path, width: int) -> None:
    pruned = section(study(tmp_path, width), "Pruned")
    (line,) = [line for line in pruned.splitlines() if re.match(r" +3 .*2\.200", line)]
    assert " 0.03 " in line


@WIDTHS
def test_a_study_without_trials_can_be_shown(tmp_path: Path, width: int) -> None:
    text = study(tmp_path, width, lambda ledger: None)
    assert "0 of 8 trials settled" in text
    assert "no trial is completed so far" in text


def test_a_best_trial_below_the_base_model_is_not_praised(tmp_path: Path) -> None:
    text = study(tmp_path, 140, lambda ledger: ledger.save_trial(completed(0, 0.25)))
    assert "no better than the base model's 0.3000 (-0.0500, -16.7%)" in text


# --- one trial


def one_trial(folder: Path, number: int, width: int) -> str:
    with written(folder) as ledger:
        fill(ledger)
        report = trial_report(ledger, StudyPaths(folder), number)
    return shown(lambda console: print_trial(report, console), width)


@WIDTHS
def test_a_trial_is_shown_with_its_curves_decisions_and_costs(tmp_path: Path, width: int) -> None:
    text = one_trial(tmp_path, 1, width)
    assert max(map(len, text.splitlines())) <= width
    assert "demo: trial 1, completed" in text
    for title in ("loss", "gradient norm", "learning rate"):
        assert f"\n{title}\n" in text
    assert "0 to 1024 samples, the window's end ┊ at 256" in text
    assert "      3.00 " in text  # the first step's loss, the highest
    assert "window, step 4: continue (rank): rank 1 of 4" in text
    assert "attempt 2, train" in text
    assert "at line 1" in text  # the traceback of its lost attempt


@pytest.mark.parametrize("number", range(8))
def test_every_trial_can_be_shown_whatever_became_of_it(tmp_path: Path, number: int) -> None:
    assert f"trial {number}, " in one_trial(tmp_path, number, 80)


def test_steps_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    text = one_trial(tmp_path, 4, 80)
    assert "loss (2 of 3 steps not finite)" in text
    assert "no finite value" in text  # of the gradient norm


# --- tables


def test_a_tables_last_column_wraps_in_the_room_that_the_others_leave() -> None:
    columns = [Column("two\nwords"), Column("why", right=False, wraps=True)]
    rows = [["1", "because of a reason"], ["22", ""]]
    assert table_lines(columns, rows, width=22) == [
        (None, "  two"),
        (None, "words  why"),
        (None, "─" * 22),
        (0, "    1  because of a"),
        (0, "       reason"),
        (1, "   22"),
    ]
    assert table_width(columns, rows) == 5 + 2 + len("because of a reason")


@pytest.mark.parametrize(
    "text",
    ("", " ", "a ", " a", "a  b", "a\tb", "a\nb", "a\u00a0b", "aaaaaaaaa b", "ab-cd ef gh-ij kl"),
)
def test_a_tables_last_column_is_wrapped_as_textwrap_does(text: str) -> None:
    columns = [Column("", right=False), Column("", right=False, wraps=True)]
    wrapped = textwrap.wrap(text, 12, break_on_hyphens=False) or [""]
    lines = table_lines(columns, [["1", text], ["2", "long enough to fill it"]], width=15)
    assert [line for at, line in lines if at == 0] == [
        f"{before}  {piece}".rstrip() for before, piece in zip("1 ", wrapped, strict=False)
    ]


def test_a_table_without_titles_has_no_header() -> None:
    assert table_lines([Column(""), Column("")], [["a", "b"]], width=9) == [(0, "a  b")]


# --- curves


def test_a_rising_curve_rises() -> None:
    lines = curve([0, 1, 2, 3], [0.0, 1.0, 2.0, 3.0], width=4, height=2)
    assert lines == ["  ⡠⠊", "⡠⠊  "]


def test_a_curve_has_gaps_where_nothing_was_measured_and_a_mark() -> None:
    lines = curve([1, 2, 3, 4], [1.0, None, float("nan"), 1.0], width=9, height=1, mark=2)
    assert [column for column, char in enumerate(lines[0]) if char not in " ┊"] == [2, 8]
    assert lines[0][4] == "┊"


@pytest.mark.parametrize("y", [[], [None], [1.0], [1.0, 1.0], [float("inf")]])
def test_a_curve_of_little_is_drawn_all_the_same(y: list[float | None]) -> None:
    x = [float(index) for index in range(len(y))]
    assert {len(line) for line in curve(x, y, width=7)} == {7}
    labelled_curve(x, y, width=40, mark=None, show=f.number)


# --- numbers


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0.0, "0 FLOP"),
        (1.234e15, "1.23 PFLOP"),
        (9.99e11, "999 GFLOP"),
        (9.999e11, "1000 GFLOP"),
        (5.5e21, "5500 EFLOP"),
        (-2e12, "-2.00 TFLOP"),
        (None, "-"),
    ],
)
def test_flops_are_told_in_the_unit_that_reads_well(count: float | None, text: str) -> None:
    assert f.flops(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (1.0, "1.00"), (123.4, "123"), (1234.5, "1234"), (2e-5, "2e-05")],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert f.number(value) == text


# --- a study that runs


def test_a_study_that_scouts_says_what_it_is_doing_and_what_it_takes_in_short_lines() -> None:
    doing = ("scouting 9 of 16", "advancing trial 4 to 30%: P(overtakes trial 2) = 0.31")
    lines = status_lines(status(doing=doing, parked=7, used_share=0.183, floor_share=0.1563))
    assert lines == [
        *doing,
        "3 completed, 7 parked, 2 pruned, 1 audited, 0 failed of 16 trials",
        "compute 18% of the full grid, floor 16%; 8 min 20 s so far, 20 min 34 s left",
    ]
    assert max(map(len, lines)) <= 80
    assert len(status_lines(status())) == 1


def test_what_was_given_up_is_said_in_one_sentence_with_the_risk(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        fill(ledger)
        report = study_report(ledger, StudyPaths(tmp_path))
    model = next(one for one in report.trials if one.state is State.PRUNED)

    def said(*stated: tuple[float, int, str]) -> list[str]:
        verdicts = [
            VerdictReport("prune", "rank", chance, "because", False, moment, step)
            for chance, step, moment in stated
        ]
        trials = [
            replace(model, number=i, verdict=v, num_steps=100) for i, v in enumerate(verdicts)
        ]
        total = ExpectedMisses(sum(chance for chance, _, _ in stated), len(stated), 1.0)
        return risk_lines(
            replace(report, trials=tuple(trials), expected_misses=total, audits=NO_AUDITS)
        )

    assert said((0.3, 10, "parked"), (0.12, 31, "parked")) == [
        "gave up 2 trials after 10% to 31% of the training: one or more of them would have ended "
        "better by min_gain with probability at most 0.42, the sum of the P stated (limit 1)"
    ]
    (more,) = said((0.9, 10, "parked"), (0.6, 10, "parked"))
    assert "after 10% of the training: of them so many are expected to have" in more
    assert "min_gain: 1.50, the sum of the P stated (limit 1)" in more
    both = said((0.3, 10, "parked"), (0.1, 10, "window"))
    assert both[0].startswith("gave up 1 trial after 10%")
    assert both[1].startswith("expected misses: 0.40 of at most 1, the sum of P over 2 prunes")


def status(**changes: Any) -> Status:
    running = [
        RunningTrial(3, {"learning_rate": 2e-5}, "training", 120, 256, 1.234, 0.83, "continue"),
        RunningTrial(4, {"learning_rate": 3e-5}, "loading the model", 0, 256, None, None, ""),
    ]
    values: dict[str, Any] = {
        "study": "demo",
        "running": running,
        "completed": 3,
        "pruned": 2,
        "audited": 1,
        "failed": 0,
        "total": 16,
        "saved_share": 0.31,
        "elapsed_s": 500.0,
        "left_s": 1234.0,
        "best": "trial 1: choice_accuracy 0.712, base 0.568",
        **changes,
    }
    return Status(**values)


@WIDTHS
def test_the_live_view_shows_the_study_and_keeps_what_was_said(width: int) -> None:
    stream = io.StringIO()
    with LiveView(Console(file=stream, width=width, force_terminal=True)) as view:
        view.say("trial 2 pruned: [b]because[/b]")
        view.show(status())
        view.show(status(completed=4))
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "trial 2 pruned: [b]because[/b]" in text
    assert re.search(r"trial 3: 2e-05 .*120/256 .*loss 1.234, norm 0.830, continue", text)
    assert re.search(r"trial 4: 3e-05 .*0/256 .*loading the model", text)
    last = one_line(text)
    assert "4 completed, 2 pruned, 1 audited, 0 failed of 16 trials" in last
    assert "31% of the compute saved" in last
    assert "8 min 20 s so far, 20 min 34 s left" in last
    assert "best so far: trial 1: choice_accuracy 0.712" in last


@WIDTHS
def test_a_study_that_scouts_is_one_table_of_who_runs_and_who_waits(width: int) -> None:
    running = [
        RunningTrial(3, {"lr": 2e-5}, "training", 12, 256, 1.234, 0.83, "", "scouting"),
        RunningTrial(4, {"lr": 3e-5}, "evaluating", 70, 256, 1.1, 0.5, "continue", "to 30%", 0.38),
    ]
    waiting = [ParkedTrial(n, {"lr": 1e-5 * n}, 0.19, 0.5, 0.3 - n / 100) for n in range(5, 25)]
    stream = io.StringIO()
    with LiveView(Console(file=stream, width=width, height=24, force_terminal=True)) as view:
        view.show(status(running=running, waiting=waiting, parked=20, doing=["advancing trial 4"]))
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= width
    assert any(re.search(r"trial 3: 2e-05 +scouting +12/256 +loss 1.234", line) for line in lines)
    assert re.search(r"trial 4: 3e-05 +to 30% +70/256 +loss 1.100, norm 0.500, P 0.38", text)
    assert re.search(r"trial 5: 5e-05 +parked +at 19% +early eval 0.500, P 0.25", text)
    assert "and 6 more that are parked" in text  # 24 lines: 14 of the 20 have room
    assert "advancing" not in text  # the table says it


def test_a_view_is_due_now_and_then() -> None:
    stream = io.StringIO()
    views = (PlainView(stream, every_s=0.25), LiveView(Console(file=stream)))
    assert [view.is_due() for view in views] == [False, True]
    time.sleep(0.3)
    for view in views:
        assert view.is_due()
        view.show(status())
        assert not view.is_due()
    assert "3 completed" in stream.getvalue()


@WIDTHS
def test_recipes_keep_to_the_width(width: int) -> None:
    report = recipes_report(load_study("quickstart").study)
    text = shown(lambda console: print_recipes(report, console), width)
    assert max(map(len, text.splitlines())) <= width
    assert re.search(r"epochs +13 +3 +lab: arXiv 2412.13337", text)
    assert re.search(r"batch_size +64 +64 +searched +lab: 3840 is outside", text)


def test_the_live_view_needs_no_status() -> None:
    stream = io.StringIO()
    with LiveView(Console(file=stream, width=80, force_terminal=True)) as view:
        view.say("preparing")
        view.show(status(running=[], saved_share=None, left_s=None, best=""))
    assert "preparing" in stream.getvalue()


def test_lines_are_printed_as_they_are() -> None:
    text = shown(lambda console: print_lines(["[b]plan[/b]", "a " * 60], console))
    assert text.startswith("[b]plan[/b]\n")
    assert max(map(len, text.splitlines())) <= 80


def test_a_best_that_was_confirmed_when_its_weights_were_gone_says_so(tmp_path: Path) -> None:
    run = {"trials": 1, "seed": 0, "keep": "best", "confirm": {"top": 1, "seeds": 1}}
    with written(tmp_path) as ledger:
        ledger.continue_as(document() | {"run": run}, "learned-5", [])
        for number in (0, 10_000):
            ledger.save_trial(completed(number, 0.5))
        confirmed = study_report(ledger, StudyPaths(tmp_path))
    text = shown(lambda console: print_study(confirmed, console))
    assert "not kept: run.confirm was asked for when it had been removed" in one_line(text)


def test_while_a_study_is_unfinished_the_compute_of_all_of_it_is_told(tmp_path: Path) -> None:
    run = {**document()["run"], "trials": 5, "confirm": {"top": 2, "seeds": 2}}
    with written(tmp_path) as ledger:
        ledger.continue_as(document() | {"run": run}, "learned-5", [])
        ledger.record(cost(BASE, 3e9, "eval"))
        ledger.save_trial(replace(completed(0, 0.5), planned_flops=10e9))
        ledger.save_trial(replace(trial(1, "waiting"), planned_flops=20e9))
        ledger.flush()
        rows = compute_rows(study_report(ledger, StudyPaths(tmp_path)))
    assert rows[0] == (
        "whole study",
        "138 GFLOP",  # 3 + 9 x 15
        "5 trials and 4 replicates trained to their end, and the base model; 7 not begun, taken at "
        "the mean of the others",
    )
    assert rows[1][:2] == ("planned", "13.0 GFLOP")


def test_the_compute_of_a_finished_study_is_that_of_its_settled_trials(tmp_path: Path) -> None:
    run = {**document()["run"], "trials": 1, "confirm": {"top": 0, "seeds": 2}}
    with written(tmp_path) as ledger:
        ledger.continue_as(document() | {"run": run}, "learned-5", [])
        ledger.save_trial(completed(0, 0.5))
        rows = compute_rows(study_report(ledger, StudyPaths(tmp_path)))
    assert rows[0][0] == "planned"


def test_the_compute_of_a_study_without_a_settled_trial_is_no_share_of_anything(
    tmp_path: Path,
) -> None:
    with written(tmp_path) as ledger:
        ledger.save_trial(trial(0, "failed"))
        ledger.record(cost(BASE, 3e9, "eval"))
        ledger.record(cost(0, 30e9))
        ledger.flush()
        rows = compute_rows(study_report(ledger, StudyPaths(tmp_path)))
    assert [name for name, *_ in rows] == ["whole study", "used", "time"]
    assert rows[1][1:] == ("0.0330 TFLOP", "no trial to compare it with yet")
