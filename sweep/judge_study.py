"""`sweep judge`: MT-Bench of a finished study's best trials, from its record to a table."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from sweep.account.outcome import JudgeGone
from sweep.account.replicates import best_first
from sweep.account.terms import Terms
from sweep.config.errors import complaints
from sweep.config.objective import Judge
from sweep.config.study import Study
from sweep.config.yaml_text import override
from sweep.driver.bench import Bench
from sweep.driver.mt_bench import MtBench
from sweep.driver.slots import gpu_ids, make_slots
from sweep.executors import Executor
from sweep.executors.local import LocalExecutor
from sweep.judging.record import stored_judge
from sweep.report.judge_text import judge_report
from sweep.report.judge_types import JudgeReport
from sweep.report.view import View
from sweep.storage.engine import make_engine
from sweep.storage.find import Location, locate
from sweep.storage.ledger import Ledger, StudyRow, TrialRow
from sweep.storage.lock import only_driver
from sweep.storage.migrate import upgrade
from sweep.storage.paths import StudyPaths, kept_model
from trainer.contract.outside import OutsideError, cause_of, described
from trainer.contract.spec import TrialSpec, UserError

_KEY = "objective.judge"


def judge_study(
    where: str, top: int, overrides: Sequence[str], view: View, executor: Executor | None = None
) -> JudgeReport:
    """What is on record once the `top` best trials whose weights are kept, and the base model, have
    their scores. `where`: as `open_study` has it; `overrides`: of objective.judge, key.path=value.

    UserError where there is no study or no judge, and while a driver is at work on it; else as
    `MtBench.measure`, and JudgeGone where a cause outside (a full disk) keeps it from going on.
    """
    found = locate(where)
    try:
        return _judged(found, top, overrides, view, executor)
    except Exception as error:
        cause = cause_of(error, found.paths.out)
        if cause is None:
            raise
        said = str(error) if isinstance(error, OutsideError) else described(cause, found.paths.out)
        raise JudgeGone(said) from None


def _judged(
    found: Location, top: int, overrides: Sequence[str], view: View, executor: Executor | None
) -> JudgeReport:
    with only_driver(found.url, found.study):
        engine = make_engine(found.url)
        try:
            upgrade(engine)
            ledger = Ledger(engine, found.study)
            row = ledger.read_study()
            assert row is not None, found.study
            study, judge = _study(row), _judge(row, overrides)
            trials = ledger.read_trials()
            ranked = best_first(trials, Terms.of(row.document, row.facts).goal)
            kept = [one for one in ranked if _is_kept(found.paths, one)][:top]
            not_kept = [one.number for one in ranked[:top] if one not in kept]
            if not kept:
                raise UserError(_nothing_to_measure(found.study, not_kept))
            with contextlib.closing(executor or LocalExecutor()) as running:
                slots, threads = make_slots(study, gpu_ids(), len(os.sched_getaffinity(0)))
                bench = Bench(
                    study,
                    row.facts,
                    found.paths,
                    ledger,
                    rows={one.number: one for one in kept},
                    specs={one.number: _spec(found.paths, one.number) for one in kept},
                    executor=running,
                    slots=slots,
                    num_threads=threads,
                    view=view,
                )
                MtBench(bench, judge).measure([None, *(one.number for one in kept)])
            return judge_report(row, trials, found.paths, not_kept)
        finally:
            engine.dispose()


def _is_kept(paths: StudyPaths, row: TrialRow) -> bool:
    return kept_model(paths, row.number) is not None and paths.trial_spec(row.number).is_file()


def _spec(paths: StudyPaths, number: int) -> TrialSpec:
    return TrialSpec.from_json(json.loads(paths.trial_spec(number).read_text(encoding="utf-8")))


def _nothing_to_measure(name: str, not_kept: Sequence[int]) -> str:
    if not not_kept:
        return f"study {name!r} has no completed trial yet: there is nothing to be judged"
    return (
        f"study {name!r} keeps the weights of none of its trials: with run.keep best or all it "
        "keeps them"
    )


def _study(row: StudyRow) -> Study:
    try:
        return Study.model_validate(row.document)
    except ValidationError:
        raise UserError(
            f"study {row.name!r} was stored by an earlier version of sweep: `sweep run` of the "
            "study takes it up, and then it can be judged"
        ) from None


def _judge(row: StudyRow, overrides: Sequence[str]) -> Judge:
    """As the study file says, else as it was judged before, with the overrides in place."""
    stored: Mapping[str, Any] = row.document.get("objective", {}).get("judge") or {}
    known = stored_judge(row.facts)
    before: Mapping[str, Any] = stored or ({} if known is None else known.model_dump(mode="json"))
    document: dict[str, Any] = {"objective": {"judge": dict(before)}}
    for text in overrides:
        path = override(document, text)
        if not path.startswith(f"{_KEY}."):
            raise UserError(
                f"--set {path}: sweep judge takes keys of {_KEY} alone, as {_KEY}.model"
            )
    given = document["objective"]["judge"]
    if not given:
        raise UserError(
            f"study {row.name!r} names no judge: give one, as --set {_KEY}.base_url=http://"
            f"127.0.0.1:8000/v1 {_KEY}.model=NAME {_KEY}.key_env=VARIABLE, or in its file as {_KEY}"
        )
    try:
        return Judge.model_validate(given)
    except ValidationError as error:
        lines = [f"{_KEY}.{path}: {text}" for path, text in complaints(error, Judge)]
        raise UserError("\n".join(lines)) from None
