"""Loading what a study has kept: a trained model, or an adapter on its base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from trainer.contract.spec import ModelSpec, UserError
from trainer.model.load import load_model
from trainer.model.saving import GENERATION_FILE


def load_kept(model: ModelSpec, folder: Path | None, device: torch.device) -> Any:
    """The model in `folder`, on `device`, in eval mode; the base where `folder` is None.

    UserError where the folder is gone or its weights do not fill the model.
    """
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder} is gone: the trial's weights are not kept any more")
    held = replace(model, liger=False, gradient_checkpointing=False)
    is_adapter = folder is not None and (folder / "adapter_config.json").is_file()
    if folder is None or is_adapter:
        loaded: Any = load_model(held, device)
    else:
        loaded = load_model(replace(held, base=str(folder), digest=None), device)
    if is_adapter:
        from peft import PeftModel

        assert folder is not None
        loaded = PeftModel.from_pretrained(loaded, str(folder))
        if (folder / GENERATION_FILE).is_file():
            loaded.generation_config = GenerationConfig.from_pretrained(folder)
    return loaded.to(device).eval()


def ends_of(model: Any, tokenizer: Any) -> list[int]:
    """The token ids that end what a loaded model generates, the tokenizer's end of text last."""
    said = model.generation_config.eos_token_id if model.generation_config else None
    if said is None:
        said = model.config.get_text_config().eos_token_id
    own = said if isinstance(said, list) else [] if said is None else [said]
    return list(dict.fromkeys([*own, tokenizer.eos_token_id]))
