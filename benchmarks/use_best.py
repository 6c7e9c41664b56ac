"""A saved model in the hands of whoever has transformers alone: `python -m benchmarks.use_best
MODEL ROWS [QUESTIONS.jsonl] [--dtype bfloat16] [--questions 8] [--new-tokens 400]`.

ROWS is a folder of prepared rows (OUT/data/eval). Prints JSON: `loss`, nats per loss-bearing token
of the rows, computed in `--dtype` as the study did; and where there are questions, as chats,
`ended`, how many greedy replies stopped by themselves within `--new-tokens`, and the replies.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, cast

import datasets
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

IGNORED = -100


def loss_of(model: Any, rows: Any, dtype: torch.dtype) -> float:
    """One row at a time: no padding, nothing shared with the trainer."""
    total, num = 0.0, 0
    autocast = torch.autocast(model.device.type, dtype=dtype, enabled=dtype != torch.float32)
    with torch.no_grad(), autocast:
        for row in rows:
            ids = torch.tensor([row["input_ids"]], device=model.device)
            labels = torch.tensor(row["labels"][1:], device=model.device)
            scores = model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
            kept = labels != IGNORED
            total -= float(scores[kept, labels[kept]].double().sum())
            num += int(kept.sum())
    return total / num


def reply_to(model: Any, tokenizer: Any, chat: list[dict[str, str]], new_tokens: int) -> Any:
    """The reply's text, and whether one of the model's own ends stopped it."""
    given = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    ).to(model.device)
    out = model.generate(**given, do_sample=False, max_new_tokens=new_tokens)[0]
    ends = model.generation_config.eos_token_id
    ended = int(out[-1]) in (ends if isinstance(ends, list) else [ends])
    reply = out[given["input_ids"].shape[1] :]
    return tokenizer.decode(reply, skip_special_tokens=True), ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("questions", type=Path, nargs="?")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--questions", dest="num", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=400)
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    model = cast(Any, AutoModelForCausalLM.from_pretrained(given.model)).to(device).eval()
    loss = loss_of(model, datasets.load_from_disk(str(given.rows)), getattr(torch, given.dtype))
    lines = given.questions.read_text().splitlines()[: given.num] if given.questions else []
    chats = [json.loads(line)["messages"][:-1] for line in lines]
    replies = [reply_to(model, tokenizer, chat, given.new_tokens) for chat in chats]
    ended = sum(ended for _, ended in replies)
    print(json.dumps({"loss": loss, "ended": ended, "replies": [text for text, _ in replies]}))


if __name__ == "__main__":
    main()
