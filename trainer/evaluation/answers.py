"""A model's answers to conversations: batched, the same whatever is answered beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, GenerationConfig, LogitsProcessor, LogitsProcessorList

from trainer.contract.final import Answer, AnswerSpec, ChatQuestion, append_answer, read_answers
from trainer.data.positions import positions_of
from trainer.evaluation.conversation import Conversation, Prompt
from trainer.model.fit import empty_cache, is_out_of_memory
from trainer.model.kept import ends_of, load_kept
from trainer.model.load import best_device

TOGETHER = {"cpu": 16, "cuda": 40, "mps": 16}  # questions, while they fit
_ALMOST_1 = 1 - 2**-20


def answer_all(spec: AnswerSpec, alive: Callable[[str], None]) -> None:
    """`spec.file` has an answer to each turn of each question; those that it had are kept.

    A question's answers depend on the model, the seed and the question alone, up to rounding: a
    run that goes on after a kill draws what it would have drawn. UserError where the model is gone
    or its chat template refuses the conversations.
    """
    file, known = Path(spec.file), dict(read_answers(Path(spec.file)))
    num_turns = max((len(question.turns) for question in spec.questions), default=0)
    wanted = sum(len(question.turns) for question in spec.questions)
    if sum((q.id, i + 1) in known for q in spec.questions for i in range(len(q.turns))) == wanted:
        return
    alive("loading the model")
    device = best_device()
    folder = None if spec.folder is None else Path(spec.folder)
    # held in what is computed in, as models are served: generation reads the weights at each token
    weights = "bfloat16" if spec.model.dtype == "bfloat16" else spec.model.weights
    model = load_kept(replace(spec.model, weights=weights), folder, device)
    tokenizer = AutoTokenizer.from_pretrained(
        spec.tokenizer, trust_remote_code=spec.model.trust_remote_code
    )
    positions = positions_of(model.config, model)
    most = positions.most if positions else None
    talk = Conversation(tokenizer, spec.shape, spec.template, spec.system, most)
    generator = _Generator(
        model, tokenizer, spec, lambda: alive(f"answering, {len(known)} of {wanted}")
    )
    for turn in range(1, num_turns + 1):
        asked = [q for q in spec.questions if len(q.turns) >= turn and (q.id, turn) not in known]
        before = {q.id: [known[q.id, i].text for i in range(1, turn)] for q in asked}
        prompts = [(q, talk.prompt(q.turns, before[q.id], spec.max_new_tokens)) for q in asked]
        for answer in generator.answers(turn, prompts):
            append_answer(file, answer)
            known[answer.key] = answer


Asked = tuple[ChatQuestion, Prompt]


class _Generator:
    """Generates in batches, which are halved for good where one does not fit into memory."""

    def __init__(
        self, model: Any, tokenizer: Any, spec: AnswerSpec, alive: Callable[[], None]
    ) -> None:
        self._model, self._tokenizer, self._spec, self._alive = model, tokenizer, spec, alive
        self._device = next(model.parameters()).device
        self._together = TOGETHER[self._device.type]
        self._ends = ends_of(model, tokenizer)
        pad = tokenizer.pad_token_id
        self._pad = tokenizer.eos_token_id if pad is None else pad
        model.generation_config = GenerationConfig()  # its own would go into ours

    def answers(self, turn: int, prompts: Sequence[Asked]) -> Iterator[Answer]:
        """An answer to each, as they come."""
        order = sorted(prompts, key=lambda one: (one[1].room, -len(one[1].ids), one[0].id))
        for _, alike in groupby(order, key=lambda one: one[1].room):
            waiting = list(alike)
            while waiting:
                batch = waiting[: self._together]
                try:
                    found = self._batch(turn, batch)
                except Exception as error:
                    if not is_out_of_memory(error) or len(batch) == 1:
                        raise
                    self._together = len(batch) // 2
                    found = None
                if found is None:  # outside of the handler, which holds what did not fit
                    empty_cache(self._device)
                    continue
                yield from found
                waiting = waiting[len(batch) :]

    def _batch(self, turn: int, batch: Sequence[Asked]) -> list[Answer]:
        began = time.perf_counter()
        room = batch[0][1].room
        width = max(len(prompt.ids) for _, prompt in batch)
        ids = torch.full((len(batch), width), self._pad)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, (_, prompt) in enumerate(batch):  # padded on the left
            ids[row, width - len(prompt.ids) :] = torch.tensor(prompt.ids)
            mask[row, width - len(prompt.ids) :] = 1
        drawn = Draw.of([question for question, _ in batch], turn, self._spec.seed, room)
        drawn.width, drawn.alive = width, self._alive
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=room,
            eos_token_id=self._ends,
            pad_token_id=self._pad,
        )
        dtype = getattr(torch, self._spec.model.dtype)
        autocast = torch.autocast(self._device.type, dtype=dtype, enabled=dtype != torch.float32)
        with torch.no_grad(), autocast:
            out = self._model.generate(
                input_ids=ids.to(self._device),
                attention_mask=mask.to(self._device),
                generation_config=config,
                logits_processor=LogitsProcessorList([drawn]),
            )
        seconds = (time.perf_counter() - began) / len(batch)
        replies = out[:, width:].tolist()
        return [
            self._answer(question, prompt, turn, reply, seconds)
            for (question, prompt), reply in zip(batch, replies, strict=True)
        ]

    def _answer(
        self, question: ChatQuestion, prompt: Prompt, turn: int, reply: list[int], seconds: float
    ) -> Answer:
        end = next((i for i, token in enumerate(reply) if token in self._ends), None)
        own = reply if end is None else reply[:end]
        return Answer(
            question.id,
            turn,
            self._tokenizer.decode(own, skip_special_tokens=True).strip(),
            prompt_tokens=len(prompt.ids),
            tokens=len(own) + (end is not None),
            is_prompt_cut=prompt.is_cut,
            is_whole=end is not None,
            seconds=seconds,
        )


@dataclass(slots=True)
class Draw(LogitsProcessor):
    """Leaves of each row the one token that is drawn at its temperature; at 0 the likeliest.

    By the inverse of the distribution function, at a number of the row's own for each step: so a
    row's draws depend on nothing beside it, and on no generator of the device.
    """

    temperatures: np.ndarray  # (rows,)
    uniforms: np.ndarray  # (rows, steps), from 0 to 1
    width: int = 0  # tokens before the first that is drawn
    alive: Callable[[], None] = lambda: None

    @classmethod
    def of(cls, questions: Sequence[ChatQuestion], turn: int, seed: int, steps: int) -> Draw:
        """For answers to these questions, a row each."""
        rows = [np.random.default_rng((seed, q.id, turn)).random(steps) for q in questions]
        return cls(np.array([q.temperature for q in questions]), np.array(rows))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores`, (rows, vocabulary), of all tokens but the drawn ones -inf."""
        self.alive()
        rows = np.flatnonzero(self.temperatures > 0)
        if not len(rows):
            return scores
        step = input_ids.shape[1] - self.width
        at = torch.as_tensor(rows, device=scores.device)
        numbers = {"dtype": torch.float32, "device": scores.device}
        heat = torch.as_tensor(self.temperatures[rows], **numbers)[:, None]
        pick = torch.as_tensor(self.uniforms[rows, step], **numbers)[:, None]
        below = torch.softmax(scores[at].float() / heat, dim=-1).cumsum(-1)
        pick = pick.clamp(max=_ALMOST_1) * below[:, -1:]
        token = torch.searchsorted(below, pick, right=True).clamp(max=scores.shape[1] - 1)
        only = torch.full_like(scores[at], -torch.inf).scatter_(1, token, 0.0)
        return scores.index_copy(0, at, only)
