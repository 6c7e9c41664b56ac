"""`pruning.history` from the study file to the evidence of a verdict."""

from __future__ import annotations

import re

import pytest

from predictor.prior import paper_prior
from predictor.recorded.history import NAMES, History
from sweep.analysis.recorded.export import export
from sweep.driver.history import described
from sweep.storage.find import open_study
from tests.support.home import Home
from trainer.contract.spec import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def past(home: Home) -> str:
    """A finished study of the same kind, its name ready for pruning.history."""
    home.run("run.trials=5", "pruning.enabled=false")
    home.out.rename(home.folder / "runs" / "old")
    home.lines.clear()
    return "./runs/old"


def test_the_prior_is_noted_and_named_in_every_verdict(home: Home, past: str) -> None:
    assert home.run(f"pruning.history=[{past}]", "run.trials=5", "run.workers=1") == 0
    (note,) = [n for n in home.document()["notes"] if n.startswith("prior from past studies")]
    assert note in home.lines
    said = re.fullmatch(r"prior from past studies: fake \(5 trials\); digest (\w{8})", note)
    assert said is not None
    ledger, _ = open_study(str(home.out))
    for decision in ledger.read_decisions():
        learned = decision.verdict.evidence["history"]
        assert learned["digest"] == said[1]
        assert set(learned["cross"]) == set(NAMES)


def test_a_past_study_with_another_objective_is_named_as_such() -> None:
    metrics = {"old": "eval_loss", "older": "choice_accuracy"}
    history = History(paper_prior(1.0), {"old": 5, "older": 1}, metrics)
    assert described(history, "choice_accuracy") == (
        "old (5 trials, scored by eval_loss, not choice_accuracy), older (1 trial); "
        f"digest {history.digest}"
    )


def test_an_export_gives_the_same_prior_as_the_study(home: Home, past: str) -> None:
    export(home.folder / past, to=home.folder / "old")
    for source in (past, "./old", "./old_runs.parquet"):
        home.run(f"pruning.history=[{source}]", "run.trials=1")
    said = [line for line in home.lines if line.startswith("prior from past studies")]
    assert len(said) == 1  # never another prior


def test_a_study_that_goes_on_under_another_history_says_so(home: Home, past: str) -> None:
    home.run("run.trials=1")
    assert not home.document()["notes"]
    home.run("run.trials=1", f"pruning.history=[{past}]")
    home.run("run.trials=1", f"pruning.history=[{past}]", "pruning.prior_strength=2")
    home.run("run.trials=1")
    said = [line for line in home.lines if line.startswith("prior from past studies")]
    assert len(said) == 3
    assert said[2].endswith("none any more, the paper's direction")
    assert home.document()["notes"][1] == said[0]
    assert any("pruning.history: was [], is [" in line for line in home.lines)


def test_a_study_that_scouts_adds_it_to_the_shipped_prior(
    home: Home, past: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scout = ("pruning.mode=scout", "run.workers=1", f"pruning.history=[{past}]")
    assert home.run(*scout, "run.trials=4") == 0
    (note,) = home.document()["notes"]
    said = re.fullmatch(
        r"prior from past studies: fake \(5 trials\), beside (\d+) past studies of SmolLM2-135M "
        r"and the quickstart's base \(shipped\); digest (\w{8})",
        note,
    )
    assert said is not None
    ledger, _ = open_study(str(home.out))
    stated = [d for d in ledger.read_decisions() if d.verdict.probability is not None]
    assert stated
    for decision in stated:
        assert decision.verdict.evidence["history"] == {"digest": said[2], "trials": {"fake": 5}}
    prior = home.document()["prior"]
    assert prior["history"] == {"fake": 5} and sum(prior["shipped"].values()) == int(said[1])
    assert prior["text"] in " ".join(capsys.readouterr().out.split())
    assert home.run(*scout[:2], "run.trials=5", "pruning.history=[]") == 0
    assert home.document()["notes"][-1].endswith("none any more, but those with the program")
    assert home.document()["prior"]["history"] == {}


@pytest.mark.parametrize("source", ["./nowhere", "nowhere", "./train.jsonl", "./runs/fake"])
def test_a_history_that_is_missing_broken_or_the_study_itself_is_one_sentence(
    home: Home, source: str
) -> None:
    if source == "./runs/fake":
        home.run("run.trials=1")
    before = sorted((home.folder / "runs").iterdir())
    with pytest.raises(UserError, match=r"^pruning.history: [^\n]*$"):
        home.run(f"pruning.history=[{source}]")
    assert sorted((home.folder / "runs").iterdir()) == before  # nothing was started


@pytest.mark.parametrize("by", ["folder", "url", "export"])
def test_the_study_itself_is_known_by_whichever_name(home: Home, by: str) -> None:
    home.run("run.trials=2", "pruning.enabled=false")
    export(home.out, to=home.folder / "mine")
    sources = {"folder": "./runs/fake", "url": f"sqlite:///{home.out}/study.db", "export": "./mine"}
    with pytest.raises(UserError, match=r"^pruning.history: fake is this study itself"):
        home.run(f"pruning.history=[{sources[by]}]")


def test_what_merely_has_the_name_beside_the_study_file_is_no_source(
    home: Home, past: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.folder)
    (home.folder / "old").mkdir()  # of data, say
    assert home.run("pruning.history=[old]", "run.trials=1") == 0
    (note,) = home.document()["notes"]
    assert "fake (5 trials)" in note


def test_a_storage_that_a_folder_names_is_not_asked(home: Home, past: str) -> None:
    strange = home.folder / "runs" / "strange"
    strange.mkdir()
    url = f"sqlite:///{home.folder / past}/study.db"
    (strange / "study.yaml").write_text(f"name: fake\nrun: {{storage: '{url}'}}\n")
    with pytest.raises(UserError, match=r"^pruning.history: .* name that storage itself, as URL#N"):
        home.run("pruning.history=[./runs/strange]")
    assert home.run(f"pruning.history=['{url}#fake']", "run.trials=1") == 0


def test_a_recorded_set_that_is_no_parquet_is_one_sentence(home: Home) -> None:
    for part in ("runs", "steps"):
        (home.folder / f"evil_{part}.parquet").write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(UserError, match=r"^pruning.history: [^\n]*evil"):
        home.run("pruning.history=[./evil]")


def test_a_history_without_finished_trials_is_refused(home: Home) -> None:
    home.run("run.trials=1")
    home.out.rename(home.folder / "runs" / "old")
    with pytest.raises(UserError, match="nothing can be learned"):
        home.run("pruning.history=[./runs/old]")
