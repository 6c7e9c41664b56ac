"""What a model reads in each turn of a conversation, and how much room it has to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainer.contract.spec import AUTO_TEMPLATE, UserError
from trainer.data.tokenise import Added, added

_LEAST_ROOM = 256  # tokens that are left for an answer; a quarter of the positions at most


@dataclass(frozen=True, slots=True)
class Prompt:
    """What stands before an answer. `room`: the most tokens that it may have."""

    ids: list[int]
    room: int
    is_cut: bool


class Conversation:
    """Writes turns as a model knows them: by its chat template, or one text after the other."""

    def __init__(
        self, tokenizer: Any, shape: str, template: str, system: str | None, most: int | None
    ) -> None:
        """`most`: tokens that the model has positions for; None: any number. `template` counts
        where `shape` is text or the tokenizer has no chat template."""
        self._tokenizer, self._system, self._most = tokenizer, system, most
        self._is_chat = shape == "chat" and bool(tokenizer.chat_template)
        self._template = AUTO_TEMPLATE if template == "auto" else template
        if not self._is_chat and "{prompt}" not in self._template:
            self._template = AUTO_TEMPLATE  # a chat template's file, of rows that are no chats
        self._added: Added | None = None if self._is_chat else added(tokenizer)

    def prompt(self, turns: Sequence[str], answers: Sequence[str], max_new_tokens: int) -> Prompt:
        """The prompt of the turn after `answers`: all before it stands in it.

        Where that leaves no room within the model's positions, it is cut on the left. UserError
        where the chat template refuses the turns.
        """
        said = turns[: len(answers) + 1]
        ids = self._chat(said, answers) if self._is_chat else self._text(said, answers)
        if self._most is None:
            return Prompt(ids, max_new_tokens, is_cut=False)
        least = max(1, min(_LEAST_ROOM, self._most // 4, max_new_tokens))
        longest = self._most - least
        kept = ids[-longest:]
        # in steps of `least`, so that prompts of some length are answered together
        room = min(max_new_tokens, (self._most - len(kept)) // least * least)
        return Prompt(kept, room, is_cut=len(kept) < len(ids))

    def _chat(self, turns: Sequence[str], answers: Sequence[str]) -> list[int]:
        messages = [] if self._system is None else [{"role": "system", "content": self._system}]
        for i, turn in enumerate(turns):
            messages.append({"role": "user", "content": turn})
            if i < len(answers):
                messages.append({"role": "assistant", "content": answers[i]})
        try:
            text = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # templates refuse what they do not know, in Jinja's own words
            said = " ".join(str(error).split())[:200]
            raise UserError(
                f"the chat template refuses a conversation of {len(messages)} messages ({said}): "
                "objective.shape: text asks by data.template instead"
            ) from None
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def _text(self, turns: Sequence[str], answers: Sequence[str]) -> list[int]:
        parts: list[str] = []
        for i, turn in enumerate(turns):
            parts.append(self._template.replace("{prompt}", turn))
            if i < len(answers):
                space = "" if parts[-1][-1:].isspace() else " "
                parts.append(f"{space}{answers[i]}\n\n")
        assert self._added is not None
        ids = self._tokenizer("".join(parts), add_special_tokens=True)["input_ids"]
        return self._added.trimmed(ids)
