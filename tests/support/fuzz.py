"""Strangers' input, seeded: no traceback, nothing over 2 s, no control code in what is said.

In this process, where each input goes through the functions that commands call, and what they
say through the streams that commands print on. Times are of this process's CPU: the machine may be
busy with other things.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import ROOT
from trainer.contract.spec import UserError
from trainer.contract.streams import SafeStream

SLOW_S = 2.0
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
NASTY = (
    *("\x1b[31m", "\x9b2J", "\u202e", "\u200b", "\x85", "\x00", "\ufeff", "\ud800", "\U000e0041"),
    *("../../../x", "/", "~", "!!bool abc", "!!int ''", "&a [*a]", "*a", "<<: *a", "yes", "null"),
    *("9" * 5000, "1" + "0" * 400, "-1", "1e999", ".nan", ".inf", "0x_", "2024-13-45", "{}", "[]"),
    *("[" * 300, "{a: " * 50, "%"),
    *("@", "`", "|", ">", "---", "...", "\t", "\n", "\r", '"', "'", "\\"),
    *("postgresql://u:secret@h/d", "x" * 2000, "é", "{prompt}", "1_0", "1:30", "true", "0"),
    *("4294967296", "1e-300", "1e300"),
)  # fmt: skip


@dataclass
class Tally:
    name: str
    inputs: int = 0
    refused: int = 0
    tracebacks: int = 0
    slow: int = 0
    escapes: int = 0
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    def try_one(self, what: Callable[[], str | None]) -> None:
        """`what` returns what it would print, or raises UserError."""
        self.inputs += 1
        printed = io.StringIO()
        began = time.process_time()
        try:
            with contextlib.redirect_stdout(SafeStream(printed)):  # pyright: ignore
                said = what() or ""
        except UserError as error:
            self.refused += 1
            said = f"sweep: {error}\n"
        except Exception:
            self.tracebacks += 1
            self.faults.append(traceback.format_exc())
            said = ""
        took = time.process_time() - began
        SafeStream(printed).write(said)
        self.slow += took > SLOW_S
        self.slowest_s = max(self.slowest_s, took)
        self.escapes += RAW.search(printed.getvalue()) is not None


def mutated(rng: random.Random, text: str) -> str:
    """A text with one to four of its pieces cut, doubled, moved or replaced."""
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        end = min(end, at + rng.choice((1, 3, 20, 200)))
        match rng.randrange(6):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + text[at:end] * 2 + text[end:]
            case 2:
                text = text[:at] + rng.choice(NASTY) + text[end:]
            case 3:
                text = text[:at] + rng.choice(NASTY) + text[at:]
            case 4:
                lines = text.split("\n")
                rng.shuffle(lines)
                text = "\n".join(lines)
            case _:  # the value of a key
                text = re.sub(r": [^\n,{}]+", lambda m: f": {rng.choice(NASTY)}"
                              if rng.random() < 0.1 else m[0], text)  # fmt: skip
    return text


def study_files(rng: random.Random, num: int, folder: Path) -> Tally:
    from sweep.config.load import load_study
    from sweep.config.sources import shipped_studies
    from sweep.documents import to_json
    from sweep.report.recipes_text import recipes_report

    tally, file = Tally("study files"), folder / "study.yaml"
    shipped = ROOT / "studies"
    texts = [
        (shipped / f"{name}.yaml").read_text(encoding="utf-8") for name, _ in shipped_studies()
    ]
    for _ in range(num):
        file.write_bytes(mutated(rng, rng.choice(texts)).encode("utf-8", "surrogatepass"))
        tally.try_one(lambda: json.dumps(to_json(recipes_report(load_study(file).study))))
    return tally


def overrides(rng: random.Random, num: int, folder: Path) -> Tally:
    from sweep.config.errors import key_paths
    from sweep.config.load import load_study
    from sweep.config.study import Study

    tally, keys = Tally("--set"), list(key_paths(Study))
    for _ in range(num):
        text = (
            f"{rng.choice(keys)}={rng.choice((*NASTY, '{choices: [1, 2]}', '{low: 1, high: 2}'))}"
        )
        if rng.random() < 0.3:
            text = mutated(rng, text)
        tally.try_one(lambda text=text: str(load_study("quickstart", [text]).study.to_document()))
    return tally


def rows(rng: random.Random, num: int, folder: Path) -> Tally:
    """Files of a few rows, with one row that is mutated."""
    from trainer.data.columns import format_of
    from trainer.data.rows import read_source

    tally = Tally("rows")
    good: list[Any] = [
        {"prompt": "1+1", "completion": "2"},
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]},
        {"prompt": "1+1", "choices": ["2", "3"], "answer": 0},
        {"instruction": "add", "input": "1, 1", "output": "2"},
        {"question": "1+1?", "answer": "2"},
    ]
    for _ in range(num):
        row = rng.choice(good)
        kind = rng.choice(("jsonl", "jsonl", "json", "csv"))
        lines = [json.dumps(row, ensure_ascii=False) for _ in range(3)]
        lines[1] = mutated(rng, lines[1])
        text = "\n".join(lines)
        if kind == "json":
            text = f"[{', '.join(lines)}]"
        elif kind == "csv":
            text = mutated(rng, "prompt,completion\n1+1,2\n2+2,4\n")
        file = folder / f"rows.{kind}"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))

        def read(file: Path = file) -> str:
            source = read_source(str(file), "train", folder)
            return str(format_of(source, "auto"))

        tally.try_one(read)
    return tally


def recorded(rng: random.Random, num: int, folder: Path) -> Tally:
    import pandas as pd

    from predictor.recorded.files import write_frames
    from sweep.analysis.recorded.export import export
    from sweep.analysis.recorded.sources import read_sources

    tally, prefix = Tally("recorded sets"), folder / "set"
    values: tuple[Any, ...] = (*NASTY, None, -1, 0, 2**62, 1e308, float("inf"), float("nan"), True)
    values = tuple(value for value in values if value != "\ud800")
    while tally.inputs < num:
        runs = [{"group": "g", "workload": "w", "study": "s", "run": run, "horizon_step": 20,
                 "params": json.dumps({"learning_rate": 1e-3 * (1 + run)}),
                 "final_eval_loss": 0.5 + run} for run in range(3)]  # fmt: skip
        steps = [{"run": run, "step": step, "loss": 3 / step, "grad_norm": 1.0,
                  "eval_loss": 5 / step if step % 10 == 0 else float("nan")}
                 for run in range(3) for step in range(1, 21)]  # fmt: skip
        for table in (runs, steps):
            column = rng.choice(list(table[0]))
            value = rng.choice(values)
            for row in table if rng.random() < 0.5 else table[:1]:
                row[column] = value
            if rng.random() < 0.1:
                for row in table:
                    del row[column]
        try:
            write_frames(prefix, pd.DataFrame(runs), pd.DataFrame(steps))
        except (ValueError, TypeError, OverflowError):  # no file holds that: another
            continue
        if rng.random() < 0.1:
            file = folder / "set_runs.parquet"
            data = bytearray(file.read_bytes())
            for _ in range(rng.randint(1, 20)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            file.write_bytes(data[: rng.choice((len(data), len(data) // 2))])

        def read() -> str:
            said = str([(one.name, len(one.runs)) for one in read_sources([str(prefix)])])
            export(prefix, to=f"{folder / 'out'}/")
            return said

        tally.try_one(read)
    out = folder / "out"
    outside = [
        file for file in folder.parent.rglob("*.parquet") if file.parent not in (out, folder)
    ]
    tally.faults += [f"written outside: {file}" for file in outside]
    return tally


def models(rng: random.Random, num: int, folder: Path) -> Tally:
    from tokenizers import Tokenizer
    from tokenizers import models as kinds
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, logging

    from trainer.contract.spec import ModelSpec
    from trainer.model.load import check_model

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tally, base = Tally("model folders"), folder / "base"
    vocab = {chr(code): code - 32 for code in range(32, 127)} | {"<end>": 95}
    tokenizer = Tokenizer(kinds.BPE(vocab, merges=[]))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(base)
    config = LlamaConfig(vocab_size=96, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                         num_attention_heads=2, num_key_value_heads=2)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(base)
    index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": "model.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    names = sorted(path.name for path in base.iterdir())
    texts = [name for name in names if name.endswith(".json")]
    for _ in range(num):
        own = folder / "own"
        shutil.copytree(base, own)
        name = rng.choice((*texts, *texts, *names))
        file = own / name
        if name.endswith(".json"):
            text = mutated(rng, file.read_text(encoding="utf-8"))
            file.write_bytes(text.encode("utf-8", "surrogatepass"))
        elif rng.random() < 0.5:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[: rng.randrange(200)])
        tally.try_one(lambda own=own: str(check_model(ModelSpec(str(own))).num_params))
        shutil.rmtree(own)
    return tally


WORK = {
    "study_files": study_files,
    "sets": overrides,
    "rows": rows,
    "recorded": recorded,
    "models": models,
}


def run(counts: dict[str, int], seed: int) -> Iterator[Tally]:
    with tempfile.TemporaryDirectory(prefix="sweep-fuzz-") as made:
        for name, work in WORK.items():
            folder = Path(made) / name / "a" / "b" / "c"
            folder.mkdir(parents=True)
            if counts[name]:
                yield work(random.Random(f"{seed} {name}"), counts[name], folder)
