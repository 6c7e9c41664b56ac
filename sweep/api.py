"""Studies from Python: what `import sweep` offers.

study = sweep.run("quickstart", trials=6)      # or sweep.load("quickstart"), also while it runs
study.trials                                   # a pandas DataFrame
study.best.model_dir
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from predictor.types import Observation
from sweep.config.errors import key_paths, unknown
from sweep.config.study import Study as StudyFile
from sweep.page.figures import CurveName, configurations_figure, curves_figure, progress_figure
from sweep.page.notebook import first_screen
from sweep.page.page_report import page_report
from sweep.page.write import write_page
from sweep.report.study_report import study_report
from sweep.report.study_types import BestReport, StudyReport
from sweep.report.trial_types import TrialSummary
from sweep.run_study import load_named, run_loaded, storage_url
from sweep.storage.find import RUNS, Location, locate
from sweep.storage.ledger import Ledger
from sweep.storage.paths import StudyPaths
from sweep.storage.readable import readable
from trainer.contract.safe_text import url_without_secrets
from trainer.contract.signals import Interrupted, Signals, exit_code
from trainer.contract.sockets import use_short_socket_folder
from trainer.contract.spec import UserError
from trainer.contract.streams import safe_streams

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHORT = {"trials": "run.trials", "workers": "run.workers", "storage": "run.storage"}

_OF_TRIAL: Mapping[str, Callable[[TrialSummary], Any]] = {
    "early_loss": lambda trial: trial.window and trial.window.loss,
    "grad_norm": lambda trial: trial.window and trial.window.grad_norm,
    "grad_norm_noise_free": lambda trial: trial.window and trial.window.grad_norm_noise_free,
    "early_eval": lambda trial: trial.window and trial.window.early_eval,
    "p": lambda trial: trial.forecast and trial.forecast.probability,
    "p0": lambda trial: trial.forecast and trial.forecast.before,
    "action": lambda trial: trial.verdict and trial.verdict.action,
    "reason": lambda trial: trial.verdict and trial.verdict.reason,
    "objective": lambda trial: trial.objective,
    "feasible": lambda trial: trial.is_feasible,
    "flops": lambda trial: trial.compute.flops,
    "seconds": lambda trial: trial.compute.seconds,
    "attempts": lambda trial: trial.attempts,
    "recipe": lambda trial: trial.recipe,
    "replicate_of": lambda trial: trial.confirms,
}  # the columns of `Study.trials` beside its state and params


class Study:
    """A study as it is stored. Each property reads it anew: a driver may be writing to it."""

    def __init__(self, location: Location) -> None:
        """`sweep.run` and `sweep.load` make one."""
        self._location = location.absolute()

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial, its number as the index: state, params, early signals, verdict and end.

        Params stand under their names. `early_loss` (nats per loss-bearing token), `grad_norm`,
        `grad_norm_noise_free` and `early_eval` are of the early window. `p` is the stated
        probability of beating the best of that moment, `p0` the same before anybody looked.
        `objective` is the metric at the end, NaN of a trial that did not get there; `feasible`
        whether it holds every constraint, None without any and before its end; `flops` and
        `seconds` (device-seconds) what the trial has cost.
        """
        report = self.report()
        params = dict.fromkeys(name for trial in report.trials for name in trial.params)
        columns = ["state", *(params or _searched(report)), *_OF_TRIAL]
        rows = [
            {
                "state": trial.state.value,
                **trial.params,
                **{name: value(trial) for name, value in _OF_TRIAL.items()},
            }
            for trial in report.trials
        ]
        numbers = pd.Index([trial.number for trial in report.trials], name="trial", dtype="int64")
        return pd.DataFrame(rows, index=numbers, columns=columns)

    @property
    def observations(self) -> pd.DataFrame:
        """One row an optimizer step, of all trials: `trial`, and the fields of
        `predictor.types.Observation`."""
        names = [field.name for field in fields(Observation)]
        with self._opened() as (ledger, _):
            rows = [
                (number, *(getattr(seen, name) for name in names))
                for number, observations in ledger.stream_observations()
                for seen in observations
            ]
        return pd.DataFrame(rows, columns=["trial", *names])

    @property
    def best(self) -> BestReport | None:
        """The best configuration, its objective, and where its model lies (`model_dir`); None while
        no trial is completed that holds every constraint."""
        return self.report().best

    def report(self, to: str | Path | None = None) -> StudyReport:
        """All that `sweep inspect` shows, typed. In a notebook it is shown as tables.

        `to`: an HTML file, into which the page of `sweep report` is written as well. UserError
        where it cannot be.
        """
        with self._opened() as (ledger, paths):
            if to is not None:
                write_page(ledger, paths, to)
            return study_report(ledger, paths)

    def __repr__(self) -> str:
        at = self._location
        stored = url_without_secrets(at.url)
        elsewhere = "" if at.url == at.paths.default_storage else f", stored in {stored!r}"
        return f"<sweep.Study {at.study!r} in {str(at.paths.out)!r}{elsewhere}>"

    def plot_progress(self) -> Figure:
        """Each trial's objective so far against its compute; the best bold. A matplotlib figure,
        as of all three (extra `figures`): UserError without it."""
        return progress_figure(self.report())

    def plot_configurations(self, x: str | None = None, y: str | None = None) -> Figure:
        """Two parameters against each other, coloured by the objective; the first two that vary if
        none is named. UserError for a name that is no parameter's."""
        return configurations_figure(self.report(), x, y)

    def plot_curves(self, what: CurveName = "loss") -> Figure:
        """Training against samples: `loss` (nats per token), `grad_norm`, or `noise_free`, the norm
        without the noise of the batch."""
        with self._opened() as (ledger, paths):
            page = page_report(ledger, paths)
        return curves_figure(page.study, page.curves, what)

    def _repr_html_(self) -> str:
        return first_screen(self.report())

    @contextlib.contextmanager
    def _opened(self) -> Generator[tuple[Ledger, StudyPaths]]:
        with readable(str(self._location)):
            ledger = self._location.open()
            try:
                yield ledger, self._location.paths
            finally:
                ledger.engine.dispose()


