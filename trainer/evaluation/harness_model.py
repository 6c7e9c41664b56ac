"""The model in training as the evaluation harness sees one.

Imported only where a benchmark is measured: a trial without one does without the harness.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, cast

import numpy as np
import torch
from lm_eval.api.model import TemplateLM
from lm_eval.models import huggingface
from lm_eval.models.utils import has_bos_prefix, normalize_gen_kwargs
from transformers import LogitsProcessor, LogitsProcessorList

from trainer.evaluation.batching import BATCH_TOKENS, device_of, is_sharded, run_in_batches
from trainer.model.team import Team

logging.getLogger("lm_eval").setLevel(logging.ERROR)

MOST_LOGITS = {"cpu": 2**28, "cuda": 2**31, "mps": 2**28}  # in a batch, float32
MOST_WRITTEN = 256  # tokens, where a task does not say: the harness's own
_Base: Any = huggingface.HFLM  # its decorators hide what it is from who checks types
# The texts of context and choice, and their tokens.
Request = tuple[tuple[str, str] | None, list[int], list[int]]


class HarnessModel(_Base):
    """Log-probabilities and answers as the harness's own class has them, in batches by length.

    The harness sees rank 0 of 1: every process asks for everything, computes its share, and has the
    whole afterwards. `num_tokens` counts the tokens that went through the model; `is_finite` is
    False once a score was not.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        window: int,
        dtype: torch.dtype = torch.float32,
        alive: Callable[[], None] = lambda: None,
        team: Team | None = None,
    ) -> None:
        """`model` None: for what takes a tokenizer alone. `window`: the tokens that fit into it."""
        TemplateLM.__init__(
            cast(Any, self)
        )  # HFLM's own ties weights, and leaves evaluation mode on
        self._model, self.tokenizer = model, tokenizer
        self._device = torch.device("cpu") if model is None else device_of(model)
        self._config = None if model is None else model.config
        self.backend = "causal"
        self._max_length = window
        self._rank, self._world_size = 0, 1
        self.vocab_size = tokenizer.vocab_size
        self.add_bos_token = self.custom_prefix_token_id = None
        self.truncation, self.logits_cache = False, True
        self.batch_size_per_gpu, self.batch_schedule = 1 << 30, 1
        self.batch_sizes: dict[int, int] = {}
        self.chat_template_args: dict[str, Any] = {}
        self.enable_thinking = self.think_end_token = None
        self.softmax_dtype = torch.float32
        self.mixed_precision_dtype = None if dtype == torch.float32 else dtype
        self._alive, self._team = alive, team or Team()
        self._last_positions = 0
        self.num_tokens, self.is_finite = 0, True

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
        """(sum of log-probabilities, is what the model would say), of each request."""
        return self._loglikelihood_tokens(self.encoded([request.args for request in requests]))

    def encoded(self, pairs: Sequence[tuple[str, str]]) -> list[Request]:
        """Contexts and choices as tokens, as the harness has them one by one."""
        moved = [_with_its_spaces(context, choice) for context, choice in pairs]
        texts = {context for context, _ in moved} | {context + choice for context, choice in moved}
        ids = self._encode_all(sorted(texts - {""}))
        found: list[Request] = []
        for pair, (context, choice) in zip(pairs, moved, strict=True):
            if context:
                before = ids[context]
                found.append((pair, before, ids[context + choice][len(before) :]))
            else:
                tokens = self.tok_encode(choice, add_special_tokens=False)
                prefix = self.prefix_token_id
                is_there = bool(tokens) and tokens[0] == prefix
                found.append((pair, [prefix], tokens[1:] if is_there else tokens))
        return found

    def _encode_all(self, texts: Sequence[str]) -> dict[str, list[int]]:
        bos = self.tokenizer.decode(self.prefix_token_id)
        ids: dict[str, list[int]] = {}
        for has_bos in (False, True):
            those = [text for text in texts if has_bos_prefix(text, bos) == has_bos]
            if those:
                kwargs = {"add_special_tokens": False} if has_bos else {}
                rows = self.tokenizer(those, verbose=False, **kwargs)["input_ids"]
                ids |= zip(those, rows, strict=True)
        return ids

    def _loglikelihood_tokens(
        self,
        requests: Sequence[Request],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        forwards = forwards_of(requests)
        found: dict[int, tuple[float, bool]] = {}

        def run(rows: np.ndarray) -> None:
            members = [index for row in rows for index in forwards[row]]
            batch = [requests[index] for index in members]
            self._last_positions = self._positions_to_keep(batch)
            scores = super(HarnessModel, self)._loglikelihood_tokens(batch, disable_tqdm=True)
            found.update(zip(members, scores, strict=True))

        self._run([self._cost(requests[group[0]]) for group in forwards], run)
        merged = self._merged(found)
        self.num_tokens += self.count_tokens(requests)
        scores = [merged[index] for index in range(len(requests))]
        self.is_finite &= bool(np.isfinite([score for score, _ in scores]).all())
        return scores

    def count_tokens(self, requests: Sequence[Request]) -> int:
        """The input tokens that asking all of these takes."""
        return sum(self._input_length(requests[group[0]]) for group in forwards_of(requests))

    def is_cut(self, request: Request) -> bool:
        """Whether its context does not fit into the model's window, and loses its beginning."""
        return len(request[1]) + len(request[2]) > self.max_length + 1

    def _input_length(self, request: Request) -> int:
        return min(len(request[1]) + len(request[2]) - 1, self.max_length)

    def _cost(self, request: Request) -> int:
        """Tokens; or as many as its logits take the room of."""
        device = self.device.type
        logits = len(request[2]) * self.vocab_size * BATCH_TOKENS[device] / MOST_LOGITS[device]
        return max(self._input_length(request), int(logits))

    def _positions_to_keep(self, batch: Sequence[Request]) -> int:
        """How many of the last positions hold all that is scored in the batch."""
        longest = max(map(self._input_length, batch))
        starts = [self._input_length(request) - len(request[2]) for request in batch]
        return min(longest, longest - min(starts))

    def _model_call(self, inps: torch.Tensor, attn_mask: Any = None, labels: Any = None) -> Any:
        autocast = torch.autocast(
            self.device.type,
            dtype=self.mixed_precision_dtype,
            enabled=self.mixed_precision_dtype is not None,
        )
        asked = {"use_cache": False, "logits_to_keep": self._last_positions}
        takes = _parameters_of(self._model)
        with torch.no_grad(), autocast:  # the harness counts positions from the end of what it gets
            return self._model(inps, **{k: v for k, v in asked.items() if k in takes}).logits

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model says to each request's text."""
        contexts = self._encode_all(sorted({request.args[0] for request in requests}))
        found: dict[int, str] = {}
        kinds: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            kinds.setdefault(repr(request.args[1]), []).append(index)
        for members in kinds.values():
            room = most_written(requests[members[0]].args[1])
            lengths = [len(contexts[requests[index].args[0]]) for index in members]

            def run(rows: np.ndarray, members: list[int] = members) -> None:
                batch = [requests[members[row]] for row in rows]
                said = super(HarnessModel, self).generate_until(batch, disable_tqdm=True)
                found.update(zip([members[row] for row in rows], said, strict=True))

            self._run([length + room for length in lengths], run)
            self.num_tokens += sum(min(length, self.max_length) for length in lengths)
        merged = self._merged(found)
        said = [merged[index] for index in range(len(requests))]
        self.num_tokens += sum(map(len, self._encode_all(sorted({*said} - {""})).values()))
        self.is_finite = all(self._team.gather(self.is_finite))
        return said

    def _model_generate(
        self, context: Any, max_length: int, stop: list[str], **generation_kwargs: Any
    ) -> Any:
        generation_kwargs["logits_processor"] = LogitsProcessorList([_Watch(self)])
        generation_kwargs["synced_gpus"] = is_sharded(self._model)
        with torch.no_grad():
            return super()._model_generate(context, max_length, stop, **generation_kwargs)

    def _run(self, costs: list[int], run: Callable[[np.ndarray], None]) -> None:
        run_in_batches(self._model, costs, run, self._alive, self._team)

    def _merged(self, found: dict[int, Any]) -> dict[int, Any]:
        merged: dict[int, Any] = {}
        for theirs in self._team.gather(found):
            merged |= theirs
        return merged


class _Watch(LogitsProcessor):
    """Tells the model where what it says comes from numbers that are none."""

    def __init__(self, asked: HarnessModel) -> None:
        self._asked = asked

    def __call__(self, input_ids: Any, scores: torch.Tensor) -> torch.Tensor:
        self._asked.is_finite &= not bool(scores.isnan().any())
        return scores


def forwards_of(requests: Sequence[Request]) -> list[list[int]]:
    """The indices of the requests that one forward answers: choices of one token share it."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, (_, context, choice) in enumerate(requests):
        groups.setdefault((*context, *choice[:-1]), []).append(index)
    for members in groups.values():  # the longest choice first: its input has all that is scored
        members.sort(key=lambda index: -len(requests[index][2]))
    return list(groups.values())


def _parameters_of(model: Any) -> Mapping[str, Any]:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return signature(type(base).forward).parameters


def most_written(generation: dict[str, Any]) -> int:
    """Tokens that a model may write by what a task says of it."""
    return int(normalize_gen_kwargs(generation, MOST_WRITTEN).get("max_gen_toks", MOST_WRITTEN))


def _with_its_spaces(context: str, choice: str) -> tuple[str, str]:
    """The spaces that a context ends with belong to the choice, as in HFLM._encode_pair."""
    stripped = context.rstrip()
    return stripped, context[len(stripped) :] + choice
