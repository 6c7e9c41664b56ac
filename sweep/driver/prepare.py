"""What needs torch before the study exists: checking the model, tokenising the data once."""

from __future__ import annotations

import time
from pathlib import Path

from sweep.account.outcome import PreparationFailed
from sweep.config.load import LoadedStudy
from sweep.config.sources import resolve_source
from sweep.driver.numerics import BFLOAT16_CAUTION
from sweep.driver.trial_spec import benchmark_spec, model_spec
from sweep.executors import Executor, Job, Slot
from sweep.report.view import View
from trainer.contract.metrics import MT_BENCH, kind_of
from trainer.contract.outside import Cause, OutsideError
from trainer.contract.spec import (
    PREPARE_ENTRY,
    Alive,
    DataSpec,
    Failed,
    Prepared,
    PrepareSpec,
    UserError,
    is_template_file,
)


def prepare_spec(loaded: LoadedStudy, out_dir: Path, *, measure_base: bool) -> PrepareSpec:
    """What the preparation is told. UserError where a source is plainly a file and is not there."""
    study = loaded.study
    metrics = study.metrics

    def source(path: str, text: str | None) -> str | None:
        return None if text is None else resolve_source(text, loaded.folder, path)

    train = {path: source(path, text) for path, text in study.train_sources.items()}
    rows = source("objective.data", study.objective.data) or source("data.eval", study.data.eval)
    kinds = {kind_of(metric) for metric in (*metrics, *study.objective.final)}
    template = study.data.template
    if is_template_file(template):
        template = resolve_source(template, loaded.folder, "data.template")
    return PrepareSpec(
        model=model_spec(loaded),
        data=DataSpec(
            train=train.get("data.train"),
            phases=tuple(text for path, text in train.items() if path != "data.train" and text),
            eval=source("data.eval", study.data.eval) if "loss" in kinds else None,
            choices=rows if "choices" in kinds else None,
            own=rows if "own" in kinds else None,
            format=study.data.format,
            template=template,
            system=study.data.system,
            max_length=study.data.max_length,
            loss_on=study.data.loss_on,
            shape=study.objective.shape,
        ),
        out_dir=str(out_dir),
        metrics=metrics,
        benchmarks=benchmark_spec(loaded),
        measure_base=measure_base,
        seed=study.run.seed,
        final=tuple(metric for metric in study.objective.final if metric != MT_BENCH),
    )


def prepare(
    spec: PrepareSpec, executor: Executor, slot: Slot, view: View, log: Path, silence_s: float
) -> Prepared:
    """The facts (see trainer/prepare.py), and the base model's scores. UserError with the other
    process's sentence; OutsideError where the cause is nobody's."""
    Path(spec.out_dir).mkdir(parents=True)
    try:
        executor.start(Job("prepare", PREPARE_ENTRY, spec, log), slot)
        return _prepared(executor, view, silence_s)
    except BaseException:
        executor.close()  # nothing may write into a folder that the caller removes now
        raise


def _prepared(executor: Executor, view: View, silence_s: float) -> Prepared:
    said, heard_s = "", time.monotonic()
    while True:
        if time.monotonic() - heard_s > silence_s:
            why = f"nothing was heard for {silence_s / 60:.3g} minutes (run.silence_minutes)"
            executor.kill("prepare", Failed("silent", why))
        for _, event in executor.wait(1.0):
            heard_s = time.monotonic()
            match event:
                case Alive(doing) if doing != said:
                    said = doing
                    view.say(f"preparing: {doing}")
                case Prepared():
                    return event
                case Failed("bad input", message):
                    raise UserError(message)
                case Failed(Cause() as cause, message):
                    raise OutsideError(cause, message)
                case Failed("killed" | "out of memory" as kind, message):
                    raise PreparationFailed(
                        f"preparing the study failed: {kind}: {message}. If the model does not "
                        "fit into memory: model.weights: bfloat16 halves it, and --dry-run says "
                        f"what a trial needs and what would fit; {BFLOAT16_CAUTION}"
                    )
                case Failed(kind, message, traceback):
                    text = f"preparing the study failed: {kind}: {message}\n{traceback}"
                    raise PreparationFailed(text.rstrip())
                case _:
                    pass
