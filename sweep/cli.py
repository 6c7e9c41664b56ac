"""The command line. Heavy imports stay inside the commands: help answers at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from sweep.faults import PreparationFailed
from trainer.spec import UserError

app = App(
    name="sweep",
    help="Sweep SFT configurations of a small language model, and stop early what will not win.",
    version_flags=["--version"],
)

EXIT_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


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
    from sweep.running import run_study

    named = {"run.trials": trials, "run.workers": workers, "run.storage": storage}
    overrides = [f"{key}={json.dumps(value)}" for key, value in named.items() if value is not None]
    return run_study(study, [*(set_ or []), *overrides], out, dry_run=dry_run)


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
    from sweep.inspect import open_study, study_document, trial_document

    ledger, paths = open_study(study)
    if trial is None:
        document = study_document(ledger, paths)
    else:
        document = trial_document(ledger, paths, trial)
    if json_:
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
        return 0
    from sweep.display import print_study, print_trial

    if trial is None:
        print_study(document, paths)
    else:
        print_trial(document)
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
    from sweep.config import load_study
    from sweep.recipe_table import recipes_document

    if study is None and set_:
        raise UserError("--set: overrides keys of a study; name one, as sweep recipes quickstart")
    document = recipes_document(None if study is None else load_study(study, set_ or ()).study)
    if json_:
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
        return 0
    from sweep.display import print_recipes

    print_recipes(document)
    return 0


@app.command
def studies() -> int:
    """List the shipped studies."""
    from sweep.config import shipped_studies

    listed = shipped_studies()
    width = max(len(name) for name, _ in listed)
    for name, description in listed:
        sys.stdout.write(f"{name:<{width}}  {description}\n")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command's exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C."""
    try:
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return EXIT_USER_ERROR  # it has said what is wrong
    except UserError as error:
        sys.stderr.write(f"sweep: {error}\n")
        return EXIT_USER_ERROR
    except PreparationFailed as error:
        sys.stderr.write(f"sweep: {error}\n")
        return EXIT_FAILED
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone, as in `sweep inspect x | head`
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
