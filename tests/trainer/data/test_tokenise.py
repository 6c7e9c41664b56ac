"""Where one segment's tokens end and the next one's begin, and which tokens bear loss."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract.spec import UserError
from trainer.data.tables import to_choice_table, to_table, together
from trainer.data.texts import Question, Segment, Text
from trainer.data.tokenise import IGNORED, added, tokenise

EOS = 0


def make_tokenizer(
    merges: list[tuple[str, str]],
    *,
    bos_eos: bool = False,
    space: bool = False,
    letters: str = "abcd",
):
    """Byte pairs over `letters`, all others dropped.

    `space`: one more before every text, as Llama 2 has.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["</s>", "<s>", *letters, "▁", *("".join(pair) for pair in merges)]
    bpe = models.BPE({piece: id for id, piece in enumerate(pieces)}, merges)
    tokenizer = Tokenizer(bpe)
    scheme = "first" if space else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    if bos_eos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 0)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", bos_token="<s>")


MERGING = make_tokenizer([("a", "b"), ("ab", "c"), ("▁", "a"), ("c", "d")])


def text(*parts: str, chat: bool = False, ends: bool = False) -> Text:
    """The second part, the fourth, ... bear loss."""
    segments = tuple(Segment(part, i % 2 == 1) for i, part in enumerate(parts))
    return Text(segments, chat, ends)


def pieces(tokenizer: Any, *parts: str, chat: bool = False) -> list[list[str]]:
    (rows,) = tokenise(tokenizer, [text(*parts, chat=chat)], lambda: None)
    return [tokenizer.convert_ids_to_tokens(ids) for ids in rows]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("ab", "cd"), [["ab"], ["cd"]]),  # of "abcd" the tokens are abc, d: one straddles
        (("ab", "dab"), [["ab"], ["d", "ab"]]),
        (("a", "b", "d", "abc"), [["a"], ["b"], ["d"], ["abc"]]),
        (("d", "ab", "c", "d"), [["d"], ["ab"], ["c"], ["d"]]),
        (("d", " a", "b"), [["d"], ["▁a"], ["b"]]),
        (("dab",), [["d", "ab"]]),
    ],
)
def test_no_token_straddles_a_border(parts: tuple[str, ...], expected: list[list[str]]) -> None:
    assert pieces(MERGING, *parts, chat=True) == expected


@pytest.mark.slow
@given(st.lists(st.text("abcd ", min_size=1, max_size=6), min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_segments_keep_their_text_and_the_whole_text_its_tokens(parts: list[str]) -> None:
    """The whole text's tokens, parted, wherever they have a border at the end of every head."""
    (rows,) = tokenise(MERGING, [text(*parts)], lambda: None)
    spelled = ["".join(MERGING.convert_ids_to_tokens(ids)).replace("▁", " ") for ids in rows]
    assert spelled == parts
    whole = MERGING("".join(parts))["input_ids"]
    heads = [MERGING(head)["input_ids"] for head in accumulate(parts)]
    if all(whole[: len(head)] == head for head in heads):
        assert list(chain.from_iterable(rows)) == whole


def test_a_tokenizer_that_puts_a_space_first_puts_none_at_a_border() -> None:
    spaced = make_tokenizer([], space=True)
    assert pieces(spaced, "ab", "c", "d") == [["▁", "a", "b"], ["c"], ["d"]]


def test_only_the_start_gets_what_the_tokenizer_adds() -> None:
    """Its BOS once, its EOS never, and neither for a chat, whose template writes them."""
    adding = make_tokenizer([], bos_eos=True)
    assert pieces(adding, "a", "b", "c") == [["<s>", "a"], ["b"], ["c"]]
    assert pieces(adding, "a", "b", chat=True) == [["a"], ["b"]]


def test_what_is_added_is_told_by_a_token_that_the_tokenizer_knows() -> None:
    """Tokenizers of proteins and DNA drop other letters, among them the a that is tried first."""
    adding = make_tokenizer([], bos_eos=True, letters="BCDE")
    assert adding("a", add_special_tokens=False)["input_ids"] == []
    assert pieces(adding, "B", "C", "D") == [["<s>", "B"], ["C"], ["D"]]


def test_a_tokenizer_that_does_not_show_what_it_adds_is_refused() -> None:
    class Odd:
        all_special_tokens = all_special_ids = ()
        added_tokens_decoder: ClassVar[dict[int, Any]] = {}

        def get_vocab(self) -> dict[str, int]:
            return {"a": 1}

        def decode(self, ids: list[int]) -> str:
            return "a"

        def __call__(self, text: str, add_special_tokens: bool, **kwargs: Any) -> Any:
            return {"input_ids": [2, 3] if add_special_tokens else [1]}

    with pytest.raises(UserError, match=r"what its tokenizer .Odd. puts around a text"):
        added(Odd())


def table(*rows: tuple[list[list[int]], Text], max_length: int = 100) -> Any:
    ids, texts = zip(*rows, strict=True)
    return to_table(list(ids), list(texts), EOS, max_length)


def test_the_first_token_of_a_row_never_bears_loss() -> None:
    """So a row may stand behind another one, and nothing is learned across the border."""
    both = Text((Segment("a", True), Segment("b", True)), chat=False, ends=False)
    made = table(([[5, 6], [7]], both), ([[], [5, 6]], text("", "x")))
    assert [labels.tolist() for labels in made.labels] == [[IGNORED, 6, 7, EOS], [IGNORED, 6, EOS]]
    assert [ids.tolist() for ids in made.input_ids] == [[5, 6, 7, EOS], [5, 6, EOS]]
    assert made.facts()["loss_tokens"] == 5


def test_every_row_that_is_dropped_has_its_reason() -> None:
    made = table(
        ([[1, 2], [3, 4]], text("a", "b")),  # fits, with EOS
        ([[1, 2], [3, 4, 5, 6]], text("a", "b")),  # cut
        ([[1, 2, 3, 4, 5], [6, 7]], text("a", "b")),  # nothing that bears loss is left
        ([[], [6]], text("", "b", chat=True, ends=True)),  # nothing stands before it
        max_length=5,
    )
    assert made.facts() == {
        "rows": 2,
        "rows_read": 4,
        "dropped_no_completion": 1,
        "dropped_too_short": 1,
        "truncated": 1,
        "input_tokens": 10,
        "loss_tokens": 6,
        "longest": 5,
        "longest_read": 8,
    }


def test_phases_stand_one_after_the_other() -> None:
    row = ([[1], [2]], text("a", "b"))
    one, two = table(row, row), table(row)
    whole = together([one, two])
    assert whole.to_arrow([2, 1])["phase"].to_pylist() == [1, 1, 2]
    assert whole.to_arrow()["phase"].to_pylist() == [0, 0, 0]
    assert str(whole.to_arrow()["phase"].type) == "int32"
    summed = {key: one.facts()[key] + two.facts()[key] for key in one.facts()}
    assert whole.facts() == summed | {"longest": 3, "longest_read": 3}


def test_questions_that_do_not_fit_are_counted() -> None:
    question = Question((text("a", "b"), text("a", "c")), 1, "g")
    short, long = [[[1], [2]], [[1], [3]]], [[[1], [2]], [[1], [3, 4, 5]]]
    made = to_choice_table([short, long], [question, question], max_length=3)
    facts = made.facts()
    assert (facts["questions"], facts["dropped_too_long"], facts["longest_read"]) == (1, 1, 4)
    assert made.num_scored == [1, 1] and made.is_answer == [False, True]
    assert made.answer_keys(EOS) == set(table(([[1], [3]], text("a", "c"))).keys())
