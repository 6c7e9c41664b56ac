"""What a saved model is to whoever uses it: every base, tuning and kind of data alike.

The models are trained here, a few steps each, and used in one fresh process by
tests/support/use_model.py.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from sweep.report.usage import usage
from tests.conftest import converse
from tests.support.make_bases import BASES, CHATML, make_base
from tests.support.use_model import Job, Used
from trainer.contract.spec import (
    DataSpec,
    Finished,
    LoraSpec,
    ModelSpec,
    Prepared,
    PrepareSpec,
    TrialSpec,
)
from trainer.data.batches import Rows
from trainer.data.ends import ends_of_base, trained_ends
from trainer.worker import run_prepare, run_trial

pytestmark = pytest.mark.slow

PROMPTS = ("a", "beef and ham", "hh")
REPLY = "yes!"
MEANT = {"eos_token_id", "pad_token_id"}  # what may differ from the base's settings
VERSION = {"transformers_version"}


class Case(NamedTuple):
    base: str
    tuning: str
    data: str

    def __str__(self) -> str:
        return "-".join(self)


class Model(NamedTuple):
    base: Path
    folder: Path
    facts: dict[str, Any]
    loss: float  # as recorded
    used: Used


# The tokens that end generation, in generation_config.json and in config.json.
ENDS: dict[tuple[str, str], tuple[Any, Any]] = {
    ("llama", "texts"): (257, 257),
    ("llama", "chats"): ([260, 257], [260, 257]),
    ("qwen", "texts"): ([258, 256], [258, 256]),
    ("qwen", "chats"): ([258, 256], [258, 256]),
    ("gpt2", "texts"): (256, 256),
    ("gpt2", "chats"): ([258, 256], [258, 256]),
    ("gemma", "texts"): ([257, 260], 257),
    ("gemma", "chats"): ([257, 260], [260, 257]),
}
TRAINED_END = {
    ("llama", "texts"): 257,
    ("llama", "chats"): 260,
    ("qwen", "texts"): 258,
    ("qwen", "chats"): 258,
    ("gpt2", "texts"): 256,
    ("gpt2", "chats"): 258,
    ("gemma", "texts"): 257,
    ("gemma", "chats"): 260,
}
PAD = {"llama": 257, "qwen": 256, "gpt2": 256, "gemma": 256}  # of gpt2, which has none, EOS
TUNINGS = ("full", "lora", "saved")  # saved: LoRA, with modules trained in full beside it
SAVED = {"llama": ("lm_head", "embed_tokens"), "qwen": ("embed_tokens",), "gpt2": ("ln_f",)}
SAVED |= {"gemma": ("lm_head", "model.norm")}  # of qwen and gemma embeddings and head are one
CORE = (Case("qwen", "full", "chats"), Case("llama", "saved", "chats"))  # also when time is short
LEFT_OUT = {  # of adapters every other: each base with each data, each tuning with each data
    Case(base, tuning, ("texts", "chats")[(row + column) % 2])
    for row, base in enumerate(BASES)
    for column, tuning in enumerate(TUNINGS)
    if tuning != "full"
} - set(CORE)
CASES = [
    pytest.param(case, id=str(case), marks=() if case in CORE else pytest.mark.slow)
    for case in (Case(b, t, d) for b in BASES for t in TUNINGS for d in ("texts", "chats"))
    if case not in LEFT_OUT
]
every_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data: prompts of several lengths, one reply."""
    folder = tmp_path_factory.mktemp("saved")
    rng = random.Random(0)
    asked = ["".join(rng.choices("abcdefgh ", k=rng.randint(1, 12))) for _ in range(32)]
    texts = [{"prompt": each, "completion": REPLY} for each in asked]
    chats = [{"messages": [*_ask(each), _says("assistant", REPLY)]} for each in asked]
    for name, rows in (("texts", texts), ("chats", chats)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "chat.jinja").write_text(CHATML)
    return folder


@pytest.fixture(scope="module")
def models(root: Path, request: pytest.FixtureRequest) -> dict[Case, Model]:
    """Of the cases that were selected."""
    params = [getattr(item, "callspec", None) for item in request.session.items]
    cases = list(dict.fromkeys(p.params["case"] for p in params if p and "case" in p.params))
    bases = {case.base: root / case.base for case in cases}
    for name, folder in bases.items():
        make_base(name, folder)
    prepared = {(case.base, case.data): _prepare(root, case) for case in cases}
    finished = {case: _train(root, case) for case in cases}
    jobs = [
        Job(
            str(finished[case].model_dir),
            _prompts(case),
            _program(case),
            _rows(_data_dir(root, case) / "eval"),
        )
        for case in cases
    ]
    (root / "jobs.json").write_text(json.dumps(jobs))
    command = [
        sys.executable,
        "-m",
        "tests.support.use_model",
        root / "jobs.json",
        root / "used.json",
    ]
    subprocess.run(command, check=True)
    used = [Used(*each) for each in json.loads((root / "used.json").read_text())]
    return {
        case: Model(
            bases[case.base],
            Path(str(finished[case].model_dir)),
            prepared[case.base, case.data],
            finished[case].measurements["eval_loss"].value,
            each,
        )
        for case, each in zip(cases, used, strict=True)
    }


