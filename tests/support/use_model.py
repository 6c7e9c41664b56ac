"""A saved model in the hands of somebody who has transformers and peft alone.

As a command: python -m tests.support.use_model JOB.json RESULT.json, for many models in one
fresh process.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

MAX_NEW_TOKENS = 20


class Job(NamedTuple):
    """`prompts` are chats to be replied to, or texts; `rows` (input_ids, labels); `card` the
    program in the model's card."""

    folder: str
    prompts: list[Any]
    card: str
    rows: list[tuple[list[int], list[int]]]


class Used(NamedTuple):
    """Token ids of each reply, without the padding behind their end; nats per token of `rows`."""

    alone: list[list[int]]
    batch: list[list[int]]
    text: list[str]
    printed: list[str]  # by the program in the card: its replies
    scores_differ: float  # the most, of the first new token, alone and in the batch
    loss: float
    merged_differs: float | None  # the most, of the logits; None: no adapter
    is_tied: bool
    num_rows: int  # of the embeddings


def use(job: Job) -> Used:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    folder = Path(job.folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if (folder / "adapter_config.json").is_file():  # as the model's card says
        model.generation_config = GenerationConfig.from_pretrained(folder)
    model.eval()

    def generate(prompts: list[Any]) -> tuple[list[list[int]], torch.Tensor]:
        """The replies, and the scores of their first tokens."""
        if isinstance(prompts[0], str):
            given = tokenizer(prompts, padding=True, padding_side="left", return_tensors="pt")
        else:
            given = tokenizer.apply_chat_template(
                prompts,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                padding=True,
                tokenizer_kwargs={"padding_side": "left"},
            )
        out = model.generate(
            **given,
            do_sample=False,
            max_new_tokens=MAX_NEW_TOKENS,
            output_scores=True,
            return_dict_in_generate=True,
        )
        width = given["input_ids"].shape[1]
        return [_until_padding(row[width:].tolist(), model) for row in out.sequences], out.scores[0]

    alone = [generate([prompt]) for prompt in job.prompts]
    batch, scores = generate(job.prompts)
    alone_scores = torch.cat([first for _, first in alone])
    replies = [reply for (reply,), _ in alone]
    loss, logits = _loss(model, job.rows)
    merged_differs = None
    if (folder / "adapter_config.json").is_file():
        merged_differs = float((_merged_logits(folder, job.rows) - logits).abs().max())
    rows = model.get_input_embeddings().weight
    return Used(
        replies,
        batch,
        [tokenizer.decode(reply, skip_special_tokens=True) for reply in replies],
        _run(job.card, folder),
        float((alone_scores - scores).abs().nan_to_num(0.0).max()),
        loss,
        merged_differs,
        bool(rows.equal(model.get_output_embeddings().weight)),
        rows.shape[0],
    )


def _run(program: str, folder: Path) -> list[str]:
    """What it prints, run in the model's folder."""
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(program, {})
    return ast.literal_eval(printed.getvalue())


def _until_padding(reply: list[int], model: Any) -> list[int]:
    """Through the first token that ends it."""
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    stop = next((i for i, token in enumerate(reply) if token in ends), len(reply) - 1)
    padding = set(reply[stop + 1 :])
    assert padding <= {model.generation_config.pad_token_id}, padding
    return reply[: stop + 1]


def _loss(model: Any, rows: list[tuple[list[int], list[int]]]) -> tuple[float, Any]:
    """One row at a time; also all logits, one below the other."""
    import torch

    total, num, logits = 0.0, 0, []
    with torch.no_grad():
        for ids, labels in rows:
            logits.append(model(input_ids=torch.tensor([ids])).logits[0])
            scores = logits[-1][:-1].double().log_softmax(-1)
            for position, label in enumerate(labels[1:]):
                if label != -100:
                    total -= float(scores[position, label])
                    num += 1
    return total / num, torch.cat(logits)


def _merged_logits(folder: Path, rows: list[tuple[list[int], list[int]]]) -> Any:
    """Of the adapter, merged into its base, saved, and loaded again."""
    import tempfile

    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    merged: Any = AutoPeftModelForCausalLM.from_pretrained(folder).merge_and_unload()
    with tempfile.TemporaryDirectory() as beside:
        merged.generation_config = type(merged.generation_config)()
        merged.save_pretrained(beside)
        return _loss(AutoModelForCausalLM.from_pretrained(beside).eval(), rows)[1]


if __name__ == "__main__":
    import transformers

    transformers.logging.disable_progress_bar()
    jobs = [Job(*job) for job in json.loads(Path(sys.argv[1]).read_text())]
    Path(sys.argv[2]).write_text(json.dumps([use(job) for job in jobs]))
