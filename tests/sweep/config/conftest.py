from __future__ import annotations

from pathlib import Path

import pytest

STUDY = """
# a study for the tests
name: try
model: {base: some-org/some-model}
data: {train: train.jsonl, eval: eval.jsonl}
budget: {samples: 4096}
search:
  space:
    learning_rate: {low: 1e-6, high: 1e-3, log: true}
    batch_size: {choices: [16, 64, 128]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in ("train.jsonl", "eval.jsonl", "choices.jsonl"):
        (tmp_path / name).write_text("{}\n")
    path = tmp_path / "try.yaml"
    path.write_text(STUDY)
    return path
