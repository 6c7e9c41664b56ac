"""A study's kept models, taken up to be measured: at its end, or afterwards by `sweep judge`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweep.account.flops import eval_flops
from sweep.config.study import Study
from sweep.driver.side_jobs import run_jobs
from sweep.executors import Executor, Job, Slot
from sweep.report.view import View
from sweep.storage.ledger import BASE, Cost, Ledger, TrialRow
from sweep.storage.paths import StudyPaths, kept_model
from trainer.contract.measurement import Measurement, Scores
from trainer.contract.spec import Finished, TrialSpec

_FINAL = "final"  # a kind of cost; its attempts count how often anything was measured
_BASE_MEASUREMENTS = "base_measurements"  # among the facts


@dataclass(slots=True)
class Bench:
    """The models of a study that this process holds for writing. A model's number is its trial's;
    None: the base model."""

    study: Study
    facts: dict[str, Any]  # the study's: what is kept goes in here, and to the ledger
    paths: StudyPaths
    ledger: Ledger
    rows: Mapping[int, TrialRow]  # trials that may be measured
    specs: Mapping[int, TrialSpec]  # of at least one of them
    executor: Executor
    slots: Sequence[Slot]
    num_threads: int  # of each job; 0: all
    view: View

    def spec(self, number: int | None) -> TrialSpec:
        """How the trial was trained; of the base model any trial's, whose base it is."""
        return self.specs[min(self.specs) if number is None else number]

    def folder(self, number: int | None) -> Path | None:
        """Where the trained model is kept; None of the base model, and where it is not."""
        return None if number is None else kept_model(self.paths, number)

    def run(self, jobs: Sequence[Job], doing: Callable[[Any], str]) -> Mapping[Any, Finished]:
        """The jobs have ended, as `run_jobs` has it."""
        silence_s = self.study.run.silence_s
        return run_jobs(jobs, self.executor, self.slots, self.view, silence_s, doing)

    def measurements(self, number: int | None) -> Mapping[str, Any]:
        """What is on record of the model, by metric."""
        if number is None:
            return self.facts.get(_BASE_MEASUREMENTS) or {}
        return self.rows[number].measurements or {}

    def record(
        self,
        number: int | None,
        measured: Mapping[str, Measurement],
        scores: Mapping[str, Scores],
    ) -> None:
        """Further measurements of the model are on record, and what they cost."""
        found = {**self.measurements(number), **{name: asdict(m) for name, m in measured.items()}}
        tokens = sum(one.input_tokens for one in measured.values())
        seconds = sum(one.seconds for one in measured.values())
        with self.ledger.at_once():
            if number is None:
                self.keep(_BASE_MEASUREMENTS, found)
            else:
                self.rows[number].measurements = found
                self.ledger.save_trial(self.rows[number])
            trial = BASE if number is None else number
            self.ledger.save_scores(trial, scores)
            costs = self.ledger.read_costs()
            before = sum(cost.trial == trial and cost.what == _FINAL for cost in costs)
            flops = eval_flops(self.facts["num_params"], tokens)
            self.ledger.record(Cost(trial, before, _FINAL, tokens, seconds, flops))

    def keep(self, name: str, value: Any) -> None:
        """A fact of the study is on record, in place of an earlier one."""
        self.facts[name] = value
        self.ledger.keep_fact(name, value)


def who(number: int | None) -> str:
    """A model in words."""
    return "the base model" if number is None else f"trial {number}"
