"""The commands of `sweep`. Heavy imports stay inside them: help answers at once."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter, validators

from trainer.contract.spec import UserError
from trainer.contract.streams import print_json

StudyFile = Annotated[str, Parameter(help="A study file (YAML), or the name of a shipped study.")]
Settings = Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True)]
Overrides = Annotated[
    Settings, Parameter(help="Overrides of keys in the study file: key.path=value ...")
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]
Flag = Annotated[bool, Parameter(negative="")]

app = App(
    name="sweep",
    help="Sweep SFT configurations of a small language model, and stop early what will not win.",
    version=lambda: version("sft-sweep"),
    version_flags=["--version"],
)


@app.command
def run(
    study: StudyFile,
    /,
    *,
    trials: int | Literal["auto"] | None = None,
    workers: int | None = None,
    storage: str | None = None,
    out: Path | None = None,
    set_: Overrides = None,
    dry_run: Flag = False,
) -> int:
    """Run a study, or go on with it where it stands.

    Exit codes: 0 done, with a completed trial and none failed; 1 an error of the program or while
    preparing; 2 a mistake of yours; 3 ended without a completed trial; 4 done, with failed trials
    among them (`sweep retry` brings them back); 75 not finished because of the outside (a full
    disk, run.max_hours), the same command goes on; 128 + the signal if interrupted (130 Ctrl-C,
    143 SIGTERM, 129 SIGHUP), the same command goes on.

    Parameters
    ----------
    trials
        How many trials the study has in all (run.trials); auto: as many as run.max_hours holds.
    workers
        How many trials run side by side (run.workers): one per GPU, else one, if not given.
    storage
        Where the study is recorded (run.storage): a database URL; OUT/study.db if not given.
    out
        The study's folder; ./runs/NAME if not given.
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
    trials: Literal["few", "all"] = "few",
    json_: AsJson = False,
) -> int:
    """Show a study: the best, what was saved and at what risk, and its trials.

    Parameters
    ----------
    study
        The name of a study under ./runs, a study's folder, or URL#NAME.
    trial
        Show everything of this one trial.
    trials
        Whether each table has all trials, or the first few.
    """
    from sweep.documents import to_json
    from sweep.report.study_report import study_report, trial_report
    from sweep.report.trial_types import TrialReport
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

            print_study(report, every_trial=trials == "all")
    return 0


@app.command
def judge(
    study: str,
    /,
    *,
    top: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1_000))] = 3,
    set_: Overrides = None,
    json_: AsJson = False,
) -> int:
    """Have a judge rate the best trials' answers to MT-Bench, and the base model's.

    It goes on where it stood: answers and ratings are on disk as they come. Who rates them is said
    by objective.judge, in the study's file or here. Exit codes: 0 done; 1 an error of the program;
    2 a mistake of yours, as a wrong key; 75 the judge does not answer, the same command goes on.

    Parameters
    ----------
    study
        As for inspect.
    top
        How many of the best trials whose weights are kept.
    """
    from sweep.judge_study import judge_study
    from sweep.report.view import PlainView

    view = PlainView(sys.stderr if json_ else sys.stdout)
    found = judge_study(study, top, set_ or (), view)
    if json_:
        from sweep.documents import to_json

        print_json(to_json(found))
    else:
        from sweep.report.judge_text import print_judged

        print_judged(found)
    return 0


@app.command
def recipes(
    study: StudyFile | None = None,
    /,
    *,
    set_: Overrides = None,
    json_: AsJson = False,
) -> int:
    """Show the published configurations with their sources, and what a study makes of them."""
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
def tasks(
    pattern: str = "",
    /,
    *,
    tasks: Path | None = None,
    json_: AsJson = False,
) -> int:
    """List what can be named as lm_eval:TASK, and what of it works without the Hub.

    Parameters
    ----------
    pattern
        Of names, as mmlu*. Without one: your own tasks, and the groups of the harness.
    tasks
        A folder of tasks of your own, as objective.tasks.
    """
    from sweep.report.print_tasks import find_tasks, print_tasks

    found = find_tasks(pattern or "*", tasks)
    if json_:
        print_json(found)
        return 0
    if not pattern:
        found = [one for one in found if one["from"] == "folder" or one["kind"] == "group"]
    print_tasks(found)
    return 0


@app.command
def studies() -> int:
    """List the shipped studies."""
    from sweep.config.sources import shipped_studies

    listed = shipped_studies()
    width = max(len(name) for name, _ in listed)
    for name, description in listed:
        sys.stdout.write(f"{name:<{width}}  {description}\n")
    return 0
