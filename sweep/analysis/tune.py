"""`sweep tune`: the pruning thresholds worth using, and into the study's file with them."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

from predictor.recorded.runs import RecordedStudy
from predictor.replay.comparison import num_cores
from predictor.replay.policies import Window
from predictor.tuning.design import Candidate, window_as_recorded
from predictor.tuning.report import Interval
from predictor.tuning.search import Tuning, too_few, tune
from predictor.tuning.steps import REGRET_LIMIT, NothingToHoldOut
from predictor.types import Settings
from sweep.analysis.sample import sample
from sweep.analysis.sources import names_study, read_sources
from sweep.analysis.tune_text import print_changes, print_tuning, verdict
from sweep.config.edit import SECTION, check_file, write_pruning
from sweep.config.load import load_study
from sweep.config.study import Pruning
from sweep.report.console import print_lines, progress_bar
from sweep.storage.find import open_study
from sweep.storage.readable import readable
from sweep.storage.study_source import source_of
from trainer.contract.spec import UserError
from trainer.contract.streams import finite, print_json


class Present(NamedTuple):
    candidate: Candidate
    recorded: Window  # what the candidate's window stands for
    recorded_differ: tuple[str, ...]  # of window and min_steps what is not the same in all sources
    origin: str
    max_expected_misses: float
    has_history: bool


def show_tuning(
    texts: Sequence[str],
    *,
    risk: float | None,
    write: bool,
    to: Path | None,
    num_workers: int,
    num_orders: int,
    seed: int,
    max_runs: int,
    as_json: bool,
) -> int:
    """Print what the search found, and with `write` put it into a study file.

    UserError where a source cannot be read, the file to write to is not known or not right, or it
    cannot be written; what was found is printed all the same. After Ctrl-C, in a line on stderr,
    that nothing was written.
    """
    _check(risk, num_workers, num_orders, seed, write, to)
    file = _file_to_write(texts, to) if write else None
    studies, samples = sample(read_sources(texts), max_runs, seed)
    reason = too_few(studies)
    if reason is not None:
        sentences = [f"{reason[0].upper()}{reason[1:]}."]
        if file is not None:
            sentences.append(f"{file} was left as it is.")
        if as_json:
            print_json({"verdict": sentences, "recommended": None, "written": _left(file)})
        else:
            print_lines(sentences)
        return 0
    present = _present(texts, studies, file)
    try:
        found = _with_progress(studies, present, risk, num_workers, num_orders, seed)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing was written\n")
        raise
    document = tuning_document(found, studies, present, num_workers, seed)
    document["limits"] = [*(one.text for one in samples), *document["limits"]]
    document["samples"] = [asdict(one) for one in samples]
    if not as_json:
        print_tuning(document)
    failure = None if file is None else _write(file, document)
    if as_json:
        print_json(document)
    if failure is not None:
        raise failure
    if file is not None and not as_json:
        print_changes(document["written"], found.is_better)
    return 0


def tuning_document(
    found: Tuning, studies: Sequence[RecordedStudy], present: Present, num_workers: int, seed: int
) -> dict[str, Any]:
    """JSON values. Compute and regrets are shares, of training everything and of median - best;
    objectives are turned so that lower is better."""
    present_keys, recommended = found.present.keys, found.recommended.keys
    document: dict[str, Any] = {
        **_plain(found),
        "regret_limit": REGRET_LIMIT,
        "num_workers": num_workers,
        "seed": seed,
        "origin": present.origin,
        "recorded_window": asdict(present.recorded),
        "recorded_differ": list(present.recorded_differ),
        "metrics": sorted({(study.metric, study.direction) for study in studies}),
        "changes": {
            key: [was, recommended[key]]
            for key, was in present_keys.items()
            if was != recommended[key]
        },
        "limits": _limits(found, studies, present),
        "written": None,
    }
    document["verdict"] = verdict(document)
    return cast(dict[str, Any], finite(document))


def _plain(part: Any) -> Any:
    """A dataclass as JSON values: settings by the study file's keys, intervals as objects."""
    if isinstance(part, Candidate):
        return part.keys
    if isinstance(part, Interval):
        return part._asdict()
    if isinstance(part, tuple):
        return [_plain(one) for one in cast("tuple[Any, ...]", part)]
    if hasattr(part, "__dataclass_fields__"):
        return {name: _plain(getattr(part, name)) for name in part.__dataclass_fields__}
    return part


