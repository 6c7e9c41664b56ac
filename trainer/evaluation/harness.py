"""A benchmark of the evaluation harness, as a study asks it: prepared once, measured by trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from lm_eval.evaluator import evaluate
from lm_eval.models.utils import resolve_max_length

from trainer.contract.measurement import Measurement
from trainer.contract.metrics import harness_name
from trainer.contract.spec import BenchmarkSpec, UserError
from trainer.evaluation import boards, local_tasks
from trainer.evaluation.batching import evaluating
from trainer.evaluation.benchmark_scores import measurement, score_tree
from trainer.evaluation.harness_model import HarnessModel, most_written
from trainer.evaluation.kept_data import KeptData
from trainer.evaluation.questions import Asked, TaskQuestions, digest
from trainer.evaluation.rows import Rows
from trainer.evaluation.score_tree import leaves
from trainer.evaluation.subset import early_part
from trainer.evaluation.tasks import check_code, find, load, may_run_code, quiet, read, save
from trainer.model.team import Team


def window_of(config: Any, tokenizer: Any) -> int:
    """The tokens that fit into a model at once, by its configuration."""
    return resolve_max_length(config, tokenizer)


class Benchmark:
    """The questions of a metric lm_eval:TASK[:SCORE], from what is prepared in `data_dir`."""

    def __init__(self, metric: str, data_dir: Path, tokenizer: Any, spec: BenchmarkSpec) -> None:
        self._metric, self._tokenizer, self._spec = metric, tokenizer, spec
        self._name, self._score = harness_name(metric)
        self._folder = data_dir / "benchmarks"
        self._file = self._folder / f"{quote(metric, safe='')}.json"
        self._digest = self._folder / f"{quote(metric, safe='')}.sha256"

    def prepare(self, config: Any) -> dict[str, Any]:
        """The facts of the benchmark (trainer/prepare.py has its keys), once all that trials need
        is in the folder. Raises UserError."""
        tasks = self._folder / "tasks"
        tasks.mkdir(parents=True, exist_ok=True)
        kept, folders = KeptData(self._folder / "data", is_open=True), [tasks]
        if self._name == boards.OPENLLM:
            boards.write_first(tasks)
        if self._spec.tasks is not None:
            own = Path(self._spec.tasks).expanduser().resolve()
            for name in (rows := local_tasks.names_of(own)):
                local_tasks.write_task(own, name, tasks)
            folders.append(own)
            entries = find(self._names, folders)
            for name in set(rows) & set(entries):
                local_tasks.keep_rows(own, name, kept)
        else:
            entries = find(self._names, folders)
        check_code(self._metric, entries)
        if self._spec.chat and not self._tokenizer.chat_template:
            raise UserError(
                f"{self._metric}: objective.shape: chat asks in the turns of a chat template, and "
                "the tokenizer of model.base has none: name one with data.template: FILE.jinja, or "
                "leave shape out"
            )
        save(entries, self._file)
        self._load(kept)
        self._digest.write_text(digest(self._questions))
        return self._facts(window_of(config, self._tokenizer))

    @property
    def names(self) -> set[str]:
        """Of the prepared tasks, and of the groups and tags that they were found by."""
        return {*read(self._file), *self._loaded.tasks, *self._loaded.groups}

    @property
    def _names(self) -> list[str]:
        return [self._name]

    def _load(self, kept: KeptData) -> None:
        with kept.instead_of_loading():
            loaded = load(self._metric, self._names, read(self._file), self._spec.fewshot)
        self._loaded = loaded
        is_board = self._name == boards.LEADERBOARD and "leaderboard_ifeval" in loaded.tasks
        tree_of = boards.second if is_board else partial(score_tree, self._name)
        self._tree = tree_of(self._score, loaded)
        self._scores = {score.task: score for score in leaves(self._tree)}
        asker = HarnessModel(None, self._tokenizer, 1)
        with kept.instead_of_loading():
            self._questions = {
                name: TaskQuestions(loaded.tasks[name], asker, self._spec.chat)
                for name in self._scores
            }

    @cached_property
    def _strata(self) -> list[str]:
        """What each question belongs to."""
        return [group for questions in self._questions.values() for group in questions.groups()]

    def _facts(self, window: int) -> dict[str, Any]:
        asker = HarnessModel(None, self._tokenizer, window)
        num_tokens = truncated = 0
        writes = 0
        for questions in self._questions.values():
            flat = [request for row in questions.requests for request in row]
            if flat[0].request_type == "loglikelihood":
                encoded = asker.encoded([request.args for request in flat])
                num_tokens += asker.count_tokens(encoded)
                truncated += sum(map(asker.is_cut, encoded))
                continue
            most = [most_written(request.args[1]) for request in flat]
            if max(most) >= window:
                raise UserError(
                    f"{self._metric}: an answer may have {max(most):,} tokens, and the model's "
                    f"window has {window:,}: set max_gen_toks in a task file of your own that "
                    "includes this one, or take a model of more positions"
                )
            lengths = [len(asker.tok_encode(request.args[0])) for request in flat]
            truncated += sum(
                length + more > window for length, more in zip(lengths, most, strict=True)
            )
            num_tokens += sum(lengths) + sum(most)
            writes += sum(most)
        names, counts = np.unique(self._strata, return_counts=True)
        return {
            "questions": len(self._strata),
            "input_tokens": num_tokens,
            "groups": dict(zip(names.tolist(), counts.tolist(), strict=True)),
            "digest": self._digest.read_text(),
            "truncated": truncated,
            "window": window,
            "written_tokens_at_most": writes,
            "scores": {name: f"{one.metric},{one.filter}" for name, one in self._scores.items()},
            "fewshot": {
                name: questions.task.get_config("num_fewshot") or 0
                for name, questions in self._questions.items()
            },
        }

    def open(self) -> None:
        """What a trial measures is loaded. UserError where it is not what was prepared."""
        if hasattr(self, "_questions"):
            return
        if not self._digest.is_file():
            raise UserError(f"{self._metric}: nothing was prepared for it")
        self._load(KeptData(self._folder / "data", is_open=False))
        if digest(self._questions) != self._digest.read_text():
            raise UserError(
                f"{self._metric}: its questions or prompts are no longer those that the study was "
                "made with, as a task file or the harness has changed: put it back, or give a "
                "study of the new ones another name"
            )

    def measure(
        self,
        model: Any,
        dtype: torch.dtype,
        alive: Callable[[], None],
        team: Team | None = None,
        num_units: int | None = None,
    ) -> tuple[Measurement, Rows, np.ndarray | None]:
        """The benchmark of a model, what it is the mean of, and which of all questions these are;
        None: all."""
        began = time.perf_counter()
        self.open()
        kept = None if num_units is None else early_part(self._strata, num_units)
        asked = self._asked(kept)
        window = window_of(model.config, self._tokenizer)
        asker = HarnessModel(model, self._tokenizer, window, dtype, alive, team)
        with evaluating(model), quiet():
            found: Any = evaluate(
                asker,
                {"tasks": asked, "groups": {}, "group_map": {}},  # pyright: ignore
                bootstrap_iters=0,
                confirm_run_unsafe_code=may_run_code(),
            )
        samples: Mapping[str, Any] = found["samples"]
        tasks = {name: each.task for name, each in self._questions.items()}
        strata = np.array(self._strata)[slice(None) if kept is None else kept]
        measured, rows = measurement(self._tree, tasks, samples, strata, asker.is_finite)
        seconds = time.perf_counter() - began
        return replace(measured, input_tokens=asker.num_tokens, seconds=seconds), rows, kept

    def _asked(self, kept: np.ndarray | None) -> dict[str, Asked]:
        if kept is None:
            return {name: questions.asked() for name, questions in self._questions.items()}
        found: dict[str, Asked] = {}
        first = 0
        for name, questions in self._questions.items():
            places = kept[(kept >= first) & (kept < first + len(questions))] - first
            if len(places):
                found[name] = questions.asked(places.tolist())
            first += len(questions)
        return found
