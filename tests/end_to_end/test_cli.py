"""The command as a user types it: exit codes, sentences, and nothing left behind by a mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from sweep.cli import main
from tests import PAPER_STUDIES

STUDY = """
name: mine
model: {base: ./base}
data: {train: ./train.jsonl, eval: ./eval.jsonl}
budget: {samples: 320}
search:
  recipes: []
  space: {learning_rate: {low: 1e-5, high: 1e-1}, batch_size: {choices: [4, 8]}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a sound study file in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    for name in ("train.jsonl", "eval.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "mine.yaml").write_text(STUDY)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nowhere.yaml"], "no such study file"),
        (["run", "mine.yaml", "--set", "run.trails=3"], "did you mean trials?"),
        (["run", "mine.yaml", "--set", "run.trials=many"], "run.trials"),
        (["run", "mine.yaml", "--trials", "0"], "run.trials"),
        (["run", "mine.yaml", "--set", "no-equals-sign"], "key.path=value"),
        (["run", "mine.yaml", "--set", "data.train=./gone.jsonl"], "gone.jsonl"),
        (["run", "mine.yaml", "--set", "pruning.min_steps=100"], "25 %"),
        (["run", "mine.yaml", "--set", "model.parallel=ddp"], "run.processes_per_trial"),
        (["run", "mine.yaml", "--set", "run.processes_per_trial=2"], "model.parallel"),
        (["run", "mine.yaml", "--set", "pruning.risk=1"], "pruning.risk"),
        (["run", "mine.yaml", "--storage", "nonsense"], "run.storage"),
        (["run", "mine.yaml", "--storage", "sqlite://"], "names no file"),
        (["run", "mine.yaml", "--storage", "sqlite:////no/such/folder/x.db"], "/no/such/folder"),
        (["run", "mine.yaml", "--storage", "postgresql+psycopg://u@h:abc/d"], "cannot be used"),
        (["run", "mine.yaml", "--out", "what?"], "no ? in"),
        (["run", "mine.yaml", "--set", "model.base=~nobody/x"], "model.base"),
        (["run"], "STUDY"),
        (["run", "mine.yaml", "--colour", "red"], "--colour"),
        (["inspect", "nothing"], "nothing"),
        (["recipes", "nowhere.yaml"], "no such study file"),
        (["recipes", "--set", "run.trials=3"], "name one, as sweep recipes quickstart"),
        (["prune"], "prune"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert not (here / "runs").exists()


def test_all_mistakes_of_a_file_are_said_at_once(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "mine.yaml").write_text(STUDY + "run: {trials: -1, wrokers: 2}\npruning: {audit: 7}\n")
    assert main(["run", "mine.yaml"]) == 2
    said = capsys.readouterr().err
    assert all(key in said for key in ("run.trials", "run.wrokers", "pruning.audit"))


def test_shipped_studies_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studies"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [*PAPER_STUDIES, "quickstart", "smollm2-gsm8k"]


@pytest.mark.parametrize("json_", [False, True])
def test_recipes_alone_and_with_a_study(
    here: Path, capsys: pytest.CaptureFixture[str], json_: bool
) -> None:
    options = ["--json"] if json_ else []
    assert main(["recipes", *options]) == 0
    alone = capsys.readouterr().out
    assert "arXiv 2412.13337" in alone and "tulu" in alone
    assert main(["recipes", "mine.yaml", "--set", "search.recipes=[lab]", *options]) == 0
    out = capsys.readouterr().out
    if json_:
        assert json.loads(alone)["study"] is None
        lab, tulu = json.loads(out)["recipes"]
        assert (lab["tried_as"], tulu["tried_as"]) == ("lab", None)
        assert lab["settings"]["batch_size"]["taken"] == 8
    else:
        assert "What mine would make of them" in out
        assert "tulu is not tried: search.recipes does not list it" in out
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    "command", [[], ["run"], ["inspect"], ["report"], ["recipes"], ["studies"]]
)
def test_help_helps(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main([*command, "--help"]) == 0
    assert "Usage: sweep" in capsys.readouterr().out


@pytest.mark.slow
def test_what_only_torch_can_find_leaves_nothing_behind_either(
    here: Path, tiny_model: Path, sums: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "train.jsonl").write_text('{"prompt": "1+1", "completion": "2"}\n{"prompt": \n')
    sound = [f"data.eval={sums['eval']}", f"model.base={tiny_model}"]
    for overrides, says in [
        (sound, "train.jsonl, line 2"),
        ([*sound, f"data.train={sums['train']}", "model.base=./base"], "base"),
        ([*sound, f"data.train={sums['train']}", "budget.samples=4000",
          "search.space.batch_size={choices: [8, 101]}"], "a batch of 101 is more than the 100"),
    ]:  # fmt: skip
        assert main(["run", "mine.yaml", "--set", *overrides]) == 2
        assert says in capfd.readouterr().err
        assert not (here / "runs").exists()


DRIVER_WITHOUT_TORCH = """
import sys
from sweep.cli import main
from tests import PAPER_STUDIES
code = main(sys.argv[1:])
heavy = {"torch", "transformers", "trl", "datasets", "peft", "accelerate"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""


@pytest.mark.slow
def test_a_study_from_its_file_to_a_model_that_loads(
    here: Path, tiny_model: Path, sums: dict[str, Path]
) -> None:
    arguments = [
        *("run", "mine.yaml", "--trials", "8", "--set", f"model.base={tiny_model}"),
        *(f"data.train={sums['train']}", f"data.eval={sums['eval']}", "model.dtype=float32"),
        *(f"objective.data={sums['choices']}", "objective.also=[choice_accuracy]"),
        *("search.space.learning_rate={choices: [1e-2, 5e-3, 1e-5, 1e-6]}", "search.sampler=grid"),
        *("pruning.risk=0.9", "pruning.max_expected_misses=100", "pruning.audit=0"),
    ]
    ran = subprocess.run(
        [sys.executable, "-c", DRIVER_WITHOUT_TORCH, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    shown = subprocess.run(
        [sys.executable, "-m", "sweep.cli", "inspect", "mine", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(shown.stdout)
    assert len(document["trials"]) == 8
    assert document["base"]["objective"] > document["best"]["objective"]
    pruned = [trial for trial in document["trials"] if trial["state"] == "pruned"]
    assert pruned
    assert all(trial["window"]["grad_norm"] > 0 for trial in document["trials"])
    assert 0 < document["compute"]["used_flops"] < document["compute"]["planned_flops"]
    load_and_compare(Path(document["best"]["model_dir"]), tiny_model)


def load_and_compare(tuned: Path, base: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tuned)
    before = AutoModelForCausalLM.from_pretrained(base)
    ids = AutoTokenizer.from_pretrained(tuned)("Question: 1+1\nAnswer:", return_tensors="pt")
    assert not model(**ids).logits.allclose(before(**ids).logits)
    card = (tuned / "README.md").read_text()
    assert card.startswith("---\n")
    assert "eval_loss" in card


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == metadata.version("sft-sweep") != "0.0.0"
