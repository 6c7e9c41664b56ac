"""`pruning.history`: past studies, read before anything starts, as the prior or as part of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from predictor.gap.prior import shipped_fits, to_json
from predictor.recorded.gap_history import GapHistory, gap_history
from predictor.recorded.history import History, history_prior
from predictor.recorded.runs import RecordedStudy
from sweep.config.load import LoadedStudy
from sweep.formats import counted
from sweep.report.prior import PRIOR, shipped_words
from sweep.report.view import View
from sweep.storage.find import look_for_study, open_study
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from trainer.contract.spec import UserError

BEGINNING = "prior from past studies"

Past = History | GapHistory  # of a study that judges each trial alone, and of one that scouts


def read_history(loaded: LoadedStudy, paths: StudyPaths) -> Past | None:
    """The prior of the past studies that the study file names, as the study's mode has it; None
    where it names none. Data alone is read, no code: Parquet and database tables.

    UserError where a source is missing or broken, is this study itself, or tells nothing. Known
    weakness: an export without `created_s`, of an earlier version, is not known as this study's.
    """
    pruning = loaded.study.pruning
    if not pruning.history:
        return None
    try:
        texts = [_from_file(text, loaded.folder) for text in pruning.history]
        studies = _read(texts, loaded, paths)
        if pruning.settings().scouts:
            return gap_history(studies)
        return history_prior(
            studies, pruning.window, pruning.min_steps, pruning.settings().prior_strength
        )
    except (UserError, ValueError) as error:
        raise UserError(f"pruning.history: {error}") from None


def note_history(loaded: LoadedStudy, history: Past | None, ledger: Ledger, view: View) -> None:
    """The prior that the study goes on under is said and on record, where it is another than
    before."""
    noted = [note for note in ledger.read_notes() if note.startswith(BEGINNING)]
    said = "none any more, the paper's direction"
    if history is not None:
        said = described(history, loaded.study.objective.metric)
    elif loaded.study.pruning.settings().scouts:
        said = "none any more, but those with the program"
    text = f"{BEGINNING}: {said}"
    if noted[-1:] == [text] or (history is None and not noted):
        return
    view.say(text)
    ledger.note(text)


def prior_facts(history: Past | None) -> dict[str, Any]:
    """What a study that scouts expects before its own trials end, as JSON values among its facts:
    how many shipped studies of which family, and of the past ones their fits."""
    own = history if isinstance(history, GapHistory) else None
    fits = () if own is None else own.fits
    names = {one.name for one in fits}
    shipped = Counter(one.family for one in shipped_fits() if one.name not in names)
    return {
        PRIOR: {
            "shipped": dict(shipped),
            "history": {} if own is None else dict(own.num_trials),
            "fits": to_json(fits),
        }
    }


def described(history: Past, metric: str) -> str:
    """The history in words: old (12 trials), older (5 trials, scored by eval_loss, not x); digest
    1a2b3c4d."""
    past: list[str] = []
    for name, num in history.num_trials.items():
        theirs = history.metrics[name]
        other = f", scored by {theirs}, not {metric}" if theirs != metric else ""
        past.append(f"{name} ({counted(num, 'trial')}{other})")
    if isinstance(history, GapHistory):
        past.append(f"beside {shipped_words(prior_facts(history)[PRIOR]['shipped'])}")
    return f"{', '.join(past)}; digest {history.digest}"


def _read(texts: Sequence[str], loaded: LoadedStudy, paths: StudyPaths) -> list[RecordedStudy]:
    from sweep.analysis.recorded.sources import read_sources

    for text in texts:
        _refuse_elsewhere(text)
    studies, own = read_sources(texts), _created_s(loaded, paths)
    for study in studies:
        if study.name == loaded.study.name and own in study.created_s:
            raise UserError(
                f"{study.name} is this study itself, whose trials it learns from anyway"
            )
    return studies


def _refuse_elsewhere(text: str) -> None:
    """A folder from elsewhere may name any database; whoever wants it asked names it himself."""
    found = None if "://" in text else look_for_study(text)
    if found is not None and found[1] != found[0].default_storage:
        raise UserError(
            f"the study in {found[0].out} is stored elsewhere, as its {found[0].study_file.name} "
            "says, which is not followed from here: name that storage itself, as URL#NAME"
        )


def _created_s(loaded: LoadedStudy, paths: StudyPaths) -> float | None:
    """When this study was made; None where it is not there yet."""
    storage = loaded.study.run.storage
    url = paths.default_storage if storage == "auto" else storage
    try:
        ledger, _ = open_study(f"{url}#{loaded.study.name}")
    except UserError:
        return None
    try:
        row = ledger.read_study()
    finally:
        ledger.engine.dispose()
    return None if row is None else row.created_s


def _from_file(text: str, folder: Path) -> str:
    """Paths start at the study file, where a study or a set is; names as for `sweep inspect`."""
    from sweep.analysis.recorded.sources import is_source

    if "://" in text:
        return text
    near = str(folder / Path(text).expanduser()) + "/" * text.endswith("/")
    return near if is_source(near) else text
