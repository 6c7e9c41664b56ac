"""Studies from Python: what `import sweep` offers.

study = sweep.run("quickstart", trials=6)      # or sweep.load("quickstart"), also while it runs
study.trials                                   # a pandas DataFrame
study.best.model_dir
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Generator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from predictor.types import Observation
from sweep.config.load import load_study
from sweep.report.html import study_html
from sweep.report.study_report import study_report
from sweep.report.types import BestReport, StudyReport, TrialSummary
from sweep.run_study import run_loaded
from sweep.storage.find import open_study
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from sweep.storage.readable import readable
from trainer.contract.signals import Interrupted, Signals, exit_code
from trainer.contract.sockets import use_short_socket_folder
from trainer.contract.streams import safe_streams

SHORT = {"trials": "run.trials", "workers": "run.workers", "storage": "run.storage"}


class Study:
    """A study as it is stored. Each property reads it anew: a driver may be writing to it."""

    def __init__(self, where: str | Path) -> None:
        """`where`: a study's name (below ./runs), its folder, or URL#NAME. UserError where there is
        none."""
        self.where = str(where)
        with self._opened():
            pass

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial, its number as the index: state, params, early signals, verdict and end.

        Params stand under their names. `early_loss` (nats per loss-bearing token), `grad_norm`,
        `grad_norm_noise_free` and `early_eval` are of the early window. `p` is the stated
        probability of beating the best of that moment, `p0` the same before anybody looked.
        `objective` is the metric at the end, NaN of a trial that did not get there; `flops` and
        `seconds` (device-seconds) what the trial has cost.
        """
        rows = [_row(trial) for trial in self.report().trials]
        numbers = pd.Index([row.pop("trial") for row in rows], name="trial")
        return pd.DataFrame(rows, index=numbers)

    @property
    def observations(self) -> pd.DataFrame:
        """One row an optimizer step, of all trials: `trial`, and the fields of
        `predictor.types.Observation`."""
        names = [field.name for field in fields(Observation)]
        with self._opened() as (ledger, _):
            rows = [
                (row.number, *(getattr(seen, name) for name in names))
                for row in ledger.read_trials()
                for seen in ledger.read_observations(row.number)
            ]
        return pd.DataFrame(rows, columns=["trial", *names])

    @property
    def best(self) -> BestReport | None:
        """The best configuration, its objective, and where its model lies (`model_dir`); None while
        no trial is completed."""
        return self.report().best

    def report(self) -> StudyReport:
        """All that `sweep inspect` shows, typed. In a notebook it is shown as tables."""
        with self._opened() as (ledger, paths):
            return study_report(ledger, paths)

    def __repr__(self) -> str:
        return f"sweep.load({self.where!r})"

    def _repr_html_(self) -> str:
        return study_html(self.report())

    @contextlib.contextmanager
    def _opened(self) -> Generator[tuple[Ledger, StudyPaths]]:
        with readable(self.where):
            ledger, paths = open_study(self.where)
            try:
                yield ledger, paths
            finally:
                ledger.engine.dispose()


def load(where: str | Path) -> Study:
    """A study that was run, or runs now. `where`: its name (below ./runs), its folder, or URL#NAME.

    UserError where there is none.
    """
    return Study(where)


def run(
    study: str | Path | Mapping[str, Any], *, out: str | Path | None = None, **overrides: Any
) -> Study:
    """The study after it was run, or gone on with where it stood.

    `study`: a study file, the name of a shipped study, or a dictionary of the study file's keys,
    whose relative paths start at the working directory. `out`: its folder, ./runs/NAME if None.
    `overrides`: `trials`, `workers`, `storage`, or any other key of the study file with two
    underscores for its dots, as `pruning__risk=0.2`.

    Progress is printed as `sweep run` does it; in a notebook it is drawn in place where ipywidgets
    is installed. UserError for what the caller can mend. KeyboardInterrupt after an interruption:
    running trials have written a checkpoint, and the same call goes on from there. A study that
    ends for a cause outside, or with failed trials, is returned: see `report().state`.
    """
    texts = [f"{_path(key)}={json.dumps(value)}" for key, value in overrides.items()]
    loaded = load_study(study, texts)
    folder = Path(out or Path("runs") / loaded.study.name)
    try:
        with safe_streams(), Signals():
            use_short_socket_folder()
            code = run_loaded(loaded, folder)
    except Interrupted as interrupted:
        code = interrupted.exit_code
    _raise_interrupt(code)
    storage = loaded.study.run.storage
    return Study(folder if storage == "auto" else f"{storage}#{loaded.study.name}")


def _path(key: str) -> str:
    return SHORT.get(key, key.replace("__", "."))


def _raise_interrupt(code: int) -> None:
    if code == exit_code(signal.SIGINT):
        raise KeyboardInterrupt
    if code in (exit_code(signal.SIGTERM), exit_code(signal.SIGHUP)):
        raise SystemExit(code)


def _row(trial: TrialSummary) -> dict[str, Any]:
    window, forecast, verdict = trial.window, trial.forecast, trial.verdict
    return {
        "trial": trial.number,
        "state": trial.state.value,
        **trial.params,
        "early_loss": window and window.loss,
        "grad_norm": window and window.grad_norm,
        "grad_norm_noise_free": window and window.grad_norm_noise_free,
        "early_eval": window and window.early_eval,
        "p": forecast and forecast.probability,
        "p0": forecast and forecast.before,
        "action": verdict and verdict.action,
        "reason": verdict and verdict.reason,
        "objective": trial.objective,
        "flops": trial.compute.flops,
        "seconds": trial.compute.seconds,
        "attempts": trial.attempts,
        "recipe": trial.recipe,
        "replicate_of": trial.confirms,
    }
