"""Which models stay: the best trial's in OUT/best, with its card; others as `run.keep` says."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from sweep.storage.ledger import TrialRow
from sweep.storage.paths import MARK, StudyPaths


def settle_files(paths: StudyPaths, row: TrialRow, best: TrialRow | None, keep: str) -> None:
    """Bring a settled trial's model to OUT/best if the trial is the best; drop what nobody wants.

    Its log and its spec stay, and of a failed one, which may be asked for again, its checkpoints.
    Safe to be killed in, and to be called again.
    """
    finish_promotion(paths)
    model = paths.trial_model(row.number)
    for left in paths.trial(row.number).glob("*/"):
        goes_on = row.state == "failed" and left == paths.trial_checkpoints(row.number)
        if left != model and not goes_on:  # what was being written or removed, too
            shutil.rmtree(left)
    if not model.is_dir():
        return
    if row.state != "completed":
        shutil.rmtree(model)
    elif best is not None and best.number == row.number and keep != "none":
        mark: dict[str, Any] = {
            "trial": row.number,
            "objective": row.objective,
            "params": row.params,
        }
        write_beside(model / MARK, json.dumps(mark, indent=2))
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


def write_beside(path: Path, text: str) -> None:
    """The whole text or what was there before."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)


def _new(paths: StudyPaths) -> Path:
    return paths.best.with_name("best.new")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
