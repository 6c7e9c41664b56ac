"""What is measured of the best few alone, once a study has finished (objective.final)."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.driver.bench import Bench
from sweep.driver.final_metrics import measure_metrics
from sweep.driver.mt_bench import MtBench
from sweep.driver.study_state import StudyState
from sweep.executors import Executor, Slot
from sweep.report.view import View
from trainer.contract.metrics import MT_BENCH


def measure_final(
    study: StudyState, executor: Executor, slots: Sequence[Slot], num_threads: int, view: View
) -> bool:
    """Whether anything was asked for. It is on record then, of the best trials and of the base
    model, and the weights that were kept for it go as run.keep says.

    Raises as `MtBench.measure`; the same command goes on then with what is missing.
    """
    objective = study.loaded.study.objective
    numbers = study.models.final_numbers(study.best)
    if not numbers:
        if objective.final and study.best is None:
            view.say("objective.final: measured of nobody, as there is no best trial")
        return False
    facts = dict(study.facts)
    bench = Bench(
        study.loaded.study,
        facts,
        study.paths,
        study.ledger,
        rows={number: study.trials[number].row for number in numbers},
        specs={number: study.trials[number].spec for number in numbers},
        executor=executor,
        slots=slots,
        num_threads=num_threads,
        view=view,
    )
    new = [
        number for number in numbers if not set(objective.final) <= {*bench.measurements(number)}
    ]
    there = [number for number in new if bench.folder(number) is not None]
    if gone := [number for number in new if number not in there]:
        listed = ", ".join(map(str, gone))
        view.say(f"objective.final: not measured, as weights are not kept: trials {listed}")
    try:
        metrics = [metric for metric in objective.final if metric != MT_BENCH]
        measure_metrics(bench, metrics, [None, *there])
        if MT_BENCH in objective.final and objective.judge is not None:
            MtBench(bench, objective.judge).measure([None, *there])
    finally:
        study.facts = facts
    study.models.final_top = 0
    study.settle_models([study.trials[number] for number in there])
    return True
