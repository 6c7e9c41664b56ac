"""Whatever a study measures, of any kind, on all of it or on the fixed part that a look asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer.contract.measurement import Measurement
from trainer.contract.metrics import kind_of
from trainer.contract.scores import base_scores_folder, read_scores
from trainer.contract.spec import BenchmarkSpec, UserError
from trainer.evaluation.measure import Scored, load_scored, measure
from trainer.evaluation.own import OwnMetric
from trainer.evaluation.rows import Rows, over_base
from trainer.model.random_state import no_random_numbers_taken
from trainer.model.team import Team

Measured = tuple[Measurement, Rows, np.ndarray | None]  # the last: which of all; None: all


class Evaluator:
    """The metrics of a study, each loaded when it is first asked for."""

    def __init__(
        self, data_dir: Path, dtype: torch.dtype, tokenizer: Any, benchmarks: BenchmarkSpec
    ) -> None:
        self._data_dir, self._dtype, self._tokenizer = data_dir, dtype, tokenizer
        self._spec = benchmarks
        self._scored: dict[str, Scored] = {}
        self._owns: dict[str, OwnMetric] = {}
        self._benchmarks: dict[str, Any] = {}

    def prepare(self, metrics: Sequence[str], config: Any) -> dict[str, Any]:
        """The facts of benchmarks and metrics of one's own, by metric, once all that trials need of
        them is beside the prepared data. `config`: the model's. UserError with a line for each that
        cannot be measured."""
        facts: dict[str, Any] = {}
        mistakes: list[str] = []
        for metric in metrics:
            try:
                with no_random_numbers_taken():
                    if kind_of(metric) == "harness":
                        facts[metric] = self._benchmark(metric).prepare(config)
                    elif kind_of(metric) == "own":
                        facts[metric] = self._own(metric).facts()
            except UserError as error:
                mistakes.append(str(error))
        mistakes = mistakes or list(self._shots_of_nothing())
        if mistakes:
            raise UserError("\n".join(dict.fromkeys(mistakes)))
        return facts

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
        with no_random_numbers_taken():
            found, rows, kept = self._measured(metric, model, alive, team, num_units)
        base = read_scores(base_scores_folder(self._data_dir), metric)
        if base is not None and (kept is None or len(kept) == len(rows.scores)):
            found = over_base(found, rows, Rows.unpacked(base).at(kept))
        return found, rows

    def _measured(
        self,
        metric: str,
        model: Any,
        alive: Callable[[], None],
        team: Team | None,
        num_units: int | None,
    ) -> Measured:
        kind = kind_of(metric)
        if kind == "harness":
            benchmark = self._benchmark(metric)
            return benchmark.measure(model, self._dtype, alive, team, num_units)
        if kind == "own":
            return self._own(metric).measure(model, self._dtype, alive, team, num_units)
        scored = self._scored.get(metric) or load_scored(self._data_dir, metric)
        self._scored[metric] = scored
        if num_units is not None:
            scored = scored.subset(num_units)
        return (*measure(model, scored, self._dtype, alive, team), scored.kept)

    def _shots_of_nothing(self) -> Iterator[str]:
        """A sentence for each name with examples that no benchmark has."""
        known = sorted(set[str]().union(*(one.names for one in self._benchmarks.values())))
        for name in self._spec.fewshot:
            if name not in known:
                near = ", ".join(get_close_matches(name, known, n=3)) or ", ".join(known[:10])
                yield (
                    f"objective.fewshot.{name}: nothing that is measured has a task or group {name}"
                    f"; near it: {near}"
                )

    def _own(self, metric: str) -> OwnMetric:
        if metric not in self._owns:
            self._owns[metric] = OwnMetric(metric, self._data_dir, self._tokenizer, self._spec)
        return self._owns[metric]

    def _benchmark(self, metric: str) -> Any:
        if metric not in self._benchmarks:
            if find_spec("lm_eval") is None:
                raise UserError(f"{metric} needs a package: pip install 'sft-sweep[benchmarks]'")
            # Where nobody asks for a benchmark, nobody waits for the harness.
            from trainer.evaluation.harness import Benchmark

            self._benchmarks[metric] = Benchmark(
                metric, self._data_dir, self._tokenizer, self._spec
            )
        return self._benchmarks[metric]