def load(where: str | Path) -> Study:
    """A study that was run, or runs now. `where`: its name (below ./runs), its folder, or URL#NAME.

    It stays the same where the working directory changes. UserError where there is none.
    """
    with readable(str(where)):
        return Study(locate(str(where)))


def run(
    study: str | Path | Mapping[str, Any], *, out: str | Path | None = None, **overrides: Any
) -> Study:
    """The study after it was run, or gone on with where it stood.

    `study`: a study file, the name of a shipped study, or a dictionary of the study file's keys,
    whose relative paths start at the working directory. `out`: its folder, ./runs/NAME if None.
    `overrides`: `trials`, `workers`, `storage`, or any other key of the study file with two
    underscores for its dots, as `pruning__risk=0.2`.

    Progress is printed as `sweep run` does it; in a notebook it is drawn in place where ipywidgets
    is installed. A study that ends for a cause outside (a full disk, run.max_hours), or with failed
    trials, is returned: see `report().state`.

    UserError for what the caller can fix, and where a cause outside, which is printed, ends the
    preparation: there is no study yet. PreparationFailed where the data or the model could not be
    prepared for another cause. JudgeGone and MeasuringFailed where the study has finished and what
    the best few are measured by at its end (objective.final) could not be. KeyboardInterrupt after
    SIGINT, SystemExit(128 + its number) after SIGTERM or SIGHUP: running trials have written a
    checkpoint, and the same call goes on from there.
    """
    loaded = load_named(study, _by_path(overrides))
    paths = StudyPaths(Path(out or RUNS / loaded.study.name).absolute())
    try:
        with safe_streams(), Signals():
            use_short_socket_folder()
            code = run_loaded(loaded, paths.out)
    except Interrupted as interrupted:
        code = interrupted.exit_code
    _raise_interrupt(code)
    location = Location(storage_url(loaded, paths), loaded.study.name, paths)
    with readable(str(location)):
        location.open().engine.dispose()  # or a cause outside has ended the preparation
    return Study(location)


def _searched(report: StudyReport) -> Iterable[str]:
    study: Mapping[str, Any] = report.resolved
    return study.get("search", {}).get("space", {})


def _by_path(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """By key paths. UserError for a keyword that is neither a short name nor a section; what stands
    below a section is checked with the study file."""
    known = [*SHORT, "out", *StudyFile.model_fields]
    elsewhere = [path.replace(".", "__") for path in key_paths(StudyFile)]
    found = {SHORT.get(key, key.replace("__", ".")): key for key in overrides}
    bad = [key for path, key in found.items() if "." not in path and path not in known]
    if bad:
        raise UserError("\n".join(f"{key}: {unknown(key, known, elsewhere, '__')}" for key in bad))
    return {path: overrides[key] for path, key in found.items()}


def _raise_interrupt(code: int) -> None:
    if code == exit_code(signal.SIGINT):
        raise KeyboardInterrupt
    if code in (exit_code(signal.SIGTERM), exit_code(signal.SIGHUP)):
        raise SystemExit(code)
