"""What the quickstart study ships is what its generator writes, and fits its model."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from studies.quickstart import make_data

FOLDER = Path(make_data.__file__).parent
MAX_BYTES = 6_000_000


@pytest.fixture(scope="module")
def made() -> dict[str, list[dict]]:
    return dict(zip(("train", "eval"), make_data.make(), strict=True))


@pytest.mark.parametrize("name", ["train", "eval"])
def test_the_generator_writes_the_committed_bytes(made: dict, name: str) -> None:
    committed = (FOLDER / f"{name}.jsonl").read_bytes()
    assert make_data.dumps(made[name]).encode() == committed


def test_it_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "import hashlib; from studies.quickstart import make_data as m;"
        "print(hashlib.sha256(''.join(map(m.dumps, m.make())).encode()).hexdigest())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(FOLDER.parents[1])},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_no_held_out_question_is_trained_on(made: dict) -> None:
    assert not {row["prompt"] for row in made["eval"]} & {row["prompt"] for row in made["train"]}


def test_questions(made: dict) -> None:
    rows = made["eval"]
    assert len(rows) >= 400
    assert len({row["prompt"] for row in rows}) == len(rows)
    for row in rows:
        assert len(row["choices"]) == len(set(row["choices"])) == make_data.NUM_CHOICES
        assert 0 <= row["answer"] < make_data.NUM_CHOICES
        assert row["group"].startswith(("retention-", "acquisition-"))


def test_new_facts_are_asked_as_they_are_taught(made: dict) -> None:
    """The answer to a held-out question about a club is the one the training rows give."""
    group = "acquisition-facts"
    asked = {row["choices"][row["answer"]] for row in made["eval"] if row["group"] == group}
    taught = {row["completion"] for row in made["train"] if row["group"] == group}
    assert asked == taught


def test_the_base_model_loads_without_a_warning() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = AutoModelForCausalLM.from_pretrained(FOLDER / "base")
        tokenizer = AutoTokenizer.from_pretrained(FOLDER / "base")
    num_params = sum(p.numel() for p in model.parameters())
    assert 1_000_000 <= num_params <= 1_500_000
    assert str(model.dtype) == "torch.float32"
    assert tokenizer.eos_token_id != tokenizer.pad_token_id
    assert len(tokenizer) <= model.config.vocab_size
    text = "Question: Which club is Rilo in?\nAnswer: golf"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_choices_of_a_question_are_equally_long(made: dict) -> None:
    """The score is per token; a longer choice would be another kind of question."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER / "base")
    for row in made["eval"]:
        choices = tokenizer([f" {choice}" for choice in row["choices"]])["input_ids"]
        assert len({len(ids) for ids in choices}) == 1, row


def test_the_folder_is_small() -> None:
    files = [path for path in FOLDER.rglob("*") if "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files if path.is_file()) <= MAX_BYTES


def test_every_row_fits_into_the_study_s_max_length(made: dict) -> None:
    from transformers import AutoTokenizer

    study = yaml.safe_load(FOLDER.with_suffix(".yaml").read_text())
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / "base")
    texts = [f"Question: {row['prompt']}\nAnswer: {row['completion']}" for row in made["train"]]
    assert max(map(len, tokenizer(texts)["input_ids"])) + 1 <= study["data"]["max_length"]
