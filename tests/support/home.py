"""A study of fake trials in a folder of its own, and what it left there.

Each trial is judged once, by `pruning.mode: stream`; tests of scouting set the other mode.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna

from sweep.config.load import load_study
from sweep.documents import to_json
from sweep.executors import Executor
from sweep.report.study_report import study_report
from sweep.report.study_types import StudyReport
from sweep.report.view import PlainView, Status
from sweep.run_study import drive
from sweep.storage.find import open_study
from sweep.storage.paths import StudyPaths

STUDY = """
name: fake
model: {base: ./base}
data: {train: ./train.jsonl, eval: ./eval.jsonl}
budget: {samples: 320}
search:
  sampler: random
  recipes: []
  space:
    learning_rate: {low: 1e-5, high: 1e-1, log: true}
    batch_size: {choices: [4, 8]}
pruning: {mode: stream, window: 0.1, min_steps: 2, audit: 0.0}
run: {trials: 8, workers: 2}
"""


class Home:
    """A folder with a study file, and the fake trials to run it with."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self.folder, self.executor = folder, executor
        for name in ("base", "runs"):
            (folder / name).mkdir()
        for name in ("train.jsonl", "eval.jsonl"):
            (folder / name).touch()
        self.file = folder / "fake.yaml"
        self.file.write_text(STUDY)
        self.out = folder / "runs" / "fake"
        self.lines: list[str] = []
        self.on_line: Callable[[str], None] = lambda _: None  # what happens when that is said
        self.statuses: list[Status] = []

    def script(self, trouble: dict[int, str]) -> None:
        (self.folder / "runs" / "script.json").write_text(json.dumps(trouble))

    def run(self, *overrides: str) -> int:
        home = self

        class View(PlainView):
            def say(self, line: str) -> None:
                home.lines.append(line)
                home.on_line(line)

            def is_due(self) -> bool:
                return True

            def show(self, status: Status) -> None:
                home.statuses.append(status)

        return drive(
            load_study(str(self.file), overrides), StudyPaths(self.out), self.executor, View()
        )

    def report(self) -> StudyReport:
        ledger, paths = open_study(str(self.out))
        try:
            return study_report(ledger, paths)
        finally:
            ledger.engine.dispose()

    def document(self) -> dict[str, Any]:
        """As `sweep inspect --json` prints it."""
        return to_json(self.report())

    def states(self) -> list[str]:
        return [trial["state"] for trial in self.document()["trials"]]

    def optuna_trials(self) -> Sequence[optuna.trial.FrozenTrial]:
        return optuna.load_study(
            study_name="fake", storage=f"sqlite:///{self.out / 'study.db'}"
        ).trials
