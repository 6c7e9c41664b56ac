"""Make base/, a tokenizer and a Llama of 1.3 M parameters: `python -m studies.quickstart.pretrain`.

Seeded; takes a few minutes on two cores. Another machine or torch version rounds differently, so
the weights come out alike, not bit for bit the same.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from studies.quickstart.make_data import HERE, SKILLS
from studies.quickstart.world import NEW, SEED, corpus, known_facts, render

VOCAB_SIZE = 1024
EOS, PAD = "<eos>", "<pad>"
IGNORED = -100  # a label that carries no loss
BATCH_TEXTS = 96
PEAK_LR, WARMUP_STEPS = 3e-3, 100
BUCKET_BATCHES = 8  # texts are sorted by length within so many batches, to pad less
MAX_LENGTH_TOKENS = 128


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of the corpus and the wording of the later questions."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    rng = random.Random(SEED)
    wording = [skill(rng)[0] for skill in SKILLS for _ in range(100)]
    wording += [f" {question}" for question in NEW.questions for _ in range(100)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([*corpus(20_000), *(f" {text}" for text in wording)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=MAX_LENGTH_TOKENS,
        clean_up_tokenization_spaces=False,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    assert isinstance(end, int) and isinstance(pad, int)
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=160,
        intermediate_size=400,
        num_hidden_layers=4,
        num_attention_heads=5,
        num_key_value_heads=5,
        max_position_embeddings=MAX_LENGTH_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    return LlamaForCausalLM(config)


def batches(tokenizer: PreTrainedTokenizerFast, num_steps: int) -> Iterator[dict]:
    """Tokenised texts, an EOS after each. Of a question only the answer carries loss.

    Each batch has input_ids, attention_mask and labels, all (BATCH_TEXTS, longest).
    """
    rng = random.Random(SEED)
    texts = iter(list(corpus(num_steps * BATCH_TEXTS, seed=SEED + 1)))
    while bucket := list(islice(texts, BUCKET_BATCHES * BATCH_TEXTS)):
        bucket.sort(key=len)
        parts = [bucket[i : i + BATCH_TEXTS] for i in range(0, len(bucket), BATCH_TEXTS)]
        rng.shuffle(parts)
        for part in parts:
            batch = tokenizer([text + EOS for text in part], return_tensors="pt", padding=True)
            labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)
            for row, text in zip(labels, part, strict=True):
                prompt, answer, _ = text.partition("Answer:")
                if answer:
                    row[: len(tokenizer(prompt + answer)["input_ids"])] = IGNORED
            yield {**batch, "labels": labels}


def known_share(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> float:
    """Share of the known facts whose value is what the model would say first."""
    facts = known_facts()
    prompts = [render(fact.ask(0), "").rstrip() for fact in facts]
    values = tokenizer([f" {fact.value}" for fact in facts])["input_ids"]
    batch = tokenizer(prompts, return_tensors="pt", padding=True)
    last = batch["attention_mask"].sum(1) - 1
    with torch.no_grad():
        said = model(**batch).logits[range(len(facts)), last].argmax(1)
    return sum(a == b[0] for a, b in zip(said.tolist(), values, strict=True)) / len(facts)


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, num_steps: int) -> None:
    """One pass, AdamW, warmup and cosine decay to a tenth."""
    optimizer = torch.optim.AdamW(model.parameters(), PEAK_LR, betas=(0.9, 0.95), weight_decay=0.1)

    def scale(step: int) -> float:
        cosine = 0.55 + 0.45 * math.cos(math.pi * step / num_steps)
        return min(1, (step + 1) / WARMUP_STEPS) * cosine

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
    model.train()
    began = time.perf_counter()
    for step, batch in enumerate(batches(tokenizer, num_steps), start=1):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 100 == 0:
            print(
                f"step {step}/{num_steps}  loss {loss.item():.3f}  "
                f"known {known_share(model, tokenizer):.2f}  {time.perf_counter() - began:.0f} s",
                flush=True,
            )


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Weights in float16, for size; the config says float32, which is what they load as."""
    model.half().save_pretrained(folder)
    model.config.dtype = "float32"
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "base")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    train(model, tokenizer, args.steps)
    save(model, tokenizer, args.out)


if __name__ == "__main__":
    main()
