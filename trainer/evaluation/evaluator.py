"""Whatever a study measures, of any kind, on all of it or on the fixed part that a look asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trainer.contract.measurement import Measurement
from trainer.contract.metrics import kind_of
from trainer.contract.scores import base_scores_folder, read_scores
from trainer.contract.spec import UserError
from trainer.evaluation.measure import Scored, load_scored, measure
from trainer.evaluation.rows import Rows, over_base
from trainer.model.team import Team


class Evaluator:
    """The metrics of a study, each loaded when it is first asked for."""

    def __init__(self, data_dir: Path, dtype: torch.dtype) -> None:
        self._data_dir, self._dtype = data_dir, dtype
        self._scored: dict[str, Scored] = {}

    def measure(
        self,
        metric: str,
        model: Any,
        alive: Callable[[], None],
        team: Team | None = None,
        num_units: int | None = None,
    ) -> tuple[Measurement, Rows]:
        """The metric of a model, paired with the base model's where that was measured, and what it
        is the mean of. `num_units`: of the rows or questions, always the same; None: all. Takes no
        random numbers and leaves the model as it was.
        """
        if kind_of(metric) not in ("loss", "choices"):
            raise UserError(f"{metric} cannot be measured yet")
        scored = self._scored.get(metric) or load_scored(self._data_dir, metric)
        self._scored[metric] = scored
        if num_units is not None:
            scored = scored.subset(num_units)
        found, rows = measure(model, scored, self._dtype, alive, team)
        base = read_scores(base_scores_folder(self._data_dir), metric)
        if base is not None:
            found = over_base(found, rows, Rows.unpacked(base).at(scored.kept))
        return found, rows