def _limits(found: Tuning, studies: Sequence[RecordedStudy], present: Present) -> list[str]:
    """What to bear in mind, in sentences."""
    sentences: list[str] = []
    ranked = sum(run.pruned_by == "rank" for study in studies for run in study.runs)
    if ranked:
        runs = "1 run that was" if ranked == 1 else f"{ranked} runs that were"
        sentences.append(
            f"{runs[0].upper()}{runs[1:]} pruned by rank could not be replayed: their ends are not "
            "known, and what is left is the better half of the story."
        )
    if any(study.recorded_window is not None and _has_one_look(study) for study in studies):
        sentences.append(
            "The early evaluation is on record only where the recorded window closed: a shorter "
            "window was replayed without it, a longer one with one that is older than it would be."
        )
    metrics = sorted({f"{study.metric} ({study.direction})" for study in studies})
    if len(metrics) > 1:
        sentences.append(
            f"The objectives differ ({', '.join(metrics)}): each regret is a share of its own "
            "group's median - best, and they are averaged whatever such a share is worth."
        )
    if found.folds_over == "seeds":
        sentences.append(
            "Each seed was replayed by itself. `sweep replay` has the seeds together, and so other "
            "numbers for the present setting."
        )
    if found.folds_over in ("seeds", "orders"):
        sentences.append(
            f"Held out were {found.folds_over} of one study: of other studies it tells nothing."
        )
    sentences.append(
        "An audit costs compute and gains nothing in a replay, so the search stays at 0.05 or "
        "more: without audits nobody would learn whether the stated risks hold. "
        f"max_expected_misses was {present.max_expected_misses:g} throughout."
    )
    if present.has_history:
        sentences.append(
            "Replays know no pruning.history: they had the paper's prior in its place, and "
            "prior_strength stays as it is."
        )
    return sentences


def _has_one_look(study: RecordedStudy) -> bool:
    return all(len(run.evals) <= 2 for run in study.runs)  # the early one and the last


# --- the present setting


def _present(texts: Sequence[str], studies: Sequence[RecordedStudy], file: Path | None) -> Present:
    """The pruning section of the file to write to, else the studies' own where all are studies and
    have the same one, else the defaults. The window is as recorded, where that is the same."""
    sections = [_section(text) for text in texts if names_study(text)]
    is_own = len(sections) == len(texts) and all(one == sections[0] for one in sections)
    own = load_study(file).study.pruning if file else sections[0] if is_own else None
    settings, window = Settings(), window_as_recorded(studies)
    if own is not None:
        settings, window = own.settings(), _window(own)
    known = _window(sections[0]) if is_own else (None if file else window)
    replayed = Window() if _is_recorded(studies, window, known) else window
    origin = _origin(len(texts), sections, is_own) if file is None else f"as in {file.name}"
    has_history = any(one.history for one in ([own] if own is not None else sections))
    return Present(
        Candidate(settings, replayed),
        window,
        () if own is not None else _recorded_differ(studies),
        origin,
        settings.max_expected_misses,
        has_history,
    )


def _recorded_differ(studies: Sequence[RecordedStudy]) -> tuple[str, ...]:
    windows = [window_as_recorded([study]) for study in studies]
    values = {"window": {w.share for w in windows}, "min_steps": {w.min_steps for w in windows}}
    return tuple(key for key, own in values.items() if len(own) > 1)


