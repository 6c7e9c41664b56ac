"""Scores as files."""

from __future__ import annotations

from pathlib import Path

from trainer.contract.measurement import Scores
from trainer.contract.scores import base_scores_folder, read_scores, write_scores


def test_scores_come_back_whatever_the_metric_is_called(tmp_path: Path) -> None:
    folder = base_scores_folder(tmp_path)
    for metric in ("eval_loss", "lm_eval:arc/../easy", "my.module:function"):
        write_scores(folder, metric, Scores(metric.encode(), b"w"))
    assert read_scores(folder, "lm_eval:arc/../easy") == Scores(b"lm_eval:arc/../easy", b"w")
    assert {file.parent for file in tmp_path.rglob("*.scores")} == {folder}


def test_what_was_not_measured_has_none(tmp_path: Path) -> None:
    assert read_scores(base_scores_folder(tmp_path), "eval_loss") is None
