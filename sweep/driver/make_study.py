"""A new study: prepared, measured and on record, or not there at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from sqlalchemy import exc

from predictor.judge import version_of
from sweep.account.early_eval import early_size
from sweep.account.flops import eval_flops
from sweep.config.budget import check_rows
from sweep.config.load import LoadedStudy
from sweep.config.recipes import fit_recipes
from sweep.driver.folder_beside import folder_beside
from sweep.driver.inputs import environment
from sweep.driver.numerics import cautions
from sweep.driver.optuna_study import OptunaStudy, refuse_foreign
from sweep.driver.prepare import prepare, prepare_spec
from sweep.executors import Executor, Slot
from sweep.report.data_text import data_lines
from sweep.report.view import View
from sweep.storage.engine import is_outside, make_engine, sqlite_file
from sweep.storage.ledger import BASE, Cost, Ledger, StudyRow
from sweep.storage.paths import StudyPaths
from sweep.storage.study_source import source_line
from trainer.contract.files import write_text
from trainer.contract.measurement import Scores
from trainer.contract.spec import UserError


def make_study(
    loaded: LoadedStudy,
    paths: StudyPaths,
    url: str,
    executor: Executor,
    slot: Slot,
    view: View,
) -> None:
    """The study is in the storage, and its folder is OUT: all is made in a folder beside, which
    then takes OUT's name. UserError where it cannot be made; then nothing of it is in OUT."""
    with folder_beside(paths.out) as beside:
        new = StudyPaths(beside)
        spec = prepare_spec(loaded, new.data, measure_base=True)
        found = prepare(spec, executor, slot, view, new.prepare_log, loaded.study.run.silence_s)
        facts: dict[str, Any] = {**found.facts, "versions": environment()}
        for line in data_lines(facts):
            view.say(line)
        for caution in cautions(loaded.study, facts["machine"]["device"]):
            view.say(caution)
        for recipe in fit_recipes(loaded.study):
            for moved in recipe.moved:
                view.say(f"recipe {moved}")
        check_rows(loaded.study, facts["train"]["rows"])
        facts["early_eval"] = early_size(loaded.study, facts)
        write_study_file(loaded, new)
        is_inside = url == paths.default_storage
        _make_records(loaded, new.default_storage if is_inside else url, facts, found.scores)
        try:
            if paths.out.exists():
                paths.out.rmdir()  # empty: checked before
            beside.rename(paths.out)
        except OSError:
            raise UserError(
                f"{paths.out} was made by another driver in the meantime: run the same command "
                "again when that one has ended"
            ) from None


def _make_records(
    loaded: LoadedStudy, url: str, facts: dict[str, Any], base_scores: Mapping[str, Scores]
) -> None:
    engine = make_engine(url)
    try:
        refuse_foreign(url, loaded.study.name)
        ledger = Ledger(engine, loaded.study.name)
        base: dict[str, dict[str, Any]] = facts["base_measurements"] or {}
        measured = base.values()
        tokens = sum(one["input_tokens"] for one in measured)
        seconds = sum(one["seconds"] for one in measured)
        ledger.record(
            Cost(BASE, 0, "eval", tokens, seconds, eval_flops(facts["num_params"], tokens))
        )
        ledger.save_scores(BASE, base_scores)
        document = loaded.study.to_document()
        version = version_of(loaded.study.pruning.settings())
        # last, as it writes what waits: the study, its base's cost and scores, or none of them
        ledger.create(StudyRow(loaded.study.name, document, facts, version))
        OptunaStudy(loaded.study, url).close()
    except exc.DBAPIError as error:
        if is_outside(error, sqlite_file(url)):
            raise
        raise UserError(f"storage {url} cannot be written: {error.orig}") from None
    finally:
        engine.dispose()


def write_study_file(loaded: LoadedStudy, paths: StudyPaths) -> None:
    """Write the resolved study, for people to read, and where its file lies."""
    paths.out.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(loaded.study.to_document(), sort_keys=False)
    write_text(paths.study_file, source_line(loaded) + text)
