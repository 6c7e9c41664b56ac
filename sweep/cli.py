"""The command line. Heavy imports stay inside the commands: help answers at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import App, CycloptsError, Parameter

from sweep.account.outcome import EXIT_ERROR, EXIT_USER_ERROR, PreparationFailed
from sweep.edge import check_folder, fault
from trainer.contract.signals import Interrupted, Signals
from trainer.contract.sockets import use_short_socket_folder
from trainer.contract.spec import UserError
from trainer.contract.streams import print_json, safe_streams

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Report = TypeVar("Report", bound="DataclassInstance")

app = App(
    name="sweep",
    help="Sweep SFT configurations of a small language model, and stop early what will not win.",
    version=lambda: version("sft-sweep"),
    version_flags=["--version"],
)


@app.command
def run(
    study: str,
    /,
    *,
    trials: int | None = None,
    workers: int | None = None,
    storage: str | None = None,
    out: Path | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True)] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a study, or go on with it where it stands.

    Exit codes: 0 done, with a completed trial and none failed; 1 an error of the program or while
    preparing; 2 a mistake of yours; 3 ended without a completed trial; 4 done, with failed trials
    among them (`sweep retry` brings them back); 75 not finished because of the outside (a full
    disk, run.max_hours), the same command goes on; 128 + the signal if interrupted (130 Ctrl-C,
    143 SIGTERM, 129 SIGHUP), the same command goes on.

    Parameters
    ----------
    study
        A study file (YAML), or the name of a shipped study.
    trials
        How many trials the study has in all (run.trials).
    workers
        How many trials run side by side (run.workers): one per GPU, else one, if not given.
    storage
        Where the study is recorded (run.storage): a database URL; OUT/study.db if not given.
    out
        The study's folder; ./runs/NAME if not given.
    set_
        Overrides of keys in the study file: key.path=value ...
    dry_run
        Print the plan and stop.
    """
    from sweep.run_study import run_study

    named = {"run.trials": trials, "run.workers": workers, "run.storage": storage}
    overrides = [f"{key}={json.dumps(value)}" for key, value in named.items() if value is not None]
    return run_study(study, [*(set_ or []), *overrides], out, dry_run=dry_run)


@app.command
def retry(study: str, /, *trials: int) -> int:
    """Bring failed trials back: they wait to be tried again, under their numbers.

    A trial keeps its params and its checkpoint and gets all its tries anew. Nothing is trained:
    the next `sweep run` of the study does that.

    Parameters
    ----------
    study
        As for inspect.
    trials
        The failed trials; all of them if none is named.
    """
    from sweep.driver.retry import retry_trials

    sys.stdout.write(retry_trials(study, trials) + "\n")
    return 0


