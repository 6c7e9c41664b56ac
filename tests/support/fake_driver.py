"""`sweep run` with fake trials: `python -m tests.support.fake_driver STUDY OUT [overrides]`."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from sweep.config.load import load_study
from sweep.executors import Job, Slot
from sweep.executors.local import LocalExecutor
from sweep.report.view import PlainView
from sweep.run_study import drive
from sweep.storage.paths import StudyPaths
from trainer.contract.final import ANSWER_ENTRY, FINAL_ENTRY
from trainer.contract.signals import Interrupted, Signals
from trainer.contract.spec import PREPARE_ENTRY


class FakeTrials(LocalExecutor):
    """The local executor with its entry points replaced by fakes."""

    def __init__(self) -> None:
        super().__init__(preload=("tests.support.fakes",))

    def start(self, job: Job, slot: Slot) -> None:
        entry = {
            PREPARE_ENTRY: "tests.support.fakes:fake_prepare",
            ANSWER_ENTRY: "tests.support.fakes:fake_answers",
            FINAL_ENTRY: "tests.support.fakes:fake_final",
        }.get(job.entry, "tests.support.fakes:fake_trial")
        super().start(replace(job, entry=entry), slot)


def main(study: str, out: str, *overrides: str) -> int:
    paths = StudyPaths(Path(out).absolute())
    try:
        with Signals(), contextlib.closing(FakeTrials()) as executor:
            return drive(load_study(study, overrides), paths, executor, PlainView())
    except Interrupted as interrupted:
        return interrupted.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
