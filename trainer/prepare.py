"""What a study needs once: a checked model, tokenised data on disk, the base model measured.

Written below `out_dir`: train/ (all phases, in their order), eval/, choices/ (Arrow, through
datasets), tokenizer/, and last of all prepared.json, whose keys are

    version, base, max_length
    model              {"files": {name: size and hash}, "digest", "revision": a Hub id's commit or
                        null}; see trainer/contract/fingerprint.py
    num_params         tied weights counted once
    num_adapter        parameters of LoRA's adapter, 0 without one; they grow with its rank
    num_saved          of the modules that LoRA trains in full beside it (lora.modules_to_save)
    tokenizer          {"class", "vocab_size", "chat_template": bool, "eos", "pad", "ends": ids of
                        the tokens that a trained turn ends with}
    train, eval        {"rows", "rows_read", "dropped_no_completion", "dropped_too_short",
                        "truncated", "input_tokens", "loss_tokens", "longest", "longest_read"};
                        longest_read before max_length; eval is null where none was asked for
    phases             [train's keys and "path", ...] in their order, train is their sum; null
                        where the data have no phases
    choices            {"questions", "questions_read", "dropped_too_long", "groups": {name: count},
                        "input_tokens", "longest_read"}; null where none was asked for
    duplicates         rows of train that are also in eval, token for token
    duplicates_choices rows of train that are a prompt of choices with its right answer
    repeated           rows of train that an earlier row of train equals
    notes              {name of a source: [{"what", "rows", "first"}, ...]}: what was not read, cut,
                        dropped, masked, doubled, or is not what it looks like; in how many of its
                        rows, and where it stands first
    shapes             {name of a source: "chat" | "text"}: what its rows are written as
    positions          tokens that the model has positions for, or null
    sources            {"train" | "phase 1" ... | "eval" | "choices" | "template": {"path",
                        "sha256"}}; sha256
                        is null for a Hub data set, which has
                        rows_sha256
    benchmarks         {metric: {"questions", "input_tokens", "groups": {name: count}, "digest" of
                        the questions and prompts, "window": tokens that fit into the model,
                        "truncated": prompts that do not, "written_tokens_at_most": where the model
                        writes, a part of input_tokens, "scores" and "fewshot" of each task}, of
                        a function of one's own {"rows", "input_tokens", "groups", "digest"}}; null
                        where none was asked for
    base_measurements  {metric: Measurement as a dict}, or null
    machine            {"device", "num_devices", "device_gib", "memory_gib", "cores"}
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import datasets.config
import psutil
import torch

from trainer.contract.files import write_json
from trainer.contract.fingerprint import file_sha256, model_facts
from trainer.contract.measurement import Scores
from trainer.contract.metrics import kind_of, part_of
from trainer.contract.outside import cause_of
from trainer.contract.scores import base_scores_folder, write_scores
from trainer.contract.spec import (
    Alive,
    DataSpec,
    Prepared,
    PrepareSpec,
    UserError,
    is_template_file,
)
from trainer.data.columns import CHATS, format_of
from trainer.data.ends import ends_of_base, trained_ends
from trainer.data.notes import Notes
from trainer.data.render import check_formats, check_template, question_shape
from trainer.data.rows import Source, read_source
from trainer.data.sources import (
    Maker,
    Notebook,
    Tables,
    choice_table,
    source_names,
    text_table,
)
from trainer.data.store import TOKENIZER, VERSION
from trainer.data.tables import ChoiceTable, TextTable
from trainer.data.template import read_template
from trainer.evaluation.evaluator import Evaluator
from trainer.evaluation.own import failed, keep_rows
from trainer.model.fit import is_out_of_memory
from trainer.model.load import CheckedModel, best_device, check_model, load_model
from trainer.training.link import Link

GIB = 2**30


def prepare(spec: PrepareSpec, link: Link) -> None:
    """Write `out_dir` and send Prepared. Raises one UserError with a line for each mistake."""
    out_dir = Path(spec.out_dir)
    cache_dir = out_dir / ".cache"
    datasets.config.HF_DATASETS_CACHE = cache_dir  # read at import from the environment
    link.send(Alive("reading the data"))
    try:
        checked, tables, told = _check(spec, link, cache_dir)
        tables.save(out_dir)
        if not _states_padding_side(checked.folder):
            # as generation in batches needs it; of what is set, only what it was made with is saved
            checked.tokenizer.padding_side = checked.tokenizer.init_kwargs["padding_side"] = "left"
        checked.tokenizer.save_pretrained(out_dir / TOKENIZER)
    finally:
        shutil.rmtree(cache_dir, ignore_errors=True)
    tokenizer = checked.tokenizer
    evaluator = Evaluator(out_dir, getattr(torch, spec.model.dtype), tokenizer, spec.benchmarks)
    metrics = (*spec.metrics, *spec.final)
    if any(kind_of(metric) == "own" for metric in metrics):
        keep_rows(_rows_of_own(spec.data, cache_dir), out_dir)
    link.send(Alive("reading the benchmarks"))
    benchmarks = evaluator.prepare(metrics, checked.config)
    base_measurements, base_scores = _measure_base(spec, evaluator, link)
    facts = {
        "version": VERSION,
        "num_params": checked.num_params,
        "num_adapter": checked.adapter.num_adapter if checked.adapter else 0,
        "num_saved": checked.adapter.num_saved if checked.adapter else 0,
        "base": spec.model.base,
        "model": model_facts(checked.folder, spec.model),
        "tokenizer": {
            "class": type(tokenizer).__name__,
            "vocab_size": len(tokenizer),
            "chat_template": bool(tokenizer.chat_template),
            "eos": tokenizer.eos_token,
            "pad": tokenizer.pad_token,
            "ends": trained_ends(
                tables.train.labels,
                tokenizer,
                spec.data.max_length,
                ends_of_base(checked.folder),
            ),
        },
        "max_length": spec.data.max_length,
        **told,
        "benchmarks": benchmarks or None,
        "base_measurements": base_measurements,
        "machine": _machine(),
    }
    if is_template_file(spec.data.template):
        digest = file_sha256(Path(spec.data.template))
        facts["sources"]["template"] = {"path": spec.data.template, "sha256": digest}
    write_json(out_dir / "prepared.json", facts)
    link.send(Prepared(facts, base_scores))


def _rows_of_own(data: DataSpec, cache_dir: Path) -> Source:
    """Those that functions of one's own are called with."""
    source = data.own or data.eval
    if source is None:
        raise UserError("a metric of your own needs rows to be called with: give objective.data")
    try:
        return read_source(source, "test", cache_dir)
    finally:
        shutil.rmtree(cache_dir, ignore_errors=True)


