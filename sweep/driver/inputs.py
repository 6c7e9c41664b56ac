"""A study's question is asked of the same inputs: base model, tokenizer, data and template.

What they were is in the facts: hashes of the files, the commit of a Hub id. Library versions and
the device are there too: a change of those may move numbers a little, and is said.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.config.load import LoadedStudy
from sweep.config.sources import resolve_source
from sweep.driver.slots import gpu_ids, listed_gpus
from sweep.driver.trial_spec import model_spec
from trainer.contract.fingerprint import changed_files, file_sha256, local_folder, model_facts
from trainer.contract.hub import find_model
from trainer.contract.spec import UserError

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers")


def environment() -> dict[str, str]:
    """What changes numbers beside the inputs: library versions and the device."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "device": _device()}


def _device() -> str:
    """The first visible GPU's name, without torch; cpu where there is none."""
    ids, listed = gpu_ids(), listed_gpus()
    if not ids:
        return "cpu"
    index = int(ids[0]) if ids[0].isdigit() else 0
    name = listed[index].partition(": ")[2].partition(" (UUID")[0] if index < len(listed) else ""
    return name or "cuda"


def changed_inputs(loaded: LoadedStudy, facts: Mapping[str, Any]) -> list[str]:
    """The inputs whose content is no longer what the study was made with, a sentence each."""
    changed = [
        f"{path}: {file} no longer holds what the study was made with"
        for path, file, known in _data_files(loaded, facts)
        if _sha256(file) != known
    ]
    model = model_spec(loaded)
    known = facts.get("model")
    if known and not known["revision"] and not local_folder(model.base):
        return [*changed, f"model.base: the folder {model.base} is gone"]
    if differ := changed_files(model, facts):
        few = ", ".join(differ[:3]) + (f" and {len(differ) - 3} more" if len(differ) > 3 else "")
        changed.append(
            f"model.base: {model.base} no longer holds what the study was made with ({few})"
        )
    return changed


def only_moved(loaded: LoadedStudy, facts: Mapping[str, Any], refused: str) -> bool:
    """Whether a difference between two study files is another path to the same content."""
    key = refused.partition(":")[0]
    if key == "model.base":
        model = model_spec(loaded)
        known: Mapping[str, Any] = facts.get("model") or {}
        is_known = bool(known.get("files"))
        return is_known and bool(local_folder(model.base)) and not changed_files(model, facts)
    files = [
        (file, sha) for path, file, sha in _data_files(loaded, facts) if path.split("[")[0] == key
    ]
    wanted = had = 1
    if key == "data.phases":
        wanted = len(loaded.study.data.phases)
        had = sum(name.startswith("phase ") for name in facts["sources"])
    return len(files) == wanted == had and all(_sha256(file) == sha for file, sha in files)


def taken_up(loaded: LoadedStudy, facts: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The facts as they hold from now on, and what has changed or was not known before."""
    said: list[str] = []
    model = model_spec(loaded)
    if "model" not in facts:
        with contextlib.suppress(UserError):  # not in the cache: it is taken at the next run
            folder = find_model(model, offline=True)
            facts = {**facts, "model": model_facts(folder, model)}
            said.append(
                f"model.base: the fingerprint of {folder} is stored from now on; this study was "
                "made before there was one"
            )
    now, before = environment(), facts.get("versions")
    if before is not None:
        said += [
            f"{name}: was {before.get(name, 'not there')}, is {now.get(name, 'not there')}; "
            "numbers may differ a little from those before"
            for name in dict.fromkeys((*before, *now))
            if before.get(name) != now.get(name)
        ]
    return {**facts, "versions": now}, said


def _data_files(loaded: LoadedStudy, facts: Mapping[str, Any]) -> Iterator[tuple[str, Path, str]]:
    """Key path, file now and hash before of every source that was a local file."""
    study = loaded.study
    named = {
        "train": ("data.train", study.data.train),
        **{
            f"phase {i}": (f"data.phases[{i - 1}]", text)
            for i, text in enumerate(study.data.phases, 1)
        },
        "eval": ("data.eval", study.data.eval),
        "choices": ("objective.data", study.objective.data or study.data.eval),
        "template": ("data.template", study.data.template),
    }
    for source, known in facts["sources"].items():
        path, text = named.get(source, ("", None))
        if known is not None and known["sha256"] is not None and text is not None:
            yield path, Path(resolve_source(text, loaded.folder, path)), known["sha256"]


def _sha256(file: Path) -> str | None:
    """None where there is no such file."""
    return file_sha256(file) if file.is_file() else None
