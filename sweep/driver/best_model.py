"""Which models stay: the best trial's in OUT/best, with its card; others as `run.keep` says."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sweep.account.final import final_numbers
from sweep.account.replicates import Plan, confirmed, nearest_trial, replicated
from sweep.config.study import Study
from sweep.driver.roster import Roster
from sweep.storage.ledger import TrialRow
from sweep.storage.paths import MARK, StudyPaths, best_kept
from sweep.storage.states import State
from trainer.contract.files import write_text


class KeptModels:
    """Which models of a study's settled trials stay where they are."""

    def __init__(self, paths: StudyPaths, roster: Roster, replicates: Plan, study: Study) -> None:
        self._paths, self._roster, self._replicates = paths, roster, replicates
        self._keep = study.run.keep
        self.final_top = study.objective.final_top  # how many are to be measured further
        self._there: set[int] = set()  # trials whose model may lie with them

    def final_numbers(self, best: TrialRow | None) -> list[int]:
        """The trials that are to be measured further, the best first."""
        contenders = self._roster.contenders
        return final_numbers(contenders, best, self._roster.goal, self.final_top)

    def settle(self, settled: Iterable[TrialRow], best: TrialRow | None) -> None:
        """The best trial's model is kept, of those that settled, and those that are to be measured
        further; before it is confirmed, also that of the best run of each candidate; while none
        holds every constraint, that of the nearest, where it lies. Doing it again is harmless."""
        candidates = self._candidates().union(self.final_numbers(best))
        for row in settled:
            self._settle(row, best, candidates)
        if best is not None and best_kept(self._paths) != best.number:
            self._settle(best, best, candidates)
        if self._keep == "best":
            for number in sorted(self._there):  # who is a candidate no more
                row = self._roster.trials[number].row
                if not (row is best and number in candidates):
                    self._settle(row, best, candidates)

    def _candidates(self) -> set[int]:
        contenders, goal = self._roster.contenders, self._roster.goal
        if self._keep != "best" or confirmed(contenders, goal, self._replicates) is not None:
            return set()
        if (nearest := nearest_trial(contenders, goal)) is not None:
            return {nearest.number}
        found = replicated(contenders, goal, self._replicates)
        return {one.best_run.number for one in found}

    def _settle(self, row: TrialRow, best: TrialRow | None, candidates: set[int]) -> None:
        keep = "all" if row.number in candidates else self._keep
        settle_files(self._paths, row, best, keep)
        if self._paths.trial_model(row.number).is_dir():
            self._there.add(row.number)
        else:
            self._there.discard(row.number)


def settle_files(paths: StudyPaths, row: TrialRow, best: TrialRow | None, keep: str) -> None:
    """Bring a settled trial's model to OUT/best if the trial is the best; drop what nobody wants.

    Its log and its spec stay, and the checkpoints of one that may go on: parked, or failed and
    asked for again.
    Safe to be killed in, and to be called again.
    """
    finish_promotion(paths)
    model = paths.trial_model(row.number)
    for left in paths.trial(row.number).glob("*/"):
        may_go_on = row.state in (State.FAILED, State.PARKED)
        goes_on = may_go_on and left == paths.trial_checkpoints(row.number)
        if left != model and not goes_on:  # what was being written or removed, too
            shutil.rmtree(left)
    if not model.is_dir():
        return
    if row.state != State.COMPLETED:
        shutil.rmtree(model)
    elif best is not None and best.number == row.number and keep != "none":
        mark: dict[str, Any] = {
            "trial": row.number,
            "objective": row.objective,
            "params": row.params,
        }
        write_text(model / MARK, json.dumps(mark, indent=2))
        if keep == "all":
            new = paths.best.with_name("best.copying")
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(model, new, copy_function=_link)
            new.rename(_new(paths))
        else:
            model.rename(_new(paths))
        finish_promotion(paths)
    elif keep != "all":
        shutil.rmtree(model)


def has_folders(folder: Path) -> bool:
    """Whether anything but files is in a trial's folder: `settle_files` has something to do."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.is_dir(follow_symlinks=False) for entry in entries)
    except FileNotFoundError:
        return False


def finish_promotion(paths: StudyPaths) -> None:
    """Put a new best model in the old one's place, also after a kill between the two renames."""
    old = paths.best.with_name("best.old")
    if _new(paths).is_dir():
        shutil.rmtree(old, ignore_errors=True)
        if paths.best.is_dir():
            paths.best.rename(old)
        _new(paths).rename(paths.best)
    shutil.rmtree(old, ignore_errors=True)


def _new(paths: StudyPaths) -> Path:
    return paths.best.with_name("best.new")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
