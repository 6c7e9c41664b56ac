"""From the sources of a study to the tables that its trials read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trainer.render import render_questions, render_texts
from trainer.rows import Source
from trainer.spec import DataSpec, UserError
from trainer.store import save_table
from trainer.tables import ChoiceTable, TextTable, to_choice_table, to_table, together
from trainer.texts import Text
from trainer.tokenise import Ids, tokenise

Alive = Callable[[], None]


def source_names(data: DataSpec) -> dict[str, tuple[str, str]]:
    """Path and default split of every source, by its name: train or phase 1, ...; eval; choices."""
    given = {"train": (data.train, "train")}
    given |= {f"phase {i}": (path, "train") for i, path in enumerate(data.phases, start=1)}
    given |= {"eval": (data.eval, "test"), "choices": (data.choices, "test")}
    return {name: (path, split) for name, (path, split) in given.items() if path is not None}


@dataclass(frozen=True, slots=True)
class Tables:
    train: TextTable  # all phases, in their order
    phases: Mapping[str, TextTable]  # by the names of their sources; empty without phases
    eval: TextTable | None
    choices: ChoiceTable | None

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> Tables:
        """`tables` by the names of their sources."""
        phases = {name: table for name, table in tables.items() if name.startswith("phase ")}
        train = together(list(phases.values())) if phases else tables["train"]
        return cls(train, phases, tables.get("eval"), tables.get("choices"))

    def save(self, out_dir: Path) -> None:
        sizes = [len(table.input_ids) for table in self.phases.values()]
        save_table(self.train.to_arrow(sizes), out_dir / "train")
        if self.eval is not None:
            save_table(self.eval.to_arrow(), out_dir / "eval")
        if self.choices is not None:
            save_table(self.choices.to_arrow(), out_dir / "choices")

    def facts(self, sources: Mapping[str, Source], eos: int) -> dict[str, Any]:
        """The keys of trainer/prepare.py that tell of the data."""
        phases = [
            {"path": sources[name].name, **table.facts()} for name, table in self.phases.items()
        ]
        keys = self.train.keys()
        in_eval = set(self.eval.keys()) if self.eval else set[bytes]()
        in_choices = self.choices.answer_keys(eos) if self.choices else set[bytes]()
        return {
            "train": self.train.facts(),
            "phases": phases or None,
            "eval": self.eval.facts() if self.eval else None,
            "choices": self.choices.facts() if self.choices else None,
            "duplicates": sum(key in in_eval for key in keys),
            "duplicates_choices": sum(key in in_choices for key in keys),
            "repeated": len(keys) - len(set(keys)),
            "sources": {
                name: {"path": source.name, "sha256": source.sha256}
                for name, source in sources.items()
            },
        }


def text_table(
    source: Source, format: str, data: DataSpec, tokenizer: Any, alive: Alive
) -> TextTable:
    """Rendered, tokenised and cut. UserError where a row is bad, or none bears loss."""
    texts = render_texts(source, format, data, tokenizer, alive)
    rows = tokenise(tokenizer, texts, alive)
    table = to_table(rows, texts, tokenizer.eos_token_id, data.max_length)
    if not table.input_ids:
        fewest = min(map(_tokens_before_loss, rows, texts))
        raise UserError(
            f"{source.name}: none of the {table.rows_read} rows keeps anything that bears loss "
            f"within max_length = {data.max_length} tokens (the shortest prompt has {fewest})"
        )
    return table


def _tokens_before_loss(segments: list[Ids], text: Text) -> int:
    num = 0
    for ids, segment in zip(segments, text.segments, strict=True):
        if segment.bears_loss:
            break
        num += len(ids)
    return num


def choice_table(source: Source, data: DataSpec, tokenizer: Any, alive: Alive) -> ChoiceTable:
    """As `text_table`. UserError where a row is bad, or no question fits into max_length."""
    questions = render_questions(source, data.template, alive)
    texts = [text for question in questions for text in question.texts]
    flat = iter(tokenise(tokenizer, texts, alive))
    rows = [list(islice(flat, len(question.texts))) for question in questions]
    table = to_choice_table(rows, questions, data.max_length)
    if not table.groups:
        raise UserError(
            f"{source.name}: none of the {len(questions)} questions fits into "
            f"max_length = {data.max_length} tokens"
        )
    return table
