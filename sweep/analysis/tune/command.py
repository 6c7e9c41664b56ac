"""`sweep tune` as a command: its report, and with --write the settings in the study's file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from sweep.analysis.recorded.sources import named, names_study
from sweep.analysis.tune.report import TuneReport, Written
from sweep.analysis.tune.text import print_changes, print_tuning
from sweep.analysis.tune.tune import TooFewRuns, check_options, tune
from sweep.config.edit import check_file, write_pruning
from sweep.documents import to_json
from sweep.report.console import print_lines
from sweep.storage.find import open_study
from sweep.storage.study_source import source_of
from trainer.contract.spec import UserError
from trainer.contract.streams import print_json


def show_tuning(
    sources: Sequence[str],
    *,
    risk: float | None,
    write: bool,
    to: Path | None,
    workers: int,
    orders: int,
    seed: int,
    max_runs: int,
    as_json: bool,
) -> int:
    """Print what the search found, and with `write` put it into a study file.

    UserError where a source cannot be read, the file to write to is not known or not right, or it
    cannot be written; what was found is printed all the same. After Ctrl-C, in a line on stderr,
    that nothing was written.
    """
    sources = named(sources)
    check_options(risk, workers, orders, seed)
    if to is not None and not write:
        raise UserError("--to names a file to write to, which takes --write as well")
    file = file_to_write(sources, to) if write else None
    try:
        report = tune(
            *sources,
            risk=risk,
            file=file,
            workers=workers,
            orders=orders,
            seed=seed,
            max_runs=max_runs,
        )
    except TooFewRuns as reason:
        _show_too_few(str(reason), file, as_json)
        return 0
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing was written\n")
        raise
    if not as_json:
        print_tuning(report)
    failure = None
    if file is not None:
        report, failure = write_recommended(report, file)
    if as_json:
        print_json(to_json(report))
    if failure is not None:
        raise failure
    if report.written is not None and not as_json:
        print_changes(report.written, report.is_better)
    return 0


def file_to_write(sources: Sequence[str], to: Path | None) -> Path:
    """`to`, or the file that the one study in `sources` was run from.

    UserError where it is not known or is no study file of a person's own. It is asked for before
    the search, which takes minutes.
    """
    if to is not None:
        check_file(to)
        return to
    if len(sources) > 1:
        raise UserError("--write: several sources were named; say which study file with --to FILE")
    (source,) = sources
    if not names_study(source):
        raise UserError(
            f"--write: {source} is a recorded set and has no study file; name one with --to FILE"
        )
    ledger, paths = open_study(source)
    ledger.engine.dispose()
    file = source_of(paths)
    if file is None:
        raise UserError(
            f"--write: {paths.study_file} does not say which file the study was run from; name it "
            "with --to my-study.yaml"
        )
    check_file(file, ledger.study)
    return file


def write_recommended(report: TuneReport, file: Path) -> tuple[TuneReport, UserError | None]:
    """The report with what became of the file, which has what the recommendation changes; and the
    UserError where it could not be written."""
    values = {key: now for key, (_, now) in report.changes.items()}
    try:
        written, failure = Written(str(file), tuple(write_pruning(file, values))), None
    except UserError as error:
        written, failure = Written(str(file), error=str(error)), error
    return replace(report, written=written), failure


def _show_too_few(reason: str, file: Path | None, as_json: bool) -> None:
    sentences = [f"{reason[0].upper()}{reason[1:]}."]
    if file is not None:
        sentences.append(f"{file} was left as it is.")
    if as_json:
        written = None if file is None else asdict(Written(str(file)))
        print_json({"verdict": sentences, "recommended": None, "written": written})
    else:
        print_lines(sentences)
