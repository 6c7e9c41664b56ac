"""The card that goes with a model: what the Hub reads, and what people must know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData

from sweep.report.card import model_card
from sweep.report.study_report import study_report
from sweep.storage.paths import StudyPaths
from tests.support.sweep_ledgers import completed, document, fill, measurement, trial, written


def confirmed_card(folder: Path, number: int, repeats: dict[int, float]) -> str:
    """Of a study whose two best trials, 2 and 1, were trained again; what has no value failed."""
    with written(folder) as ledger:
        fill(ledger)
        confirm = {"top": 2, "seeds": 2}
        resolved = document()
        ledger.continue_as({**resolved, "run": {**resolved["run"], "confirm": confirm}}, "r", [])
        for repeat in (10_001, 10_002, 20_001, 20_002):
            value = repeats.get(repeat)
            row = trial(repeat, "failed") if value is None else completed(repeat, value)
            ledger.save_trial(row)
        study = study_report(ledger, StudyPaths(folder))
    return model_card(study, number, "org/tiny-base", {}, has_chats=False)


def card(folder: Path, base: str = "org/tiny-base", number: int = 2, **model: Any) -> str:
    with written(folder) as ledger:
        fill(ledger)
        resolved = document()
        ledger.continue_as({**resolved, "model": {**resolved["model"], **model}}, "rank-1", [])
        study = study_report(ledger, StudyPaths(folder))
    sources = {"train": "train|all.jsonl", "eval": "eval.jsonl"}
    return model_card(study, number, base, sources, has_chats=False)


def front_matter(text: str) -> dict[str, Any]:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_front_matter_is_what_the_hub_reads(tmp_path: Path) -> None:
    found = front_matter(card(tmp_path))
    assert found["base_model"] == "org/tiny-base"
    assert found["library_name"] == "transformers"
    assert "sft-sweep" in found["tags"]


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("org/model", "org/model"),
        ("model", "model"),
        ("/data/models/model", "model"),
        ("./model", "model"),
        ("models/v1/model", "model"),
        ('we"ird: name', 'we"ird: name'),
    ],
)
def test_a_base_folder_is_told_to_the_hub_by_its_name(tmp_path: Path, base: str, told: str) -> None:
    assert front_matter(card(tmp_path, base))["base_model"] == told


def test_the_hub_reads_what_was_measured(tmp_path: Path) -> None:
    metric = "lm_eval:arc_easy"
    with written(tmp_path) as ledger:
        row = completed(0, 0.5)
        told = {**measurement(0.61), "stderr": 0.02}
        row.measurements = {**(row.measurements or {}), metric: told, "eval_loss": measurement(1.5)}
        ledger.save_trial(row)
        study = study_report(ledger, StudyPaths(tmp_path))
    data = ModelCard(model_card(study, 0, "org/tiny-base", {}, has_chats=False)).data
    assert isinstance(data, ModelCardData)
    assert data.model_name == "demo, trial 0"
    found = {one.metric_name: one for one in data.eval_results or []}
    assert {name: (one.metric_type, one.metric_value) for name, one in found.items()} == {
        "choice_accuracy": ("accuracy", 0.5),
        metric: ("accuracy", 0.61),
        "eval_loss": ("loss", 1.5),
    }
    assert found[metric].dataset_name == "arc_easy"
    assert found[metric].metric_args == {"num": 400, "stderr": 0.02}


def test_a_picture_is_shown_where_there_is_one(tmp_path: Path) -> None:
    with written(tmp_path) as ledger:
        fill(ledger)
        study = study_report(ledger, StudyPaths(tmp_path))
    text = model_card(study, 2, "org/tiny-base", {}, has_chats=False, picture="study.png")
    assert "](study.png)" in text
    assert "study.png" not in model_card(study, 2, "org/tiny-base", {}, has_chats=False)


def test_an_adapter_says_that_it_is_one(tmp_path: Path) -> None:
    text = card(tmp_path, tuning="lora")
    assert front_matter(text)["library_name"] == "peft"
    assert "needs peft" in text


def test_the_card_says_what_the_model_is_and_what_it_was_before(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert "choice_accuracy is 0.7400; the base model has 0.3000 (higher is better)" in text
    assert "| train | train\\|all.jsonl |" in text
    assert "| learning_rate | 4e-05 |" in text
    assert "| run.seed | 0 |" in text


def test_the_card_tells_how_the_model_was_chosen_with_all_trials(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert "Trial 2 is the best of the 3 trials that were trained to their end, out of 8" in text
    assert "| base |" in text
    assert "| 2 | 4e-05 | 16 | completed, audited | 2.300 | 5.00 | 1.50 | 0.350 | 0.7400 |" in text
    for number, state in ((3, "pruned"), (5, "failed"), (6, "running"), (7, "waiting")):
        assert any(line.startswith(f"| {number} |") and state in line for line in text.splitlines())


def test_the_card_warns_that_the_best_of_many_looks_better_than_it_is(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert "one seed" in text
    assert "optimistic" in text
    assert "data that the study has not seen" in text


def test_the_card_does_not_call_another_trial_the_best(tmp_path: Path) -> None:
    assert "Trial 0 is one of the 3 trials" in card(tmp_path, number=0)


def test_the_card_of_a_confirmed_model_leads_with_the_new_seeds(tmp_path: Path) -> None:
    values = {10_001: 0.60, 10_002: 0.72, 20_001: 0.60, 20_002: 0.68}
    text = confirmed_card(tmp_path, 2, values)
    assert (
        "Trained with new seeds, its configuration has a choice_accuracy of 0.7000 ± 0.0283 (mean "
        "± sd of 2 new seeds); the base model has 0.3000 (higher is better). These weights, the "
        "best run of it, have 0.7400: a value that was picked, and so optimistic." in text
    )
    assert "Trial 2 is the best of the 3 trials" in text
    assert "the best mean of all seeds won" in text
    assert "the run that was picked for its choice_accuracy is not in it" in text


def test_another_trials_card_in_a_confirmed_study_is_its_own(tmp_path: Path) -> None:
    text = confirmed_card(tmp_path, 0, {10_002: 0.72, 20_002: 0.68})
    assert "Its choice_accuracy is 0.5500; the base" in text
    assert "Trial 0 is one of the 3 trials" in text
    assert "new seeds" not in text


def test_a_card_without_a_completed_repeat_claims_none(tmp_path: Path) -> None:
    text = confirmed_card(tmp_path, 2, {})
    assert "Its choice_accuracy is 0.7400; the base" in text
    assert "No replicate of it was completed, so its choice_accuracy is optimistic" in text


def test_the_code_in_the_card_is_python(tmp_path: Path) -> None:
    code = card(tmp_path, tuning="lora").split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert "from_pretrained" in code
