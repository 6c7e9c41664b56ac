"""The paper's claims as studies: they run to their ends on a small base, with --set alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.cli import main
from sweep.config.load import load_study
from tests import PAPER_STUDIES, ROOT

QUICKSTART = ROOT / "studies" / "quickstart"
# A model of 1.3 M parameters, its own questions in place of benchmarks, and no judge.
SMALL = [
    f"model.base={QUICKSTART / 'base'}",
    "model.dtype=float32",
    "model.gradient_checkpointing=false",
    f"data.eval={QUICKSTART / 'eval.jsonl'}",
    "data.max_length=64",
    "budget.samples=256",
    "objective={metric: choice_accuracy, also: [eval_loss]}",
    "pruning.early_eval=16",
    "pruning.min_steps=2",
    "run.confirm.top=0",
    "run.keep=best",
]
TRAIN = f"data.train={QUICKSTART / 'train.jsonl'}"
OWN = {
    "paper-batch-and-rate": [TRAIN, "search.space.batch_size={choices: [8, 16, 32]}"],
    "paper-schedules": [TRAIN, "search.space.batch_size=32"],
    "paper-stacked-or-phased": [
        f"data.phases=[{QUICKSTART / 'train.jsonl'}, {QUICKSTART / 'train.jsonl'}]",
        "search.space.batch_size=32",
    ],
    "paper-early-dynamics": [TRAIN, "search.space.batch_size={choices: [8, 16, 32]}"],
}


def test_each_claim_has_a_study() -> None:
    assert sorted(OWN) == sorted(PAPER_STUDIES)


@pytest.mark.parametrize("name", PAPER_STUDIES)
def test_they_are_judged_as_the_paper_judges(name: str) -> None:
    objective = load_study(name).study.objective
    assert objective.metric == "lm_eval:mmlu"
    assert set(objective.final) == {"lm_eval:leaderboard", "mt_bench"}


@pytest.mark.parametrize("name", PAPER_STUDIES)
def test_their_comments_name_the_claim_the_cost_and_the_command(name: str) -> None:
    text = (ROOT / "studies" / f"{name}.yaml").read_text()
    comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    for said in ("arXiv 2412.13337", "80 GB card", "Afterwards", "--set model.base="):
        assert said in comment


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper-batch-and-rate", "paper-stacked-or-phased"])
def test_they_run_on_a_small_base_with_set_alone(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / name)
    settings = [part for text in (*SMALL, *OWN[name]) for part in ("--set", text)]
    assert main(["run", name, "--out", out, "--trials", "2", "--workers", "2", *settings]) == 0
    capsys.readouterr()
    assert main(["inspect", out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == "done"
    assert found["best"] is not None
