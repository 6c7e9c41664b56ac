"""Scores row by row as files: the base model's lie beside the prepared data, for trials to pair."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from trainer.contract.measurement import Scores


def base_scores_folder(data_dir: Path) -> Path:
    """Where the base model's scores lie in a folder of prepared data."""
    return data_dir / "base"


def write_scores(folder: Path, metric: str, scores: Scores) -> None:
    """The scores of a metric are in the folder, which is made where it is not there."""
    folder.mkdir(exist_ok=True)
    _file(folder, metric, "scores").write_bytes(scores.scores)
    _file(folder, metric, "weights").write_bytes(scores.weights)


def read_scores(folder: Path, metric: str) -> Scores | None:
    """The scores of a metric; None where the folder has none."""
    file = _file(folder, metric, "scores")
    if not file.is_file():
        return None
    return Scores(file.read_bytes(), _file(folder, metric, "weights").read_bytes())


def _file(folder: Path, metric: str, kind: str) -> Path:
    return folder / f"{quote(metric, safe='')}.{kind}"