def _states_padding_side(folder: Path) -> bool:
    """Whether the base itself says so: libraries fill in `right`, which generates nonsense."""
    file = folder / "tokenizer_config.json"
    return file.is_file() and "padding_side" in json.loads(file.read_text(encoding="utf-8"))


def _check(
    spec: PrepareSpec, link: Link, cache_dir: Path
) -> tuple[CheckedModel, Tables, dict[str, Any]]:
    """The facts are those that tell of the data. Collects the user's mistakes from every corner
    before it gives up."""
    data = spec.data
    mistakes: list[str] = []

    def attempt(what: Callable[[], Any]) -> Any:
        try:
            return what()
        except UserError as error:
            mistakes.append(str(error))

    def alive() -> None:
        link.alive("tokenising")

    if (data.train is None) == (not data.phases):
        mistakes.append("data: exactly one of train and phases gives the rows to train on")
    for metric in (*spec.metrics, *spec.final):
        if (source := part_of(metric)) and getattr(data, source) is None:
            mistakes.append(f"{metric} needs data to be measured on, and none is given ({source})")
    attempt(lambda: check_template(data.template))
    checked = attempt(lambda: check_model(spec.model))
    if is_template_file(data.template):
        template = attempt(lambda: read_template(data.template))
        if checked:
            checked.tokenizer.chat_template = template  # and so it is saved with the models
    sources: dict[str, Source] = {}
    formats: dict[str, str] = {}
    for name, (path, split) in source_names(data).items():
        found = attempt(lambda path=path, split=split: read_source(path, split, cache_dir))
        sources |= {name: found} if found else {}
        if found and name != "choices":
            format = attempt(lambda found=found: format_of(found, data.format))
            formats |= {name: format} if format else {}
    if not mistakes:
        attempt(
            lambda: check_formats(data, {sources[name].name: formats[name] for name in formats})
        )
    tables: dict[str, TextTable | ChoiceTable] = {}
    notes: Notebook = {name: Notes(source) for name, source in sources.items()}
    shapes = {name: "chat" if format in CHATS else "text" for name, format in formats.items()}
    if checked and not mistakes:
        maker = Maker(data, checked.tokenizer, checked.positions, alive)
        for name in sources:
            if name == "choices":
                shape = question_shape(data.shape, formats)
                shapes[name] = shape
                build = partial(choice_table, maker, notes[name], shape)
            else:
                build = partial(text_table, maker, notes[name], formats[name])
            table = attempt(build)
            tables |= {name: table} if table else {}
    if mistakes:
        raise UserError("\n".join(dict.fromkeys(mistakes)))
    assert checked is not None
    made = Tables.of(tables)
    told = made.facts(sources, notes, checked.tokenizer.eos_token_id)
    positions = checked.positions.most if checked.positions else None
    return checked, made, {**told, "shapes": shapes, "positions": positions}


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


def _measure_base(
    spec: PrepareSpec, evaluator: Evaluator, link: Link
) -> tuple[dict[str, Any] | None, dict[str, Scores]]:
    """The measurements by metric, and their scores, which are also on disk for trials to pair with;
    None and nothing where they are not wanted."""
    if not spec.measure_base:
        return None, {}
    link.send(Alive("loading the model"))
    model = load_model(spec.model, best_device())
    doing = "measuring the base model"
    link.send(Alive(doing))
    measured: dict[str, Any] = {}
    scores: dict[str, Scores] = {}
    for metric in spec.metrics:
        try:
            found, rows = evaluator.measure(metric, model, lambda: link.alive(doing))
        except Exception as error:  # by a function of the user's
            if kind_of(metric) != "own" or is_out_of_memory(error) or cause_of(error):
                raise
            raise UserError(failed(metric, "it failed on the base model", error)) from None
        measured[metric], scores[metric] = asdict(found), rows.packed()
        write_scores(base_scores_folder(Path(spec.out_dir)), metric, scores[metric])
    return measured, scores
