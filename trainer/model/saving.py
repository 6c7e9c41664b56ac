"""What a trained model is saved as: its weights, and the base's own settings but for what is meant.

Libraries write into a model's settings while they train it; none of that is saved.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

GENERATION_FILE = "generation_config.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a base model as it was loaded; `generation` is None where it cannot
    generate."""

    config: Any
    generation: Any

    @classmethod
    def take(cls, model: Any) -> Settings:
        """A copy of the model's own, before anything trains it.

        The model is left with generation settings that can always be saved: transformers refuses to
        save some that are published once anything in them is changed, and a trainer changes them.
        """
        taken = cls(copy.deepcopy(model.config), copy.deepcopy(model.generation_config))
        if model.generation_config is not None:
            model.generation_config = GenerationConfig()
        return taken

    def meant(self, ends: Sequence[int], pad: int | None) -> Settings:
        """These settings, but generation stops at the tokens `ends` as well and pads with `pad`, if
        any."""
        config, generation = copy.deepcopy(self.config), copy.deepcopy(self.generation)
        text = config.get_text_config()
        if generation is not None:
            own = text.eos_token_id if generation.eos_token_id is None else generation.eos_token_id
            generation.eos_token_id = _with_ends(own, ends)
            generation.pad_token_id = generation.pad_token_id if pad is None else pad
        text.eos_token_id = _with_ends(text.eos_token_id, ends)
        text.pad_token_id = text.pad_token_id if pad is None else pad
        return Settings(config, generation)


def _with_ends(own: int | list[int] | None, ends: Sequence[int]) -> int | list[int]:
    """The base's own where it has them all."""
    known: Collection[int] = own if isinstance(own, list) else [] if own is None else [own]
    if own is not None and set(ends) <= set(known):
        return own
    tokens = [*ends, *(token for token in known if token not in ends)]
    return tokens[0] if len(tokens) == 1 else tokens


def save_model(
    model: Any,
    folder: Path,
    settings: Settings,
    tokenizer: Path,
    state_dict: dict[str, Any] | None = None,
) -> None:
    """Write all that is needed to use the model: weights, `settings`, and the files in `tokenizer`.

    Of LoRA the adapter alone; it has generation settings too, which whoever loads it must take from
    there, as the libraries take the base's.
    """
    save_weights(model, folder, state_dict)
    if not _is_adapted(model):
        config = copy.deepcopy(settings.config)
        written = model.config  # what the weights are held in, and as what they can be loaded
        config.dtype, config.architectures = written.dtype, written.architectures
        config.save_pretrained(folder)
    if settings.generation is not None:
        # Not save_pretrained: it refuses what the base may well have.
        settings.generation.to_json_file(
            folder / GENERATION_FILE, use_diff=True, keys_to_pop=["compile_config"]
        )
    shutil.copytree(tokenizer, folder, dirs_exist_ok=True)


def save_weights(model: Any, folder: Path, state_dict: dict[str, Any] | None = None) -> None:
    """Write weights that `from_pretrained` reads, safetensors only; of LoRA the adapter alone."""
    if _is_adapted(model):
        # "auto" would ask the Hub whether the base's vocabulary has changed.
        model.save_pretrained(folder, save_embedding_layers=False, state_dict=state_dict)
        (folder / "README.md").unlink(missing_ok=True)
    else:
        model.save_pretrained(folder, state_dict=state_dict)


def _is_adapted(model: Any) -> bool:
    return hasattr(model, "peft_config")
