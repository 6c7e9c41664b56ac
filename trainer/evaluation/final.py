"""Metrics of a model that a study has kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoTokenizer

from trainer.contract.final import FinalSpec
from trainer.contract.measurement import Measurement, Scores
from trainer.contract.metrics import extent_of
from trainer.contract.scores import base_scores_folder, write_scores
from trainer.contract.spec import UserError
from trainer.data.store import TOKENIZER, read_prepared
from trainer.evaluation.evaluator import Evaluator
from trainer.model.kept import load_kept
from trainer.model.load import best_device


def measure_final(
    spec: FinalSpec, alive: Callable[[str], None]
) -> tuple[dict[str, Measurement], dict[str, Scores]]:
    """The metrics and their scores row by row, by metric; the base model's scores are also on disk,
    for trials to pair with. UserError where the model is gone, or the data were not prepared."""
    facts = read_prepared(Path(spec.data_dir))
    for metric in spec.metrics:
        if extent_of(metric, facts) is None:
            raise UserError(
                f"objective.final: what {metric} is measured on was not prepared when the study "
                "was made: take it out, or give a study with it another name"
            )
    alive("loading the model")
    folder, data_dir = None if spec.folder is None else Path(spec.folder), Path(spec.data_dir)
    model = load_kept(spec.model, folder, best_device())
    tokenizer = AutoTokenizer.from_pretrained(
        data_dir / TOKENIZER, trust_remote_code=spec.model.trust_remote_code
    )
    evaluator = Evaluator(data_dir, getattr(torch, spec.model.dtype), tokenizer, spec.benchmarks)
    measured: dict[str, Measurement] = {}
    scores: dict[str, Scores] = {}
    for metric in spec.metrics:
        found, rows = evaluator.measure(metric, model, lambda m=metric: alive(f"measuring {m}"))
        measured[metric], scores[metric] = found, rows.packed()
        if folder is None:
            write_scores(base_scores_folder(data_dir), metric, scores[metric])
    return measured, scores
