"""What a study needs once: a checked model, tokenised data on disk, the base model measured.

Written below `out_dir`: train/, eval/, choices/ (Arrow, through datasets), tokenizer/, and last of
all prepared.json, whose keys are

    version, base, max_length
    num_params         tied weights counted once
    num_trainable      of these (full), or of the adapter's own (LoRA)
    tokenizer          {"class", "vocab_size", "chat_template": bool, "eos", "pad"}
    train, eval        {"rows", "rows_read", "dropped_no_completion", "truncated", "input_tokens",
                        "loss_tokens", "longest"}; eval is null where none was asked for
    choices            {"questions", "questions_read", "dropped_too_long", "groups": {name: count},
                        "input_tokens"}; null likewise
    duplicates         rows of train that are also in eval, token for token
    sources            {"train": {"path", "sha256"}, ...}; sha256 is null for a Hub data set
    base_measurements  {metric: Measurement as a dict}, or null
    machine            {"device", "num_devices", "device_gib", "memory_gib", "cores"}
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import datasets.config
import psutil
import torch

from trainer.files import write_json
from trainer.link import Link
from trainer.measure import load_scored, measure
from trainer.model import CheckedModel, best_device, check_model, load_model
from trainer.render import check_template, render_questions, render_texts
from trainer.rows import Source, read_source
from trainer.spec import Alive, DataSpec, Prepared, PrepareSpec, UserError
from trainer.store import save_table
from trainer.tokenise import ChoiceTable, TextTable, to_choice_table, to_table, tokenise

VERSION = 1
GIB = 2**30
_DEFAULT_SPLITS = {"train": "train", "eval": "test", "choices": "test"}


def prepare(spec: PrepareSpec, link: Link) -> None:
    """Write `out_dir` and send Prepared. Raises one UserError with a line for each mistake."""
    out_dir = Path(spec.out_dir)
    cache_dir = out_dir / ".cache"
    datasets.config.HF_DATASETS_CACHE = cache_dir  # read at import from the environment
    link.send(Alive("reading the data"))
    try:
        checked, tables, sources = _check(spec, link, cache_dir)
        for name, table in tables.items():
            save_table(table.to_arrow(), out_dir / name)
        checked.tokenizer.save_pretrained(out_dir / "tokenizer")
    finally:
        shutil.rmtree(cache_dir, ignore_errors=True)
    facts = _facts(spec, checked, tables, sources)
    if spec.measure_base:
        facts["base_measurements"] = _measure_base(spec, out_dir, link)
    write_json(out_dir / "prepared.json", facts)
    link.send(Prepared(facts))


def _check(
    spec: PrepareSpec, link: Link, cache_dir: Path
) -> tuple[CheckedModel, dict[str, TextTable | ChoiceTable], dict[str, Source]]:
    """Collects the user's mistakes from every corner before it gives up."""
    mistakes: list[str] = []

    def attempt(what: Callable[[], Any]) -> Any:
        try:
            return what()
        except UserError as error:
            mistakes.append(str(error))

    attempt(lambda: check_template(spec.data.template))
    for metric, source in (("eval_loss", "eval"), ("choice_accuracy", "choices")):
        if metric in spec.metrics and getattr(spec.data, source) is None:
            mistakes.append(f"{metric} needs data to be measured on, and none is given ({source})")
    checked = attempt(lambda: check_model(spec.model))
    sources: dict[str, Source] = {}
    for name, split in _DEFAULT_SPLITS.items():
        path = getattr(spec.data, name)
        if path is not None:
            found = attempt(lambda path=path, split=split: read_source(path, split, cache_dir))
            sources |= {name: found} if found else {}
    tables: dict[str, TextTable | ChoiceTable] = {}
    if checked and not mistakes:
        for name, source in sources.items():
            build = _choice_table if name == "choices" else _text_table
            table = attempt(
                lambda source=source, build=build: build(source, spec.data, checked, link)
            )
            tables |= {name: table} if table else {}
    if mistakes:
        raise UserError("\n".join(mistakes))
    assert checked is not None
    return checked, tables, sources


