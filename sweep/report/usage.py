"""The part of a model's card that shows how to use it: a program that runs as it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.contract.spec import AUTO_TEMPLATE

_CODE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer{also}

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder){settings}

questions = ["Who wrote Faust?", "What is 2 + 2?"]
{prompts}
replies = model.generate(**given, max_new_tokens=256)[:, given["input_ids"].shape[1] :]
print(tokenizer.batch_decode(replies, skip_special_tokens=True))
```

Generation stops where a trained turn ends (`eos_token_id` in generation_config.json). The prompts
of a batch are padded on the left."""
_ADAPTER_SETTINGS = """  # needs peft: the folder holds an adapter
# The libraries take the base's generation settings, which need not stop where this adapter does.
model.generation_config = GenerationConfig.from_pretrained(folder)"""
_TEXTS = """\
template = {template}  # as in training
prompts = [template.replace("{{prompt}}", question) for question in questions]
given = tokenizer(prompts, padding=True, padding_side="left", return_tensors="pt")"""
_CHATS = """\
chats = [[{system}{{"role": "user", "content": question}}] for question in questions]
given = tokenizer.apply_chat_template(
    chats,
    add_generation_prompt=True,
    return_dict=True,
    return_tensors="pt",
    padding=True,
    tokenizer_kwargs={{"padding_side": "left"}},
)"""


def usage(data: Mapping[str, Any], *, is_adapter: bool, has_chats: bool) -> str:
    """How to use the model, in Markdown. `data` is the study's section: prompts are written as
    those it was trained on."""
    if has_chats:
        system = data.get("system")
        said = "" if system is None else f'{{"role": "system", "content": {_literal(system)}}}, '
        prompts = _CHATS.format(system=said)
    else:
        template = data.get("template", "auto")
        text = AUTO_TEMPLATE if template == "auto" else template
        prompts = _TEXTS.format(template=_literal(text))
    return _CODE.format(
        also=", GenerationConfig" * is_adapter,
        settings=_ADAPTER_SETTINGS * is_adapter,
        prompts=prompts,
    )


def _literal(text: str) -> str:
    """In Python; a fence of backticks in it would end the code."""
    return ascii(text).replace("`", "\\x60")