def _says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _ask(question: str) -> list[dict[str, str]]:
    return [_says("user", question)]


def _prompts(case: Case) -> list[Any]:
    if case.data == "chats":
        return [_ask(each) for each in PROMPTS]
    return [f"Question: {each}\nAnswer:" for each in PROMPTS]


def _program(case: Case) -> str:
    text = usage({}, is_adapter=case.tuning != "full", has_chats=case.data == "chats")
    program = text.split("```python\n")[1].split("```")[0]
    program = re.sub("questions = .*", f"questions = {list(PROMPTS)}", program, count=1)
    return program.replace("max_new_tokens", "do_sample=False, max_new_tokens")  # some bases sample


def _rows(folder: Path) -> list[tuple[list[int], list[int]]]:
    return [(ids.tolist(), labels.tolist()) for ids, labels in Rows(folder)]  # pyright: ignore


def _data_dir(root: Path, case: Case) -> Path:
    return root / f"{case.base}-{case.data}"


def _has_template(case: Case) -> bool:
    """The base has none, and the study gives one."""
    return case.base == "gpt2" and case.data == "chats"


def _prepare(root: Path, case: Case) -> dict[str, Any]:
    rows = str(root / f"{case.data}.jsonl")
    data = DataSpec(rows, eval=rows)
    if _has_template(case):
        data = DataSpec(rows, eval=rows, template=str(root / "chat.jinja"))
    model, out_dir = ModelSpec(str(root / case.base)), str(_data_dir(root, case))
    spec = PrepareSpec(model, data, out_dir, ("eval_loss",), False, num_threads=1)
    last = converse(run_prepare, spec)[-1]
    assert isinstance(last, Prepared), last
    return dict(last.facts)


def _train(root: Path, case: Case) -> Finished:
    tuning: Any = "full" if case.tuning == "full" else "lora"
    lora = LoraSpec(8, 16, modules_to_save=SAVED[case.base] if case.tuning == "saved" else ())
    spec = TrialSpec(
        number=0,
        seed=1,
        model=ModelSpec(str(root / case.base), tuning, lora, dtype="float32"),
        data_dir=str(_data_dir(root, case)),
        trial_dir=str(root / str(case)),
        batch_size=8,
        budget_samples=8 * 16,
        window_samples=0,
        metrics=("eval_loss",),
        early_eval=0,
        learning_rate=1e-2 if tuning == "full" else 3e-2,
        num_threads=1,
    )
    last = converse(run_trial, spec)[-1]
    assert isinstance(last, Finished), last
    return last


@every_case
def test_the_end_of_a_trained_turn_ends_generation(models: dict[Case, Model], case: Case) -> None:
    used, end = models[case].used, TRAINED_END[case.base, case.data]
    assert {text.strip() for text in used.text} == {REPLY}
    assert {reply[-1] for reply in used.alone} == {end}
    assert models[case].facts["tokenizer"]["ends"] == [end]


@every_case
def test_the_program_in_the_card_prints_replies_that_end(
    models: dict[Case, Model], case: Case
) -> None:
    assert {text.strip() for text in models[case].used.printed} == {REPLY}


@every_case
def test_a_batch_padded_on_the_left_gives_what_each_prompt_gives_alone(
    models: dict[Case, Model], case: Case
) -> None:
    used = models[case].used
    assert used.batch == used.alone
    assert used.scores_differ < 1e-4


@every_case
def test_the_recorded_objective_is_measured_again(models: dict[Case, Model], case: Case) -> None:
    assert models[case].used.loss == pytest.approx(models[case].loss, rel=1e-6, abs=1e-6)


@every_case
def test_generation_settings_are_the_bases_but_for_the_ends_and_the_padding(
    models: dict[Case, Model], case: Case
) -> None:
    from transformers import AutoModelForCausalLM, GenerationConfig

    model = models[case]
    saved = GenerationConfig.from_pretrained(model.folder)
    assert (saved.eos_token_id, saved.pad_token_id) == (
        ENDS[case.base, case.data][0],
        PAD[case.base],
    )
    own = AutoModelForCausalLM.from_pretrained(model.base).generation_config
    assert _but(saved.to_dict(), MEANT | VERSION) == _but(own.to_dict(), MEANT | VERSION)


