"""A metric of one's own: PACKAGE.MODULE:FUNCTION, called with the model, its tokenizer and rows."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer.contract.measurement import Measurement
from trainer.contract.spec import BenchmarkSpec, UserError
from trainer.data.rows import Source
from trainer.evaluation.batching import device_of, evaluating
from trainer.evaluation.rows import Rows, by_group
from trainer.evaluation.subset import early_part
from trainer.model.team import Team

ROWS = "own_rows.jsonl"  # beside the prepared data
Row = dict[str, Any]


def keep_rows(source: Source, data_dir: Path) -> None:
    """The rows are beside the prepared data, as they were read."""
    lines = (json.dumps(row, default=str) for row in source.rows)
    (data_dir / ROWS).write_text("\n".join(lines), encoding="utf-8")


class OwnMetric:
    """A function, and the rows that it is called with."""

    def __init__(self, metric: str, data_dir: Path, tokenizer: Any, spec: BenchmarkSpec) -> None:
        """UserError where there is no such function."""
        self._metric, self._tokenizer = metric, tokenizer
        self._function = find_function(metric, spec.code)
        file = data_dir / ROWS
        if not file.is_file():
            raise UserError(f"{metric}: needs rows to be called with, and none were prepared")
        text = file.read_text(encoding="utf-8")
        self._digest = hashlib.sha256(text.encode()).hexdigest()
        self._rows: list[Row] = [json.loads(line) for line in text.splitlines()]
        self._groups = ["" if (g := row.get("group")) is None else str(g) for row in self._rows]

    def facts(self) -> dict[str, Any]:
        """Of the rows; their tokens are those of all their texts, once."""
        texts = [value for row in self._rows for value in row.values() if isinstance(value, str)]
        tokens = self._tokenizer(texts, add_special_tokens=False, verbose=False) if texts else {}
        names, counts = np.unique(self._groups, return_counts=True)
        return {
            "rows": len(self._rows),
            "input_tokens": sum(map(len, tokens.get("input_ids", ()))),
            "groups": {n: c for n, c in zip(names.tolist(), counts.tolist(), strict=True) if n},
            "digest": self._digest,
        }

    def measure(
        self,
        model: Any,
        dtype: torch.dtype,
        alive: Callable[[], None],
        team: Team | None = None,
        num_units: int | None = None,
    ) -> tuple[Measurement, Rows, np.ndarray | None]:
        """What the function says of a model, what that is the mean of, and of which rows. A number
        is of all rows together, and is paired with nothing at a look. Every process of the team
        calls the function, the first one's answer counts. Raises what the function raises."""
        began = time.perf_counter()
        kept = None if num_units is None else early_part(self._groups, num_units)
        places = range(len(self._rows)) if kept is None else kept.tolist()
        rows = [self._rows[place] for place in places]
        counter = _TokenCounter(model)
        autocast = torch.autocast(device_of(model).type, dtype, enabled=dtype != torch.float32)
        alive()
        with evaluating(model), torch.no_grad(), autocast, counter:
            said = self._function(model, self._tokenizer, [dict(row) for row in rows])
        alive()
        scores = (team or Team()).broadcast(self._numbers(said, len(rows)))
        found = Rows.alike(scores)
        is_number = np.ndim(said) == 0
        groups = {} if is_number else by_group(found, [self._groups[place] for place in places])
        measured = Measurement(
            found.mean,
            len(rows),
            counter.num_tokens,
            time.perf_counter() - began,
            groups={name: own.mean for name, own in groups.items()},
            stderr=found.stderr,
            group_stderrs={name: own.stderr for name, own in groups.items()},
        )
        return measured, found, kept

    def _numbers(self, said: Any, num_rows: int) -> np.ndarray:
        """One number, or one for each row."""
        if isinstance(said, torch.Tensor):
            said = said.detach().float().cpu().numpy()
        try:
            numbers = np.asarray(said, dtype=float)
        except (TypeError, ValueError):
            numbers = np.zeros((0, 0))
        if numbers.ndim == 0:
            return numbers[None]
        if numbers.shape != (num_rows,):
            shown = f"{type(said).__name__} of shape {np.shape(said)}"
            raise TypeError(
                f"{self._metric} must return a number, or one for each of the {num_rows} rows, and "
                f"returned {shown}"
            )
        return numbers


def find_function(metric: str, code: str | None) -> Callable[..., Any]:
    """The function, from a package that is installed or lies in the folder `code`. UserError where
    it cannot be imported, with the traceback where its module raised."""
    name, _, attribute = metric.partition(":")
    before = list(sys.path)
    if code is not None:
        sys.path.insert(0, code)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if name == missing or name.startswith(f"{missing}."):
            where = f"neither installed nor in {code}" if code else "not installed"
            raise UserError(f"{metric}: the module {name} is {where}") from None
        raise UserError(f"{metric}: the module {name} needs {missing}: install it") from None
    except Exception as error:
        raise UserError(failed(metric, f"the module {name} cannot be imported", error)) from None
    finally:
        sys.path[:] = before
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UserError(f"{metric}: the module {name} has no function {attribute}")
    return function


def failed(metric: str, what: str, error: Exception) -> str:
    """A sentence, and the traceback below it."""
    said = " ".join(str(error).split())
    text = "".join(traceback.format_exception(error))
    return f"{metric}: {what} ({type(error).__name__}: {said})\n{text}"


class _TokenCounter:
    """Counts the tokens that go through a model's input embeddings."""

    def __init__(self, model: Any) -> None:
        self._embeddings = model.get_input_embeddings()
        self.num_tokens = 0

    def __enter__(self) -> None:
        def count(_: Any, inputs: Sequence[Any]) -> None:
            self.num_tokens += int(inputs[0].numel())

        self._hook = self._embeddings.register_forward_pre_hook(count)

    def __exit__(self, *_: object) -> None:
        self._hook.remove()
