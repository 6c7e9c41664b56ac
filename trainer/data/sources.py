"""From the sources of a study to the tables that its trials read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trainer.contract.fingerprint import rows_digest
from trainer.contract.spec import DataSpec, UserError
from trainer.data.notes import Notes
from trainer.data.positions import Positions
from trainer.data.render import Renderer, Shape
from trainer.data.rows import Source
from trainer.data.store import save_table
from trainer.data.tables import ChoiceTable, TextTable, to_choice_table, to_table, together
from trainer.data.texts import Text
from trainer.data.tokenise import Ids, tokenise

Alive = Callable[[], None]
Notebook = Mapping[str, Notes]  # by the names of their sources


def source_names(data: DataSpec) -> dict[str, tuple[str, str]]:
    """Path and default split of every source, by its name: train or phase 1, ...; eval; choices."""
    given = {"train": (data.train, "train")}
    given |= {f"phase {i}": (path, "train") for i, path in enumerate(data.phases, start=1)}
    given |= {"eval": (data.eval, "test"), "choices": (data.choices, "test")}
    return {name: (path, split) for name, (path, split) in given.items() if path is not None}


@dataclass(frozen=True, slots=True)
class Maker:
    """What all tables of a study are made with."""

    data: DataSpec
    tokenizer: Any
    positions: Positions | None
    alive: Alive

    def renderer(self, notes: Notes) -> Renderer:
        """The renderer of one source, whose oddities it notes."""
        return Renderer(self.data, self.tokenizer, notes, self.alive)


@dataclass(frozen=True, slots=True)
class Tables:
    """All that a study's trials read."""

    train: TextTable  # all phases, in their order
    phases: Mapping[str, TextTable]  # by the names of their sources; empty without phases
    eval: TextTable | None
    choices: ChoiceTable | None

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> Tables:
        """All tables of a study, from those in `tables` by the names of their sources."""
        phases = {name: table for name, table in tables.items() if name.startswith("phase ")}
        train = together(list(phases.values())) if phases else tables["train"]
        return cls(train, phases, tables.get("eval"), tables.get("choices"))

    def save(self, out_dir: Path) -> None:
        """Each table is in its folder below `out_dir`: train, eval, choices."""
        sizes = [len(table.input_ids) for table in self.phases.values()]
        save_table(self.train.to_arrow(sizes), out_dir / "train")
        if self.eval is not None:
            save_table(self.eval.to_arrow(), out_dir / "eval")
        if self.choices is not None:
            save_table(self.choices.to_arrow(), out_dir / "choices")

    def facts(self, sources: Mapping[str, Source], notes: Notebook, eos: int) -> dict[str, Any]:
        """The keys of trainer/prepare.py that tell of the data."""
        phases = [
            {"path": sources[name].name, **table.facts()} for name, table in self.phases.items()
        ]
        in_eval = set(self.eval.keys()) if self.eval else set[bytes]()
        in_choices = self.choices.answer_keys(eos) if self.choices else set[bytes]()
        seen: set[bytes] = set()
        counts = {"duplicates": 0, "duplicates_choices": 0, "repeated": 0}
        for name, table in (self.phases or {"train": self.train}).items():
            for key, index in zip(table.keys(), table.kept, strict=True):
                for what, found, said in (
                    ("duplicates", key in in_eval, "of train, also in eval"),
                    (
                        "duplicates_choices",
                        key in in_choices,
                        "of train, a question with its answer",
                    ),
                    ("repeated", key in seen, "the same as an earlier row of train"),
                ):
                    if found:
                        counts[what] += 1
                        notes[name].add(said, index)
                seen.add(key)
        return {
            "train": self.train.facts(),
            "phases": phases or None,
            "eval": self.eval.facts() if self.eval else None,
            "choices": self.choices.facts() if self.choices else None,
            **counts,
            "notes": {name: facts for name, each in notes.items() if (facts := each.facts())},
            "sources": {
                name: {
                    "path": source.name,
                    "sha256": source.sha256,
                    **({} if source.sha256 else {"rows_sha256": rows_digest(source.rows)}),
                }
                for name, source in sources.items()
            },
        }


def text_table(maker: Maker, notes: Notes, format: str) -> TextTable:
    """The source's rows, rendered, tokenised and cut. UserError where a row is bad, or none bears
    loss."""
    source, tokenizer = notes.source, maker.tokenizer
    texts = maker.renderer(notes).texts(format)
    rows = tokenise(tokenizer, texts, maker.alive)
    max_length = maker.data.max_length
    table = to_table(rows, texts, tokenizer.eos_token_id, max_length, notes.add)
    if not table.input_ids:
        fewest = min(map(_tokens_before_loss, rows, texts))
        raise UserError(
            f"{source.name}: none of the {table.rows_read} rows keeps anything that bears loss "
            f"within max_length = {max_length} tokens (the shortest prompt has {fewest})"
        )
    if maker.positions:
        maker.positions.check([len(ids) for ids in table.input_ids], table.kept, "rows", notes)
    return table


def _tokens_before_loss(segments: list[Ids], text: Text) -> int:
    num = 0
    for ids, segment in zip(segments, text.segments, strict=True):
        if segment.bears_loss:
            break
        num += len(ids)
    return num


def choice_table(maker: Maker, notes: Notes, shape: Shape) -> ChoiceTable:
    """The source's questions, rendered and tokenised. UserError where a row is bad, or no question
    fits into max_length."""
    questions = maker.renderer(notes).questions(shape)
    texts = [text for question in questions for text in question.texts]
    flat = iter(tokenise(maker.tokenizer, texts, maker.alive))
    rows = [list(islice(flat, len(question.texts))) for question in questions]
    table = to_choice_table(rows, questions, maker.data.max_length, notes.add)
    if not table.groups:
        raise UserError(
            f"{notes.source.name}: none of the {len(questions)} questions fits into "
            f"max_length = {maker.data.max_length} tokens"
        )
    answered = [question.answered for question in questions if question.answered is not None]
    if answered:
        ids = tokenise(maker.tokenizer, answered, maker.alive)
        eos = maker.tokenizer.eos_token_id
        table.answered = to_table(ids, answered, eos, maker.data.max_length).input_ids
    if maker.positions:
        lengths = [len(ids) for ids in table.input_ids]
        rows_of = [table.kept[question] for question in table.question]
        maker.positions.check(lengths, rows_of, "questions", notes)
    return table
