"""Fixtures that several test modules share: a tiny model, small data, and a driver's end."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from predictor.types import Verdict
from tests.support.fake_driver import FakeTrials
from tests.support.home import Home
from trainer.contract.spec import VerdictWanted


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of about 40,000 parameters. One token per byte, no pad token."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("tiny-model")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<|end|>": 0, **{byte: index + 1 for index, byte in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>").save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sums(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small files of sums: train (100 rows, ragged), eval (30 rows) and choices (20 questions)."""
    rng = random.Random(0)
    folder = tmp_path_factory.mktemp("sums")

    def write(name: str, rows: list[dict[str, object]]) -> Path:
        path = folder / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return path

    def row() -> dict[str, object]:
        a, b = rng.randrange(100), rng.randrange(100)
        return {"prompt": f"{a}+{b}", "completion": str(a + b) * rng.randint(1, 5)}

    def question() -> dict[str, object]:
        a = rng.randrange(50)
        choices, group = [str(a), str(2 * a + 1), "many"], "odd" if a % 2 else "even"
        return {"prompt": f"{a}+0", "choices": choices, "answer": 0, "group": group}

    return {
        "train": write("train", [row() for _ in range(100)]),
        "eval": write("eval", [row() for _ in range(30)]),
        "choices": write("choices", [question() for _ in range(20)]),
    }


@pytest.fixture(scope="session")
def data_dir(
    tiny_model: Path, sums: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The sums, prepared for the tiny model."""
    from trainer.contract.spec import DataSpec, ModelSpec, Prepared, PrepareSpec
    from trainer.worker import run_prepare

    out_dir = tmp_path_factory.mktemp("prepared")
    data = DataSpec(str(sums["train"]), eval=str(sums["eval"]), choices=str(sums["choices"]))
    metrics = ("eval_loss", "choice_accuracy")
    spec = PrepareSpec(ModelSpec(str(tiny_model)), data, str(out_dir), metrics, num_threads=1)
    events = converse(run_prepare, spec)
    assert isinstance(events[-1], Prepared), events[-1]
    return out_dir


@pytest.fixture(scope="session")
def fake_trials() -> Iterator[FakeTrials]:
    executor = FakeTrials()
    yield executor
    executor.close()


@pytest.fixture
def home(tmp_path: Path, fake_trials: FakeTrials) -> Home:
    return Home(tmp_path, fake_trials)


Drive = Callable[..., list[Any]]


@pytest.fixture
def drive() -> Drive:
    return converse


def _go_on(event: Any) -> Any:
    return Verdict("continue", "none", "a test") if isinstance(event, VerdictWanted) else None


def converse(
    entry: Callable[..., None], spec: Any, answer: Callable[[Any], Any] = _go_on
) -> list[Any]:
    """Run an entry point of trainer.worker here, with a driver in a thread; the events it sent.

    `answer(event)` gives what the driver sends back: a message, or None for nothing. It raises
    EOFError to hang up.
    """
    ours, theirs = multiprocessing.Pipe()
    events: list[Any] = []

    def listen() -> None:
        # A reset: it left an answer unread.
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                events.append(ours.recv())
                message = answer(events[-1])
                if message is not None:
                    ours.send(message)
        ours.close()

    driver = threading.Thread(target=listen)
    driver.start()
    entry(spec, theirs)
    driver.join()
    return events


@pytest.fixture(scope="session")
def forked() -> Any:
    """Starts processes as the executor does, from a server that has imported what trials use."""
    from trainer.contract.spec import PRELOAD

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context


@pytest.fixture
def drive_forked(forked: Any) -> Drive:
    """As `drive`, but in a process of its own, which may fork others."""

    def run(entry: Callable[..., None], spec: Any, answer: Callable[[Any], Any] = _go_on) -> list:
        ours, theirs = forked.Pipe()
        process = forked.Process(target=entry, args=(spec, theirs))
        process.start()
        theirs.close()
        events: list[Any] = []
        try:
            with contextlib.suppress(EOFError, ConnectionError):
                while True:
                    events.append(ours.recv())
                    message = answer(events[-1])
                    if message is not None:
                        ours.send(message)
        except BaseException:
            process.kill()
            raise
        process.join()
        assert process.exitcode == 0
        return events

    return run
