"""What a study leaves for people: the best model's card, and its last lines on the terminal."""

from __future__ import annotations

import math
from pathlib import Path

from sweep import formats as f
from sweep.account.outcome import Outcome
from sweep.driver.best_model import finish_promotion
from sweep.driver.leaving import Trouble
from sweep.driver.study_state import StudyState
from sweep.formats import capital
from sweep.report.study_types import StudyReport
from sweep.storage.paths import StudyPaths, best_kept
from sweep.storage.states import State
from trainer.contract.files import write_text, written_whole
from trainer.contract.outside import Cause

PICTURE = "study.png"  # beside the card


def refresh_card(study: StudyState, *, is_last: bool = False) -> str | None:
    """OUT/best gets its card, with the study's table as it now is; `is_last`: with its picture as
    well. A sentence where there can be none."""
    from sweep.report.card import model_card
    from sweep.report.data_text import trained_shapes
    from sweep.report.study_report import study_report

    finish_promotion(study.paths)
    number = best_kept(study.paths)
    if number is None:
        return None
    config = study.loaded.study
    given = {"eval": config.data.eval, "choices": config.objective.data}
    sources = {path.removeprefix("data."): text for path, text in config.train_sources.items()}
    sources |= {part: text for part, text in given.items() if text}
    has_chats = "chat" in trained_shapes(study.facts.get("shapes", {}))  # not in old studies
    found = study_report(study.ledger, study.paths)
    trouble = _draw(found, study.paths.best) if is_last else None
    picture = PICTURE if (study.paths.best / PICTURE).is_file() else None
    base = config.model.base
    card = model_card(found, number, base, sources, has_chats=has_chats, picture=picture)
    write_text(study.paths.best / "README.md", card)
    return trouble


def _draw(report: StudyReport, folder: Path) -> str | None:
    """The picture of the study is in the folder. A sentence where it could not be drawn: nothing
    else depends on it."""
    from sweep.page.figures import WITHOUT, as_png, has_matplotlib, progress_figure

    if not has_matplotlib():
        return f"best/README.md is without a picture of the study: {WITHOUT}"
    try:
        drawn = as_png(progress_figure(report))
    except Exception as error:  # of a library that reads fonts and settings of the machine's
        return f"best/README.md is without a picture of the study: {type(error).__name__}: {error}"
    with written_whole(folder / PICTURE) as beside:
        beside.write_bytes(drawn)
    return None


def report(study: StudyState, outcome: Outcome) -> None:
    """Print the study's tables, and how to go on where it has not finished."""
    from sweep.report.console import print_lines
    from sweep.report.print_study import print_study
    from sweep.report.study_report import study_report

    print_study(study_report(study.ledger, study.paths))
    if outcome is Outcome.STOPPED:
        print_lines([_stopped(study)])
    elif outcome is Outcome.EXHAUSTED:
        tried, total = study.roster.originals, study.num_trials
        also = (
            "Configurations that would train alike are tried once; a wider space is another study."
        )
        print_lines([f"Ended after {tried} of {total} trials: {outcome}. {also}"])
    elif outcome is Outcome.OUT_OF_TIME:
        print_lines([_out_of_time(study)])
    elif outcome is not Outcome.DONE:
        print_lines([f"Stopped: {outcome}. The same command goes on from here."])


def report_final(study: StudyState) -> None:
    """Print what the best few alone were measured by."""
    from sweep.report.judge_text import judge_report, print_judged

    row = study.ledger.read_study()
    assert row is not None
    judged = judge_report(row, [trial.row for trial in study.trials.values()], study.paths)
    if judged.models:
        print_judged(judged)


def _stopped(study: StudyState) -> str:
    found = study.outlook
    assert found is not None
    left = study.num_not_started
    return (
        f"The study has been stopped. {found.sentence()} {left} of {left + study.roster.originals} "
        "trials were not started. To go on: --set pruning.stop=false, or pruning.risk of "
        f"{math.floor(1000 * found.before) / 1000:g} or below."
    )


def _out_of_time(study: StudyState) -> str:
    parked, best = study.roster.count(State.PARKED), study.best
    waits = f" {f.counted(parked, 'trial')} stay parked." if parked else ""
    so_far = "" if best is None else f" The best so far is trial {best.number}."
    again = "The same command"
    if study.loaded.study.run.trials == "auto":  # these hours are the whole study's
        again += " with a larger run.max_hours"
    return f"Stopped: {Outcome.OUT_OF_TIME}.{waits}{so_far} {again} goes on from here."


def say_outside(trouble: Trouble, paths: StudyPaths, *, has_study: bool) -> None:
    """Print why the command ends though the study is not finished. `has_study`: it was open
    before."""
    from sweep.report.console import print_lines

    again = "and run the same command again."
    match trouble.cause:
        case Cause.DISK_FULL:
            what = f"The disk is full ({paths.out}): {trouble.text}."
            then = f"make room {again}"
        case Cause.FOLDER_GONE:
            what, then = f"{capital(trouble.text)}.", f"put it back {again}"
        case Cause.NOT_WRITABLE | Cause.MACHINE_LIMIT:
            what, then = f"{capital(trouble.text)}.", f"fix that {again}"
        case Cause.STORAGE_LOCKED:
            what = f"{capital(trouble.text)}."
            then = f"end the other program, or wait for it, {again}"
        case Cause.STORAGE_GONE:
            what, then = f"{capital(trouble.text)}.", f"bring it back {again}"
    is_kept = has_study and trouble.cause not in (Cause.FOLDER_GONE, Cause.STORAGE_GONE)
    kept = "What was recorded is kept: " if is_kept else ""
    print_lines([f"{what} {kept}{then if kept else capital(then)}"])
