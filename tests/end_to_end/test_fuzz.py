"""A seeded part of benchmarks/fuzz: what strangers write is refused in a sentence or taken."""

from __future__ import annotations

import warnings

import pytest

from tests.support.fuzz import run


@pytest.mark.slow
def test_strangers_input_is_a_sentence_or_is_taken() -> None:
    counts = {"study_files": 300, "sets": 300, "rows": 300, "recorded": 300, "models": 300}
    with warnings.catch_warnings():  # transformers' of folders that are none
        warnings.simplefilter("ignore")
        tallies = list(run(counts, seed=1))
    assert [one.inputs for one in tallies] == list(counts.values())
    for one in tallies:
        assert 0 < one.refused < one.inputs, one.name  # both ways are gone
        assert not one.faults, one.faults[0]
        assert (one.tracebacks, one.slow, one.escapes) == (0, 0, 0), one.name
