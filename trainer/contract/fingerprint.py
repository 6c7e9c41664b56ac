"""What tells one base model from another: what is in its files, not what they are called or when
they were written. Imports nothing heavy: the driver takes fingerprints too.

Every file up to WHOLE_BYTES is hashed whole. Of larger weights the header, which has every tensor's
name, shape and place, and of each tensor its first, middle and last bytes. Known weakness: a change
inside a large tensor that leaves all of these alone is not seen; training leaves none alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.contract.spec import ModelSpec

WHOLE_BYTES = 64 << 20
BLOCK_BYTES = 4096
_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit
# What transformers reads where it loads a model and its tokenizer.
_FILES = (
    *("config.json", "generation_config.json", "adapter_config.json", "*.safetensors"),
    *("*.safetensors.index.json", "tokenizer*.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab*", "merges.txt", "*.model", "*.tiktoken", "chat_template*"),
    "additional_chat_templates/*.jinja",
)
_CODE = ("**/*.py",)


def fingerprint(folder: Path, trust_remote_code: bool = False) -> dict[str, str]:
    """The size and a hash, by its name, of every file that loading the model reads. Raises
    OSError."""
    patterns = (*_FILES, *(_CODE if trust_remote_code else ()))
    files = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return {path.relative_to(folder).as_posix(): _hash(path) for path in sorted(files)}


def file_sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(files: Mapping[str, str]) -> str:
    """One hash of a whole fingerprint."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()[:32]


def model_facts(folder: Path, model: ModelSpec) -> dict[str, Any]:
    """What the facts of a study say of the model: {"files", "digest", "revision"}, the revision of
    a Hub id alone."""
    files = fingerprint(folder, model.trust_remote_code)
    is_snapshot = folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name)
    revision = folder.name if is_snapshot and not local_folder(model.base) else None
    return {"files": files, "digest": digest(files), "revision": revision}


def local_folder(base: str) -> Path | None:
    """The folder that model.base names; None for a Hub id."""
    path = Path(base).expanduser()
    return path if path.is_dir() else None


def pinned(model: ModelSpec, facts: Mapping[str, Any]) -> ModelSpec:
    """The model with the files, and of a Hub id with the commit, that the facts were taken of."""
    known: Mapping[str, Any] = facts.get("model") or {}
    base, revision = model.base, known.get("revision")
    if revision and not local_folder(base):
        base = f"{base.partition('@')[0]}@{revision}"
    return replace(model, base=base, digest=known.get("digest"))


def changed_files(model: ModelSpec, facts: Mapping[str, Any]) -> list[str]:
    """How a base folder differs from the facts: one line each; none where there is no telling."""
    known: Mapping[str, str] | None = (facts.get("model") or {}).get("files")
    folder = local_folder(model.base)
    if known is None or folder is None:
        return []
    now = fingerprint(folder, model.trust_remote_code)
    return [
        f"{name} {'is new' if name not in known else 'is gone' if name not in now else 'changed'}"
        for name in sorted({*known, *now})
        if known.get(name) != now.get(name)
    ]


def rows_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """The SHA-256 in hexadecimal of what was read from a Hub data set, in its order."""
    found = hashlib.sha256()
    for row in rows:
        found.update(json.dumps(row, sort_keys=True, default=str).encode("utf-8", "surrogatepass"))
        found.update(b"\n")
    return found.hexdigest()


def _hash(path: Path) -> str:
    size = path.stat().st_size
    found = hashlib.sha256()
    with path.open("rb") as file:
        header = _header(file.read(8), size) if path.suffix == ".safetensors" else 0
        tensors = _tensors(file.read(header)) if header and size > WHOLE_BYTES else None
        file.seek(0)
        if tensors is None:
            found = hashlib.file_digest(file, "sha256")
        else:
            found.update(file.read(8 + header))
            for start, end in tensors:
                for at in (start, (start + end) // 2, max(start, end - BLOCK_BYTES)):
                    file.seek(8 + header + at)
                    found.update(file.read(min(BLOCK_BYTES, end - at)))
    return f"{size}:{found.hexdigest()[:32]}"


def _header(first: bytes, size: int) -> int:
    """The length of a safetensors header; 0 where it has none that can be."""
    length = int.from_bytes(first, "little")
    return length if 0 < length <= min(_MAX_HEADER_BYTES, size - 8) else 0


def _tensors(header: bytes) -> list[tuple[int, int]] | None:
    """Where each tensor lies, counted from the header's end; None for what is no header."""
    try:
        entries = json.loads(header)
        places = [one["data_offsets"] for name, one in entries.items() if name != "__metadata__"]
        return sorted((int(start), int(end)) for start, end in places if 0 <= start < end)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
