"""Make the bank of real sweeps: `python -m studies.experiments.bank OUT [SMOLLM2 GSM8K]`.

Every run is a trial of the product itself with pruning off; a study that was interrupted goes on
where it stands. `sweep export` then writes the files in studies/recorded, whose README says how:

(a) the quickstart's base on two mixes, learning rate x batch size x 2 seeds of the data order;
(b) SmolLM2-135M (a local folder) on short GSM8K rows (the folder of gsm8k_{train,test}.jsonl).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from studies.quickstart.make_data import HERE, dumps
from studies.quickstart.world import known_facts

Row = dict[str, Any]

SEEDS = (0, 1)
LEARNING_RATES = (2e-5, 1e-4, 4e-4, 1.5e-3, 5e-3, 2e-2)
BATCH_SIZES = (8, 16, 32, 64)
SMOLLM2_LEARNING_RATES = (3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
SMOLLM2_BATCH_SIZES = (4, 16)
MOST_CHARACTERS = 280  # of question and answer: rows of some 75 tokens
NUM_HELD_OUT = 32


def make_mix(folder: Path, name: str) -> None:
    """train.jsonl and eval.jsonl of a mix: "retention" has three quarters known facts in its rows
    and its questions, "acquisition" a sixteenth, "mixed" a half. No fact that is asked for is
    trained on."""
    rng = random.Random(f"bank {name}")
    rows, questions = read(HERE / "train.jsonl"), read(HERE / "eval.jsonl")
    asked = {question["prompt"] for question in questions}
    known = [fact for fact in known_facts() if fact.ask(0) not in asked]
    recalled = [
        {"prompt": fact.ask(phrasing), "completion": fact.value, "group": "retention"}
        for fact in known
        for phrasing in range(2)
    ]
    new = [row for row in rows if row["group"].startswith("acquisition")]
    old_asked = [q for q in questions if q["group"].startswith("retention")]
    new_asked = [q for q in questions if q["group"].startswith("acquisition")]
    if name == "retention":
        train = recalled + rng.sample(new, len(recalled) // 3)
        held_out = old_asked + rng.sample(new_asked, len(old_asked) // 3)
    elif name == "mixed":
        num = min(len(old_asked), len(new_asked))
        train = recalled + rng.sample(new, len(recalled))
        held_out = rng.sample(old_asked, num) + rng.sample(new_asked, num)
    else:
        train = new + rng.sample(recalled, len(new) // 15)
        held_out = new_asked + rng.sample(old_asked, len(new_asked) // 15)
    rng.shuffle(train)
    rng.shuffle(held_out)
    write(folder, train, held_out)


def make_gsm8k(folder: Path, source: Path) -> None:
    """Short rows as prompt and completion: a CPU trains some 65 tokens a second."""

    def short(path: Path) -> Iterable[Row]:
        for row in read(path):
            if len(row["question"]) + len(row["answer"]) <= MOST_CHARACTERS:
                yield {"prompt": row["question"], "completion": row["answer"]}

    held_out = list(short(source / "gsm8k_test.jsonl"))[:NUM_HELD_OUT]
    write(folder, list(short(source / "gsm8k_train.jsonl")), held_out)


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(folder: Path, train: Iterable[Row], held_out: Iterable[Row]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.jsonl").write_text(dumps(train), encoding="utf-8")
    (folder / "eval.jsonl").write_text(dumps(held_out), encoding="utf-8")


def run(out: Path, shipped: str, data: Path, settings: Iterable[str]) -> None:
    paths = [f"data.{name}={data / f'{name}.jsonl'}" for name in ("train", "eval")]
    always = ["search.recipes=[]", "pruning.enabled=false", "run.keep=none"]
    command = [str(Path(sys.executable).with_name("sweep")), "run", shipped, "--out", str(out)]
    subprocess.run([*command, "--set", *paths, *always, *settings], check=True)


def main(folder: str, smollm2: str | None = None, gsm8k: str | None = None) -> None:
    out = Path(folder).absolute()
    for mix in ("retention", "acquisition"):
        make_mix(out / f"data-{mix}", mix)
        for seed in SEEDS:
            settings = [
                f"name=quickstart-{mix}",
                "search.sampler=grid",
                "pruning.mode=stream",  # one look, at the window
                f"search.space.learning_rate={{choices: {list(LEARNING_RATES)}}}",
                f"search.space.batch_size={{choices: {list(BATCH_SIZES)}}}",
                "budget.samples=3072",
                "pruning.window=0.1",
                "pruning.min_steps=5",
                "pruning.early_eval=64",
                f"run.seed={seed}",
                f"run.trials={len(LEARNING_RATES) * len(BATCH_SIZES)}",
                "run.workers=2",
            ]
            run(out / f"{mix}-{seed}", "quickstart", out / f"data-{mix}", settings)
    if smollm2 is None or gsm8k is None:
        return
    make_gsm8k(out / "data-gsm8k", Path(gsm8k))
    settings = [
        "name=smollm2-gsm8k-cpu",
        "search.sampler=grid",
        "pruning.mode=stream",
        f"model.base={Path(smollm2).absolute()}",
        "model.dtype=float32",
        "data.max_length=128",
        f"search.space.learning_rate={{choices: {list(SMOLLM2_LEARNING_RATES)}}}",
        f"search.space.batch_size={{choices: {list(SMOLLM2_BATCH_SIZES)}}}",
        "search.space.schedule=constant",
        "budget.samples=256",
        "pruning.window=0.1",
        "pruning.min_steps=4",
        "pruning.early_eval=16",
        "run.seed=0",
        f"run.trials={len(SMOLLM2_LEARNING_RATES) * len(SMOLLM2_BATCH_SIZES)}",
        "run.workers=1",
    ]
    run(out / "smollm2", "smollm2-gsm8k", out / "data-gsm8k", settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
