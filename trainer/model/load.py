"""Finding, checking and loading the base model."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from trainer.contract.fingerprint import digest, fingerprint
from trainer.contract.hub import find_model
from trainer.contract.outside import cause_of
from trainer.contract.safe_text import clipped
from trainer.contract.spec import ModelSpec, UserError
from trainer.data.positions import Positions, positions_of
from trainer.model.adapter import AdapterSize, check_adapter
from trainer.model.switches import (
    apply_liger,
    check_padding_free,
    check_switches,
    is_flash,
    is_padding_free,
)

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")
_MOST_JSON_BYTES = 64 << 20
_MOST_LAYERS = 10_000
_COUNTS = re.compile("layer|expert|n_?blocks?$|num_blocks|depth")  # each a module of its own
_SIZES = re.compile("size|dim|width|capacity")  # of an expert, say
_PICKLES = ("*.bin", "*.pt", "*.pth")


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A base model that can be loaded, and what was found in it."""

    folder: Path
    tokenizer: Any
    num_params: int  # tied weights counted once
    adapter: AdapterSize | None  # of LoRA
    positions: Positions | None
    config: Any


def check_model(model: ModelSpec) -> CheckedModel:
    """All that can be known about the model without loading its weights. Raises UserError."""
    check_dtype(model, best_device())
    check_switches(model, best_device())
    folder = find_model(model)
    if not (folder / "config.json").is_file():
        adapter = (folder / "adapter_config.json").is_file()
        hint = (
            "it holds a LoRA adapter, which must be merged into its base first"
            if adapter
            else ("it is not a model folder")
        )
        raise UserError(f"model.base: {folder} has no config.json; {hint}")
    _check_config(folder / "config.json")
    _check_weights(folder)
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise UserError(
            f"model.base: {folder} has no tokenizer (tokenizer.json or tokenizer.model)"
        )
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=model.trust_remote_code)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=model.trust_remote_code)
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            skeleton = AutoModelForCausalLM.from_config(
                config, trust_remote_code=model.trust_remote_code
            )
            skeleton.tie_weights()
    except BaseException as error:  # unknown architecture, broken JSON, code that is not trusted
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # what is written in Rust panics by an exception that is none of Python's
        if cause_of(error):
            raise
        reason = " ".join(str(error).split())
        raise UserError(
            f"model.base: {folder} is not a causal language model: {reason[:300]}"
        ) from None
    _check_tokenizer(folder, tokenizer, skeleton.get_input_embeddings().weight.shape[0])
    if tokenizer.pad_token is None:  # as TRL does; a new token would need a row of its own
        tokenizer.pad_token = tokenizer.eos_token
    num_params = sum(p.numel() for p in skeleton.parameters())
    positions = positions_of(config, skeleton)
    adapter = check_adapter(model, skeleton) if model.tuning == "lora" else None
    return CheckedModel(folder, tokenizer, num_params, adapter, positions, config)


def _check_weights(folder: Path) -> None:
    from safetensors import safe_open

    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        pickled = any(any(folder.glob(pattern)) for pattern in _PICKLES)
        raise UserError(
            f"model.base: {folder} has only pickled weights; safetensors only: convert them first"
            if pickled
            else f"model.base: {folder} has no weights (*.safetensors)"
        )
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set(_weight_map(index).values())
        missing = sorted(named - {shard.name for shard in shards})
        if missing:
            raise UserError(
                f"model.base: {folder} lacks {', '.join(missing)}, named in {index.name}"
            )
    for shard in shards:
        try:
            with safe_open(shard, framework="pt") as opened:
                opened.keys()
        except Exception as error:
            if cause_of(error):
                raise
            raise UserError(f"model.base: {shard} is damaged or incomplete ({error})") from None


def _weight_map(index: Path) -> dict[str, str]:
    """Tensor -> the shard it is in, of an index that names files of its own folder alone."""
    try:
        found: dict[str, str] = _read_json(index)["weight_map"]
        if all(Path(file).name == file for file in found.values()):
            return found
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        if cause_of(error):
            raise
    raise UserError(
        f"model.base: {index} is damaged: it must hold a weight_map from tensors to the names of "
        "files beside it"
    )


