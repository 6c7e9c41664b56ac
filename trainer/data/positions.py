"""How many tokens a model has positions for, and the rows that go beyond."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trainer.contract.spec import UserError
from trainer.data.notes import Notes

# As wpe, embed_positions, position_embeddings; rotary ones are functions, and hold no such table.
_TABLE = re.compile(r"(^|[._])(wpe|\w*pos(ition)?s?(_\w+)?)([._]|$)")


@dataclass(frozen=True, slots=True)
class Positions:
    """`most` tokens; where a table holds one entry for each (`is_table`) there is nothing beyond,
    where they are computed (rotary ones) the model was never trained there."""

    most: int
    is_table: bool

    def check(self, lengths: Sequence[int], rows: Sequence[int], what: str, notes: Notes) -> None:
        """The rows that are longer than the model's positions are noted. `lengths`, in tokens, of
        what is prepared; `rows` their indices in the source.

        Raises UserError where the model would break on them.
        """
        beyond = [(row, num) for row, num in zip(rows, lengths, strict=True) if num > self.most]
        if not beyond:
            return
        if self.is_table:
            first, length = beyond[0]
            longest = max(length for _, length in beyond)
            raise UserError(
                f"{notes.place(first)}: {length:,} tokens, and the model has positions for "
                f"{self.most:,} ({len({row for row, _ in beyond}):,} of the {what} are too long, "
                f"the longest has {longest:,}): set data.max_length: {self.most}, which cuts or "
                "drops them, or take another model"
            )
        tokens = sum(length - self.most for _, length in beyond)
        for row, _ in beyond:
            notes.add(
                f"longer than the model's {self.most:,} positions, {tokens:,} tokens in all beyond",
                row,
            )


def positions_of(config: Any, skeleton: Any) -> Positions | None:
    """How many positions the model knows; None where it says of none, as those that tell distance
    another way."""
    most = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1:
        return None
    is_table = any(
        _TABLE.search(name) and tensor.dim() >= 2 and most <= max(tensor.shape)
        for name, tensor in _tensors(skeleton)
    )
    return Positions(most, is_table)


def _tensors(skeleton: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters, buffers, and the tables that some models (GPT-J) keep as plain attributes."""
    yield from skeleton.named_parameters()
    yield from skeleton.named_buffers()
    for module in skeleton.modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                yield name, value