@every_case
def test_the_config_is_the_bases_but_for_the_ends_and_the_padding(
    models: dict[Case, Model], case: Case
) -> None:
    model = models[case]
    if case.tuning != "full":
        assert not (model.folder / "config.json").exists()
        return
    own, saved = (_json(folder / "config.json") for folder in (model.base, model.folder))
    assert (saved["eos_token_id"], saved["pad_token_id"]) == (
        ENDS[case.base, case.data][1],
        PAD[case.base],
    )
    assert _but(saved, MEANT | VERSION) == _but(own, MEANT | VERSION)


@every_case
def test_the_tokenizer_is_the_bases_with_its_special_tokens_and_its_template(
    models: dict[Case, Model], case: Case
) -> None:
    from transformers import AutoTokenizer

    model = models[case]
    own, saved = (AutoTokenizer.from_pretrained(at) for at in (model.base, model.folder))
    text = "hé !" + "".join(BASES[case.base].special)
    assert saved(text)["input_ids"] == own(text)["input_ids"]
    assert len(saved) == len(own)
    stated = _json(model.base / "tokenizer_config.json").get("padding_side")
    assert saved.padding_side == (stated or "left")
    assert saved.chat_template == (CHATML if _has_template(case) else own.chat_template)
    assert saved.special_tokens_map == {"pad_token": own.eos_token} | own.special_tokens_map


@every_case
def test_embeddings_stay_tied_and_of_one_size(models: dict[Case, Model], case: Case) -> None:
    used, own = models[case].used, _json(models[case].base / "config.json")
    assert (used.is_tied, used.num_rows) == (own["tie_word_embeddings"], own["vocab_size"])


@every_case
def test_a_merged_adapter_is_the_adapter(models: dict[Case, Model], case: Case) -> None:
    differs = models[case].used.merged_differs
    assert (differs is None) == (case.tuning == "full")
    assert (differs or 0.0) < 1e-4


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def _but(values: dict[str, Any], without: set[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in without}


class FakeTokenizer:
    """EOS is 9, added special tokens 8 and 6, which its template names, an added ordinary one 7."""

    eos_token_id = 9
    all_special_ids: tuple[int, ...] = (9,)
    chat_template = "{{ m.content }}<6>"

    class _Added(NamedTuple):
        content: str
        special: bool

    added_tokens_decoder = {  # noqa: RUF012
        6: _Added("<6>", True), 8: _Added("<8>", True), 7: _Added("<7>", False)
    }  # fmt: skip

    @property
    def all_special_tokens(self) -> list[str]:
        return [f"<{token}>" for token in self.all_special_ids]

    def convert_ids_to_tokens(self, token: int) -> str:
        return f"<{token}>"


@pytest.mark.parametrize(
    ("rows", "ends"),
    [
        ([[-100, 1, 9]], [9]),
        ([[-100, 1, 8], [-100, 2, 8]], [8]),
        ([[-100, 1, 8, -100, 2, 8]], [8]),  # two replies
        ([[-100, 8, 1, 9]], [9]),  # a special token inside a reply ends nothing
        ([[-100, 1, 8], [-100, 1, 9], [-100, 2, 9]], [9, 8]),  # as for calls of tools
        ([[-100, 1, 7]], [9]),  # text
        ([[-100, 1, 2, 3, 4, 8]], [9]),  # six tokens: it may have been cut there
        ([[-100, 1, 2, 3, 4, 8], [-100, 1, 8]], [8]),
    ],
)
def test_the_labels_tell_where_a_turn_ends(rows: list[list[int]], ends: list[int]) -> None:
    labels = [np.array(row, dtype=np.int32) for row in rows]
    assert trained_ends(labels, FakeTokenizer(), max_length=6) == ends


@pytest.mark.parametrize(
    ("odd", "num_odd", "base_ends", "ends"),
    [
        (8, 1, (), [5]),  # generation would stop in the middle of the others
        (8, 20, (), [5, 8]),
        (8, 1, (8,), [5, 8]),
        (6, 1, (), [5, 6]),
        (9, 1, (), [5, 9]),
    ],
)
def test_a_rare_token_ends_a_turn_where_the_base_or_the_template_names_it(
    odd: int, num_odd: int, base_ends: tuple[int, ...], ends: list[int]
) -> None:
    tokenizer = FakeTokenizer()
    tokenizer.all_special_ids = (9, 5)
    rows = [np.array(row) for row in [[-100, 1, 5]] * 1000 + [[-100, 1, odd]] * num_odd]
    assert trained_ends(rows, tokenizer, 6, base_ends) == ends


def test_the_base_says_where_it_stops(tmp_path: Path) -> None:
    assert ends_of_base(tmp_path) == set()
    (tmp_path / "config.json").write_text('{"eos_token_id": null}')
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [3, 4]}')
    assert ends_of_base(tmp_path) == {3, 4}
    (tmp_path / "config.json").write_text('{"eos_token_id": 2}')
    assert ends_of_base(tmp_path) == {2, 3, 4}