def _read_json(path: Path) -> Any:
    """ValueError for one that is larger than any such file is."""
    if path.stat().st_size > _MOST_JSON_BYTES:
        raise ValueError(f"{path.name} has over {_MOST_JSON_BYTES >> 20} MiB")
    return json.loads(path.read_text(encoding="utf-8"))


def _check_config(path: Path) -> None:
    """Raise UserError for a config.json that no model has, before a library builds what it says."""
    try:
        config = _read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        if cause_of(error):
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"model.base: {path} is damaged: {clipped(reason)}") from None
    if not isinstance(config, dict):
        raise UserError(f"model.base: {path} is damaged: it holds no JSON object")
    for key, value in _numbers(config):
        if value > _MOST_LAYERS and _COUNTS.search(key) and not _SIZES.search(key):
            raise UserError(
                f"model.base: {path}: {clipped(key)} is {clipped(str(value))}; no model has so many"
            )


def _numbers(config: dict[str, Any]) -> Iterator[tuple[str, int | float]]:
    """Each with its key, through objects and lists, such as those of a model of several parts."""
    waiting: list[tuple[str, Any]] = [("", config)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.items())
        elif isinstance(value, list):
            waiting.extend((key, each) for each in value)
        elif isinstance(value, int | float):
            yield key, value


def _check_tokenizer(folder: Path, tokenizer: Any, embedding_rows: int) -> None:
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"model.base: the tokenizer in {folder} has no end-of-text token; "
            "set eos_token in its tokenizer_config.json"
        )
    highest = max(tokenizer.get_vocab().values())
    if highest >= embedding_rows:
        raise UserError(
            f"model.base: the tokenizer in {folder} makes token ids up to {highest}, "
            f"the model embeds only {embedding_rows}; they do not belong together"
        )


def load_model(model: ModelSpec, device: torch.device, place: bool = True) -> PreTrainedModel:
    """The base model with its weights held as `model.weights` says, for training on `device`: there
    already, or in the host's memory for whoever shards it.

    Raises UserError if the weights do not fill the model (the library would invent the rest), or
    if a switch cannot work with it.
    """
    check_dtype(model, device)
    check_switches(model, device)
    folder = find_model(model, offline=True)
    if model.digest not in (None, digest(fingerprint(folder, model.trust_remote_code))):
        raise UserError(
            f"model.base: the files in {folder} are no longer those that the study was made with: "
            "put these back, or give a study of the new ones another name"
        )
    found: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, model.weights),
        use_safetensors=True,
        attn_implementation=None if model.attention == "auto" else model.attention,
        trust_remote_code=model.trust_remote_code,
        output_loading_info=True,
    )
    loaded, report = found
    if report["missing_keys"]:
        names = sorted(report["missing_keys"])
        raise UserError(
            f"model.base: the weights in {folder} lack {len(names)} of the model's tensors "
            f"({', '.join(names[:3])})"
        )
    # What a saved adapter names as its base: a folder must be found from anywhere.
    is_local = Path(model.base).expanduser().is_dir()
    name = model.base.partition("@")[0]
    loaded.config._name_or_path = str(folder.resolve()) if is_local else name
    loaded.name_or_path = loaded.config._name_or_path
    if model.liger:
        apply_liger(loaded)
    if place:
        loaded.to(device)
    if is_padding_free(model, loaded) and (place or not is_flash(loaded)):  # flash: on a GPU alone
        check_padding_free(loaded)
    return loaded


def check_dtype(model: ModelSpec, device: torch.device) -> None:
    """Raises UserError where the device cannot compute in `model.dtype`."""
    if model.dtype == "float16" and device.type != "cuda":
        raise UserError(
            f"model.dtype: float16 needs a CUDA GPU, and this is {device.type}; "
            "bfloat16 or float32 will do"
        )
    if model.dtype == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError("model.dtype: this GPU has no bfloat16; float16 or float32 will do")


def best_device() -> torch.device:
    """The first GPU of this process, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
