"""Write train.jsonl and eval.jsonl: `python -m studies.quickstart.make_data`.

Seeded, pure standard library: the same bytes every time. Frozen before any sweep was run on it.
retention-*: what the base model knows; acquisition-*: what only the training rows teach.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from studies.quickstart.world import (
    CATEGORIES,
    NUMBERS,
    SEED,
    Fact,
    known_facts,
    mixed_words,
    new_facts,
)

HERE = Path(__file__).parent
NUM_CHOICES = 4
NUM_SKILL_TRAIN, NUM_SKILL_EVAL = 320, 48  # rows per skill
NUM_KNOWN_TRAIN, NUM_KNOWN_EVAL = 128, 240  # of the known facts, all different
ORDINALS = ("first", "second", "third", "fourth")

# A question: prompt, answer, and at least three wrong answers.
Item = tuple[str, str, list[str]]


def count(rng: random.Random) -> Item:
    words = rng.sample(mixed_words(), rng.randint(3, 6))
    answer = NUMBERS[len(words) - 1]
    return f"How many words: {', '.join(words)}?", answer, _others(NUMBERS[2:6], answer)


def largest(rng: random.Random) -> Item:
    ranks = rng.sample(range(len(NUMBERS)), NUM_CHOICES)
    words = [NUMBERS[rank] for rank in ranks]
    answer = NUMBERS[max(ranks)]
    return f"Which is the most: {', '.join(words)}?", answer, _others(words, answer)


def odd(rng: random.Random) -> Item:
    inside, outside = rng.sample(sorted(CATEGORIES), 2)
    answer = rng.choice(CATEGORIES[outside])
    words = [answer, *rng.sample(CATEGORIES[inside], NUM_CHOICES - 1)]
    rng.shuffle(words)
    return f"Which does not fit: {', '.join(words)}?", answer, _others(words, answer)


def position(rng: random.Random) -> Item:
    words = rng.sample(mixed_words(), NUM_CHOICES)
    which = rng.randrange(NUM_CHOICES)
    prompt = f"Which is {ORDINALS[which]}: {', '.join(words)}?"
    return prompt, words[which], _others(words, words[which])


def reverse(rng: random.Random) -> Item:
    a, b, c = rng.sample(mixed_words(), 3)
    wrong = [f"{a}, {b}, {c}", f"{c}, {a}, {b}", f"{b}, {a}, {c}"]
    return f"Turn around: {a}, {b}, {c}.", f"{c}, {b}, {a}", wrong


SKILLS: tuple[Callable[[random.Random], Item], ...] = (count, largest, odd, position, reverse)


def _others(words: Iterable[str], answer: str) -> list[str]:
    return [word for word in words if word != answer]


def make() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(training rows, held-out questions); no prompt of one is in the other."""
    rng = random.Random(SEED)
    train: list[dict[str, Any]] = []
    held_out: list[dict[str, Any]] = []
    for skill in SKILLS:
        group = f"acquisition-{skill.__name__}"
        items: dict[str, Item] = {}
        while len(items) < NUM_SKILL_EVAL + NUM_SKILL_TRAIN:
            item = skill(rng)
            items.setdefault(item[0], item)
        ordered = list(items.values())
        held_out += [_question(rng, *item, group) for item in ordered[:NUM_SKILL_EVAL]]
        train += [_row(p, answer, group) for p, answer, _ in ordered[NUM_SKILL_EVAL:]]
    for fact in new_facts():
        held_out.append(_ask(rng, fact, "acquisition-facts"))
        for phrasing in range(1, len(fact.relation.questions)):
            train.append(_row(fact.ask(phrasing), fact.value, "acquisition-facts"))
    known = rng.sample(known_facts(), NUM_KNOWN_EVAL + NUM_KNOWN_TRAIN)
    held_out += [_ask(rng, fact, _known_group(fact)) for fact in known[:NUM_KNOWN_EVAL]]
    for fact in known[NUM_KNOWN_EVAL:]:
        train.append(_row(fact.ask(0), fact.value, _known_group(fact)))
    rng.shuffle(train)
    rng.shuffle(held_out)
    return train, held_out


def _known_group(fact: Fact) -> str:
    return "retention-places" if fact.relation.name in ("river", "goods") else "retention-people"


def _row(prompt: str, completion: str, group: str) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, "group": group}


def _ask(rng: random.Random, fact: Fact, group: str) -> dict[str, Any]:
    wrong = _others(fact.relation.values, fact.value)
    return _question(rng, fact.ask(0), fact.value, wrong, group)


def _question(
    rng: random.Random, prompt: str, answer: str, wrong: list[str], group: str
) -> dict[str, Any]:
    choices = [answer, *rng.sample(wrong, NUM_CHOICES - 1)]
    rng.shuffle(choices)
    index = choices.index(answer)
    return {"prompt": prompt, "choices": choices, "answer": index, "group": group}


def dumps(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def main() -> None:
    for name, rows in zip(("train", "eval"), make(), strict=True):
        path = HERE / f"{name}.jsonl"
        path.write_text(dumps(rows), encoding="utf-8")
        print(f"{path.name}: {len(rows)} rows, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