def _text_table(source: Source, data: DataSpec, checked: CheckedModel, link: Link) -> TextTable:
    texts = render_texts(source, data.format, data.template, checked.tokenizer)
    pairs = tokenise(checked.tokenizer, texts, lambda: link.alive("tokenising"))
    eos = checked.tokenizer.eos_token_id
    table = to_table(pairs, texts, eos, data.max_length, data.loss_on)
    if not table.input_ids:
        raise UserError(
            f"{source.name}: none of the {table.rows_read} rows keeps anything of its completion "
            f"within max_length = {data.max_length} tokens (the shortest prompt has "
            f"{min(len(pair.prompt) for pair in pairs)})"
        )
    return table


def _choice_table(source: Source, data: DataSpec, checked: CheckedModel, link: Link) -> ChoiceTable:
    questions = render_questions(source, data.template)
    flat = tokenise(
        checked.tokenizer,
        [text for question in questions for text in question.texts],
        lambda: link.alive("tokenising"),
    )
    rest = iter(flat)
    pairs = [list(islice(rest, len(question.texts))) for question in questions]
    table = to_choice_table(pairs, questions, data.max_length)
    if not table.groups:
        raise UserError(
            f"{source.name}: none of the {len(questions)} questions fits into "
            f"max_length = {data.max_length} tokens"
        )
    return table


def _facts(
    spec: PrepareSpec,
    checked: CheckedModel,
    tables: dict[str, TextTable | ChoiceTable],
    sources: dict[str, Source],
) -> dict[str, Any]:
    tokenizer = checked.tokenizer
    return {
        "version": VERSION,
        "num_params": checked.num_params,
        "num_trainable": checked.num_trainable,
        "base": spec.model.base,
        "tokenizer": {
            "class": type(tokenizer).__name__,
            "vocab_size": len(tokenizer),
            "chat_template": bool(tokenizer.chat_template),
            "eos": tokenizer.eos_token,
            "pad": tokenizer.pad_token,
        },
        "max_length": spec.data.max_length,
        **{name: tables[name].facts() if name in tables else None for name in _DEFAULT_SPLITS},
        "duplicates": _num_duplicates(tables),
        "sources": {
            name: {"path": source.name, "sha256": source.sha256} for name, source in sources.items()
        },
        "base_measurements": None,
        "machine": _machine(),
    }


def _num_duplicates(tables: dict[str, TextTable | ChoiceTable]) -> int:
    if "eval" not in tables:
        return 0
    held_out = {ids.tobytes() for ids in tables["eval"].input_ids}
    return sum(ids.tobytes() in held_out for ids in tables["train"].input_ids)


def _machine() -> dict[str, Any]:
    device = best_device()
    cuda = device.type == "cuda"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "device": device.type,
        "num_devices": torch.cuda.device_count() if cuda else int(device.type == "mps"),
        "device_gib": torch.cuda.get_device_properties(0).total_memory / GIB if cuda else None,
        "memory_gib": psutil.virtual_memory().total / GIB,
        "cores": cores,
    }


def _measure_base(spec: PrepareSpec, out_dir: Path, link: Link) -> dict[str, Any]:
    link.send(Alive("loading the model"))
    model = load_model(spec.model, best_device())
    link.send(Alive("measuring the base model"))
    measured = {
        metric: measure(
            model,
            load_scored(out_dir, metric),
            getattr(torch, spec.model.dtype),
            lambda: link.alive("measuring the base model"),
        )
        for metric in spec.metrics
    }
    return {metric: asdict(measurement) for metric, measurement in measured.items()}


def read_prepared(data_dir: Path) -> dict[str, Any]:
    """The facts. Raises UserError if the preparation never came to its end."""
    path = data_dir / "prepared.json"
    if not path.is_file():
        raise UserError(f"{data_dir} holds no prepared data (no prepared.json)")
    facts = json.loads(path.read_text())
    if facts["version"] != VERSION:
        raise UserError(f"{path}: version {facts['version']}, this program reads {VERSION}")
    return facts
