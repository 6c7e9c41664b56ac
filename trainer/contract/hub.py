"""Where a base model's files are: a local folder, or a snapshot of a Hub id.

Imports nothing heavy.
"""

from __future__ import annotations

from pathlib import Path

from trainer.contract.outside import cause_of
from trainer.contract.sources import may_be_hub_id
from trainer.contract.spec import ModelSpec, UserError


def find_model(model: ModelSpec, offline: bool = False) -> Path:
    """The model's folder; a Hub id is downloaded on first use. Raises UserError."""
    base = model.base
    path = Path(base).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise UserError(f"model.base: {base} is a file; give the model's folder")
    name, _, revision = base.partition("@")
    if not may_be_hub_id(base):
        raise UserError(f"model.base: no folder {base}")
    return _download(name, revision or None, model.trust_remote_code, offline)


def _download(name: str, revision: str | None, code: bool, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [
        "*.json",
        "*.safetensors",
        "*.model",
        "*.txt",
        "*.jinja",
        *(["*.py"] if code else []),
    ]
    try:
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=patterns, local_files_only=offline
            )
        )
    except Exception as error:  # the Hub's client raises a dozen kinds
        if cause_of(error):
            raise
        reason = " ".join(str(error).split())
        at = f" --revision {revision}" if revision else ""
        raise UserError(
            f"model.base: {name}{at} is not a local folder and cannot be downloaded from the "
            f"Hugging Face Hub ({type(error).__name__}: {reason[:160]}); where there is access run "
            f"`hf download {name}{at} --local-dir DIR` and give that folder, or fix HF_ENDPOINT, "
            "HF_HUB_OFFLINE and HF_TOKEN"
        ) from None
