"""`pruning.history`: past studies, read before anything starts, as the prior of a new one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from predictor.history import History, history_prior
from predictor.recorded import RecordedStudy
from sweep.config import LoadedStudy
from sweep.ledger import Ledger
from sweep.paths import StudyPaths
from sweep.progress import View
from trainer.spec import UserError

BEGINNING = "prior from past studies"


def read_history(loaded: LoadedStudy, paths: StudyPaths) -> History | None:
    """None where the study names none. Data alone is read, no code: Parquet and database tables.

    UserError where a source is missing or broken, is this study itself, or tells nothing.
    """
    pruning = loaded.study.pruning
    if not pruning.history:
        return None
    try:
        studies = _read([_from_file(text, loaded.folder) for text in pruning.history], paths)
        return history_prior(studies, pruning.window, pruning.min_steps, pruning.prior_strength)
    except (UserError, ValueError) as error:
        raise UserError(f"pruning.history: {error}") from None


def note_history(history: History | None, metric: str, ledger: Ledger, view: View) -> None:
    """The prior that the study goes on under, where it is another than before."""
    noted = [note for note in ledger.read_notes() if note.startswith(BEGINNING)]
    text = f"{BEGINNING}: {described(history, metric)}"
    if noted[-1:] == [text] or (history is None and not noted):
        return
    view.say(text)
    ledger.note(text)


def described(history: History | None, metric: str) -> str:
    """As in: old (12 trials), older (5 trials, scored by eval_loss, not x); digest 1a2b3c4d."""
    if history is None:
        return "none any more, the paper's direction"
    past: list[str] = []
    for name, num in history.num_trials.items():
        theirs = history.metrics[name]
        other = f", scored by {theirs}, not {metric}" if theirs != metric else ""
        past.append(f"{name} ({num} trial{'' if num == 1 else 's'}{other})")
    return f"{', '.join(past)}; digest {history.digest}"


def _read(texts: Sequence[str], paths: StudyPaths) -> list[RecordedStudy]:
    from sweep.inspect import open_study
    from sweep.sources import names_study, read_sources  # pandas: only where it is asked for

    for text in filter(names_study, texts):
        ledger, theirs = open_study(text)
        ledger.engine.dispose()
        if "://" not in text and theirs.out.resolve() == paths.out.resolve():
            raise UserError(f"{text} is this study itself, whose trials it learns from anyway")
    return read_sources(texts)


def _from_file(text: str, folder: Path) -> str:
    """Paths start at the study file, where there is something; names as for `sweep inspect`."""
    if "://" in text:
        return text
    near = folder / Path(text).expanduser()
    is_there = near.exists() or near.with_name(f"{near.name}_runs.parquet").exists()
    return str(near) if is_there else text