@app.command
def inspect(
    study: str,
    /,
    *,
    trial: int | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show a study's trials: completed, pruned and why, failed, and what was saved.

    Parameters
    ----------
    study
        The name of a study under ./runs, a study's folder, or URL#NAME.
    trial
        Show everything of this one trial.
    json_
        Print one JSON document and nothing else.
    """
    from sweep.documents import to_json
    from sweep.report.study_report import study_report, trial_report
    from sweep.report.types import TrialReport
    from sweep.storage.find import open_study
    from sweep.storage.readable import readable

    with readable(study):
        ledger, paths = open_study(study)
        if trial is None:
            report = study_report(ledger, paths)
        else:
            report = trial_report(ledger, paths, trial)
        if json_:
            print_json(to_json(report))
        elif isinstance(report, TrialReport):
            from sweep.report.print_trial import print_trial

            print_trial(report)
        else:
            from sweep.report.print_study import print_study

            print_study(report)
    return 0


@app.command
def recipes(
    study: str | None = None,
    /,
    *,
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True)] = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show the published configurations with their sources, and what a study makes of them.

    Parameters
    ----------
    study
        A study file (YAML), or the name of a shipped study.
    set_
        Overrides of keys in the study file: key.path=value ...
    json_
        Print one JSON document.
    """
    from sweep.config.load import load_study
    from sweep.documents import to_json
    from sweep.report.print_recipes import print_recipes
    from sweep.report.recipes_text import recipes_report

    if study is None and set_:
        raise UserError("--set: overrides keys of a study; name one, as sweep recipes quickstart")
    report = recipes_report(None if study is None else load_study(study, set_ or ()).study)
    if json_:
        print_json(to_json(report))
    else:
        print_recipes(report)
    return 0


@app.command
def evidence(
    *studies: str,
    max_runs: int = 500,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show what the early dynamics were worth: alone, and beyond the configuration.

    Parameters
    ----------
    studies
        Studies (as for inspect), exports or recorded sets (DIR/X of DIR/X_runs.parquet).
    max_runs
        Of a study with more runs look at a sample of so many.
    json_
        Print one JSON document.
    """
    from sweep.analysis.evidence import evidence as find
    from sweep.analysis.evidence_text import print_evidence

    _show(find(*_some(studies), max_runs=max_runs), print_evidence, as_json=json_)
    return 0


@app.command
def replay(
    *studies: str,
    against: Literal["none", "all"] = "none",
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True)] = None,
    workers: int = 1,
    orders: int = 5,
    points: int = 20,
    seed: int = 0,
    max_runs: int = 500,
    figure: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show what other settings, and other pruners, would have done on recorded runs.

    Parameters
    ----------
    studies
        Studies (as for inspect), exports or recorded sets (DIR/X of DIR/X_runs.parquet).
    against
        all: every baseline, Optuna's pruners among them.
    set_
        Settings of the study file's pruning section: key=value ..., as risk=0.2 startup=5; the
        defaults where not given, and the window as it was recorded.
    workers
        How many trials ran side by side.
    orders
        How often each study is replayed, its trials in an order shuffled by the seed.
    points
        How many points of each curve the baselines that look more than once get to see.
    seed
        Of the orders and the audits.
    max_runs
        Of a study with more runs replay a sample of so many.
    figure
        Draw regret against compute into this file (SVG, PNG or PDF).
    json_
        Print one JSON document.
    """
    from sweep.analysis.figures import check_figure, draw_replay
    from sweep.analysis.replay import replay as compare
    from sweep.analysis.replay_settings import settings_given
    from sweep.analysis.replay_text import print_replay

    if figure is not None:
        check_figure(figure)
    report = compare(
        *_some(studies),
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
def tune(
    *studies: str,
    risk: float | None = None,
    write: Annotated[bool, Parameter(negative="")] = False,
    to: Path | None = None,
    workers: int = 1,
    orders: int = 5,
    seed: int = 0,
    max_runs: int = 200,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Show the pruning thresholds worth using, what they save and what they cost.

    Parameters
    ----------
    studies
        Studies (as for inspect), exports or recorded sets (DIR/X of DIR/X_runs.parquet).
    risk
        Search only settings that state at most this risk.
    write
        Put the recommended settings into the study's file; its comments stay.
    to
        The study file to write to, where it is not known from the study.
    workers
        How many trials run side by side.
    orders
        How often each study is replayed, its trials in an order shuffled by the seed.
    seed
        Of the orders and the folds.
    max_runs
        Of a study with more runs replay a sample of so many.
    json_
        Print one JSON document.
    """
    from sweep.analysis.tune_command import show_tuning

    return show_tuning(
        _some(studies),
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
def export(
    *studies: str,
    to: str,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Write studies as X_runs.parquet and X_steps.parquet, for replay and for any notebook.

    Parameters
    ----------
    studies
        Studies (as for inspect), exports or recorded sets (DIR/X of DIR/X_runs.parquet). Those of
        one name that ask the same question are one group.
    to
        DIR/X, where DIR/X_runs.parquet and DIR/X_steps.parquet are written; of a folder (DIR/) the
        files are named after the study.
    json_
        Print one JSON document: the files, and the runs of each group.
    """
    from sweep.analysis.export import ExportReport, export_sentence
    from sweep.analysis.export import export as write

    def print_sentence(report: ExportReport) -> None:
        sys.stdout.write(export_sentence(report) + "\n")

    _show(write(*_some(studies), to=to), print_sentence, as_json=json_)
    return 0


def _show(report: Report, print_text: Callable[[Report], None], *, as_json: bool) -> None:
    if not as_json:
        print_text(report)
        return
    from sweep.documents import to_json

    print_json(to_json(report))


def _some(studies: tuple[str, ...]) -> tuple[str, ...]:
    if not studies:
        raise UserError("name at least one study, export or recorded set")
    return studies


@app.command
def studies() -> int:
    """List the shipped studies."""
    from sweep.config.sources import shipped_studies

    listed = shipped_studies()
    width = max(len(name) for name, _ in listed)
    for name, description in listed:
        sys.stdout.write(f"{name:<{width}}  {description}\n")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The exit code: of a run as account/outcome.py says; else 0, 1, 2 or 128 + the signal.

    What the terminal, a pipe or a disk does to the output changes nothing of what a study does: of
    `sweep run` the exit code is the study's, of all others 1 where their output was lost.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with safe_streams() as (out, err):
        code = _exit_code(given)
        out.flush()
        lost = out.steady.lost
        if lost is not None and not isinstance(lost, BrokenPipeError):  # as in `... | head`
            err.write(f"sweep: the output could not be written: {lost.strerror}\n")
            code = code or (0 if given[:1] == ["run"] else EXIT_ERROR)
    return code


def _exit_code(arguments: list[str]) -> int:
    try:
        with Signals():
            check_folder()
            use_short_socket_folder()
            code = app(
                arguments, exit_on_error=False, print_error=False, result_action="return_value"
            )
    except CycloptsError as error:
        sys.stderr.write(f"sweep: {error}\n")
        return EXIT_USER_ERROR
    except UserError as error:
        sys.stderr.write(f"sweep: {error}\n")
        return EXIT_USER_ERROR
    except PreparationFailed as error:
        sys.stderr.write(f"sweep: {error}\n")
        return EXIT_ERROR
    except Interrupted as interrupted:
        return interrupted.exit_code
    except Exception as error:  # a fault of ours: said in a sentence, not mended by it
        sys.stderr.write(fault(error))
        return EXIT_ERROR
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