def _origin(num_sources: int, sections: Sequence[Pruning], is_own: bool) -> str:
    if is_own:
        return "the study's own" if num_sources == 1 else "the studies' own"
    return "the defaults, as the sources differ in theirs" if sections else "the defaults"


def _window(pruning: Pruning) -> Window:
    return Window(pruning.window, pruning.min_steps)


def _is_recorded(studies: Sequence[RecordedStudy], window: Window, known: Window | None) -> bool:
    """Whether all were recorded with this window. `known`: that they were; None: told by where it
    closes, as far as their batches tell."""
    closes = [(study.recorded_window, window.close(study)) for study in studies]
    return all(
        recorded is not None and (window == known or math.isclose(recorded, close, rel_tol=0.05))
        for recorded, close in closes
    )


def _section(text: str) -> Pruning:
    ledger, _ = open_study(text)
    try:
        row = ledger.read_study()
    finally:
        ledger.engine.dispose()
    assert row is not None, text
    section: Mapping[str, Any] = row.document.get(SECTION, {})
    known = {key: value for key, value in section.items() if key in Pruning.model_fields}
    with readable(text):
        return Pruning.model_validate(known)


# --- the file to write to


def _left(file: Path | None) -> dict[str, Any] | None:
    """What `written` says of a file that was not written to."""
    return None if file is None else {"file": str(file), "changes": [], "error": None}


def _file_to_write(texts: Sequence[str], to: Path | None) -> Path:
    """Checked before the search, which takes minutes."""
    if to is not None:
        check_file(to)
        return to
    if len(texts) > 1:
        raise UserError("--write: several sources were named; say which study file with --to FILE")
    if not names_study(texts[0]):
        raise UserError(
            f"--write: {texts[0]} is a recorded set and has no study file; name one with --to FILE"
        )
    ledger, paths = open_study(texts[0])
    ledger.engine.dispose()
    file = source_of(paths)
    if file is None:
        raise UserError(
            f"--write: {paths.study_file} does not say which file the study was run from; name it "
            "with --to my-study.yaml"
        )
    check_file(file, ledger.study)
    return file


def _write(file: Path, document: dict[str, Any]) -> UserError | None:
    """Only what the recommendation changes. Into the document goes what was written, or why not."""
    values = {key: now for key, (_, now) in document["changes"].items()}
    try:
        changes, failure = write_pruning(file, values), None
    except UserError as error:
        changes, failure = [], error
    document["written"] = {
        "file": str(file),
        "changes": [change._asdict() for change in changes],
        "error": None if failure is None else str(failure),
    }
    return failure


def _check(
    risk: float | None, num_workers: int, num_orders: int, seed: int, write: bool, to: Path | None
) -> None:
    if risk is not None:
        try:
            Settings.checked({"risk": risk})
        except ValueError as error:
            raise UserError(f"--{error}") from None
    least = {"--workers": (num_workers, 1), "--orders": (num_orders, 1), "--seed": (seed, 0)}
    for name, (value, smallest) in least.items():
        if value < smallest:
            raise UserError(f"{name} {value}: must be {smallest} or more")
    if to is not None and not write:
        raise UserError("--to names a file to write to, which takes --write as well")


# --- the search


def _with_progress(
    studies: Sequence[RecordedStudy],
    present: Present,
    risk: float | None,
    num_workers: int,
    num_orders: int,
    seed: int,
) -> Tuning:
    with progress_bar("replaying", counted=True) as bar:
        try:
            return tune(
                studies,
                present.candidate,
                risk=risk,
                recorded=present.recorded,
                fixed=("prior_strength",) if present.has_history else (),
                num_orders=num_orders,
                num_workers=num_workers,
                num_processes=num_cores(),
                seed=seed,
                on_start=bar.extend,
                on_done=bar.advance,
            )
        except NothingToHoldOut as error:
            raise UserError(f"--orders {num_orders}: {error}") from None
