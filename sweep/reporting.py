"""What a study leaves for people: the best model's card, and its last lines on the terminal."""

from __future__ import annotations

import math

from sweep.bests import best_kept, finish_promotion, write_beside
from sweep.book import Book
from sweep.outcome import Outcome
from sweep.paths import StudyPaths


def refresh_card(book: Book) -> None:
    """OUT/best gets its card, with the study's table as it now is."""
    from sweep.card import model_card
    from sweep.inspect import study_document

    finish_promotion(book.paths)
    number = best_kept(book.paths)
    if number is None:
        return
    document = study_document(book.ledger, book.paths)
    study = book.loaded.study
    given = {"eval": study.data.eval, "choices": study.objective.data}
    sources = {path.removeprefix("data."): text for path, text in study.train_sources.items()}
    sources |= {part: text for part, text in given.items() if text}
    card = model_card(document, number, book.loaded.study.model.base, sources)
    write_beside(book.paths.best / "README.md", card)


def report(book: Book, outcome: Outcome) -> None:
    """The study's tables, where everything lies, and how to go on."""
    from sweep.display import print_study
    from sweep.inspect import study_document
    from sweep.printing import print_lines

    print_study(study_document(book.ledger, book.paths), book.paths)
    if outcome is Outcome.STOPPED:
        print_lines([_stopped(book)])
    elif outcome is Outcome.EXHAUSTED:
        tried, total = book.roster.originals, book.loaded.study.run.trials
        also = (
            "Configurations that would train alike are tried once; a wider space is another study."
        )
        print_lines([f"Ended after {tried} of {total} trials: {outcome}. {also}"])
    elif outcome is not Outcome.DONE:
        print_lines([f"Stopped: {outcome}. The same command goes on from here."])


def _stopped(book: Book) -> str:
    found = book.outlook
    assert found is not None
    left = book.num_not_started
    return (
        f"The study has been stopped. {found.sentence()} {left} of {left + book.roster.originals} "
        "trials were not started. To go on: --set pruning.stop=false, or pruning.risk of "
        f"{math.floor(1000 * found.before) / 1000:g} or below."
    )


def disk_is_full(paths: StudyPaths) -> None:
    from sweep.printing import print_lines

    then = "What was recorded is kept: make room and run the same command again."
    print_lines([f"The disk is full ({paths.out}). {then}"])
