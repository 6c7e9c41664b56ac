"""The commands of `sweep` that look at what was recorded: evidence, replay, tune, dashboard,
export."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import Parameter

from sweep.commands import AsJson, Flag, Settings
from sweep.sharing_commands import app
from trainer.contract.streams import print_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Report = TypeVar("Report", bound="DataclassInstance")

Sources = Annotated[
    str,
    Parameter(
        help="Studies (as for inspect), exports or recorded sets (DIR/X of DIR/X_runs.parquet)."
    ),
]
SideBySide = Annotated[int, Parameter(help="How many trials run side by side.")]
Orders = Annotated[
    int,
    Parameter(
        help="How often each study is replayed, its trials in an order shuffled by the seed."
    ),
]


@app.command
def evidence(
    *studies: Sources,
    max_runs: int = 500,
    json_: AsJson = False,
) -> int:
    """Show what the early dynamics were worth: alone, and beyond the configuration.

    Parameters
    ----------
    max_runs
        Of a study with more runs look at a sample of so many.
    """
    from sweep.analysis.evidence.evidence import evidence as find
    from sweep.analysis.evidence.text import print_evidence

    _show(find(*studies, max_runs=max_runs), print_evidence, as_json=json_)
    return 0


@app.command
def replay(
    *studies: Sources,
    against: Literal["none", "all"] = "none",
    set_: Settings = None,
    workers: SideBySide = 1,
    orders: Orders = 5,
    points: int = 20,
    seed: int = 0,
    max_runs: int = 500,
    figure: Path | None = None,
    json_: AsJson = False,
) -> int:
    """Show what other settings, and other pruners, would have done on recorded runs.

    Parameters
    ----------
    against
        all: every baseline, Optuna's pruners among them.
    set_
        Settings of the study file's pruning section: key=value ..., as risk=0.2 startup=5; the
        defaults where not given, and the window as it was recorded.
    points
        How many points of each curve the baselines that look more than once get to see.
    seed
        Of the orders and the audits.
    max_runs
        Of a study with more runs replay a sample of so many.
    figure
        Draw regret against compute into this file (SVG, PNG or PDF).
    """
    from sweep.analysis.replay.figures import check_figure, draw_replay
    from sweep.analysis.replay.replay import replay as compare
    from sweep.analysis.replay.settings import settings_given
    from sweep.analysis.replay.text import print_replay

    if figure is not None:
        check_figure(figure)
    report = compare(
        *studies,
        settings=settings_given(set_ or ()),
        against=against,
        workers=workers,
        orders=orders,
        points=points,
        seed=seed,
        max_runs=max_runs,
    )
    _show(report, print_replay, as_json=json_)
    if figure is not None:
        draw_replay(report, figure)
    return 0


@app.command
def compare(*studies: str, json_: AsJson = False) -> int:
    """Show what several studies say together: the best of each, and the signals that transferred.

    Their values compare where they ask the same: metric, data, model and budget. It says in what
    they differ. Which early signals told the same in all of them is shown either way.

    Parameters
    ----------
    studies
        Two or more, as for inspect.
    """
    from sweep.analysis.compare.compare import compare as find
    from sweep.analysis.compare.text import print_compared

    _show(find(*studies), print_compared, as_json=json_)
    return 0


@app.command
def tune(
    *studies: Sources,
    risk: float | None = None,
    write: Flag = False,
    to: Path | None = None,
    workers: SideBySide = 1,
    orders: Orders = 5,
    seed: int = 0,
    max_runs: int = 200,
    json_: AsJson = False,
) -> int:
    """Show the pruning thresholds worth using, what they save and what they cost.

    Parameters
    ----------
    risk
        Search only settings that state at most this risk.
    write
        Put the recommended settings into the study's file; its comments stay.
    to
        The study file to write to, where it is not known from the study.
    seed
        Of the orders and the folds.
    max_runs
        Of a study with more runs replay a sample of so many.
    """
    from sweep.analysis.tune.command import show_tuning

    return show_tuning(
        studies,
        risk=risk,
        write=write,
        to=to,
        workers=workers,
        orders=orders,
        seed=seed,
        max_runs=max_runs,
        as_json=json_,
    )


@app.command
def dashboard(study: str, /, *, port: int = 8080) -> int:
    """Show a study in optuna-dashboard, read-only, also while another process runs it.

    Verdicts are notes on the trials, curves are figures on the study's page. Nothing is written;
    only this machine is answered. Needs pip install 'sft-sweep[dashboard]'.

    Parameters
    ----------
    study
        As for inspect.
    port
        Of 127.0.0.1; 0: one that is free.
    """
    from sweep.dashboard.serve import serve
    from sweep.report.console import print_lines

    serve(study, port, lambda line: print_lines([line]))
    return 0


@app.command
def export(
    *studies: str,
    to: str,
    format: Literal["parquet", "csv", "optuna"] = "parquet",
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Write studies as X_runs.parquet and X_steps.parquet, for replay and for any notebook, or in
    another format.

    Parameters
    ----------
    studies
        Studies (as for inspect), exports or recorded sets (DIR/X of DIR/X_runs.parquet). Those of
        one name that ask the same question are one group.
    to
        DIR/X, where DIR/X_runs.parquet and DIR/X_steps.parquet are written; of a folder (DIR/) the
        files are named after the study.
    format
        csv: X_runs.csv and X_steps.csv, with the same columns; optuna: X.db, a SQLite file with
        each study as a plain study of Optuna's.
    json_
        Print one JSON document: the files, and the runs of each group.
    """
    from sweep.analysis.recorded.export import ExportReport, export_sentence
    from sweep.analysis.recorded.export import export as write

    def print_sentence(report: ExportReport) -> None:
        sys.stdout.write(export_sentence(report) + "\n")

    _show(write(*studies, to=to, format=format), print_sentence, as_json=json_)
    return 0


def _show(report: Report, print_text: Callable[[Report], None], *, as_json: bool) -> None:
    if not as_json:
        print_text(report)
        return
    from sweep.documents import to_json

    print_json(to_json(report))
