from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.config.load import LoadedStudy, load_study
from sweep.config.recipes import RECIPES, FittedRecipe, Taken, fit_recipes, taken_for
from sweep.driver import sampling
from sweep.driver.memory import disk_gb, lora_params, memory_gb, what_fits
from sweep.driver.plan import study_plan
from sweep.report.plan import NeededDisk, StepsOfBatch, StudyPlan
from sweep.report.plan_text import plan_lines
from sweep.report.recipes_text import outcome_lines, recipes_report, source_rows, taken_rows
from tests.support.studies import make_study
from trainer.contract.spec import UserError

STUDY = """
name: try
model: {base: org/model}
data: {train: org/rows, eval: "org/rows:test"}
budget: {samples: 40000}
search:
  space:
    learning_rate: {low: 1e-6, high: 1e-4, log: true}
    batch_size: {choices: [16, 64, 128]}
"""

Load = Callable[..., LoadedStudy]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "try.yaml").write_text(STUDY)
    return lambda *overrides: load_study(tmp_path / "try.yaml", overrides)


def make_facts(num_params: int = 7_000_000_000, **changes: Any) -> dict[str, Any]:
    rows = {"dropped_no_completion": 2, "dropped_too_short": 0, "truncated": 5}
    rows |= {"longest": 900, "longest_read": 1200}
    facts = {
        "num_params": num_params,
        "num_adapter": 0,
        "num_saved": 0,
        "train": {"rows": 1000, "rows_read": 1002, "input_tokens": 200_000, "loss_tokens": 80_000}
        | rows,
        "eval": {"rows": 100, "rows_read": 102, "input_tokens": 20_000, "loss_tokens": 8_000}
        | rows,
        "choices": None,
        "duplicates": 0,
        "duplicates_choices": 0,
        "repeated": 0,
        "phases": None,
        "max_length": 1024,
        "notes": {},
        "shapes": {"train": "text", "eval": "text", "choices": "text"},
        "sources": {},
        "base_measurements": None,
        "machine": {
            "device": "cuda",
            "num_devices": 2,
            "device_gib": 79.6,
            "memory_gib": 500.0,
            "cores": 32,
        },
    }
    return facts | changes


# --- recipes


def test_recipes_inside_the_space(load: Load) -> None:
    loaded = load(
        "search.space.batch_size={choices: [128, 3840]}",
        "search.space.schedule={choices: [constant, linear]}",
        "search.space.warmup_ratio={low: 0.0, high: 0.1}",
        "budget.samples=200000",
    )
    first, second = fit_recipes(loaded.study)
    assert first == FittedRecipe(
        "lab",
        {
            "learning_rate": 2e-5,
            "batch_size": 3840,
            "schedule": "constant",
            "warmup_ratio": 0.0,
        },
        [],
    )
    assert second.name == "tulu" and second.params["warmup_ratio"] == 0.03
    assert second.params["schedule"] == "linear" and second.moved == []


def test_recipes_move_into_the_space_and_say_so(load: Load) -> None:
    loaded = load(
        "search.space.learning_rate={low: 1e-4, high: 1e-3}",
        "search.space.schedule={choices: [constant, cosine]}",
    )
    lab, tulu = fit_recipes(loaded.study)
    assert lab.params == {"learning_rate": 1e-4, "batch_size": 128, "schedule": "constant"}
    assert lab.moved == [
        "lab: learning_rate 2e-05 is outside the space; the nearest is 0.0001",
        "lab: batch_size 3840 is outside the space; the nearest is 128",
    ]
    assert tulu.params == {"learning_rate": 1e-4, "batch_size": 128, "schedule": "cosine"}
    assert tulu.moved[1:] == [
        "tulu: schedule linear is outside the space; the nearest is cosine",
        "tulu: warmup_ratio 0.03 is fixed at 0",
    ]


def test_recipes_made_equal_are_one(load: Load) -> None:
    (both,) = fit_recipes(load().study)
    assert both.name == "lab+tulu" and both.params == {"learning_rate": 2e-5, "batch_size": 128}
    assert [sentence.split(":")[0] for sentence in both.moved] == ["lab", "tulu", "tulu"]


def test_no_recipes(load: Load) -> None:
    assert fit_recipes(load("search.recipes=[]").study) == []
    sampling = "search.space={learning_rate: 1e-5, batch_size: 8, lora_rank: {low: 2, high: 4}}"
    assert fit_recipes(load(sampling, "model.tuning=lora").study) == []  # they say nothing of it


@pytest.mark.parametrize(
    ("epochs", "lab", "tulu", "moved"),
    [
        ("{low: 1, high: 20}", 13, 3, []),
        ("{low: 2, high: 4}", 4, 3, ["lab: epochs 13 is outside the space; the nearest is 4"]),
        ("{choices: [0.5, 1.5, 5]}", 5, 5, ["lab: epochs 13 is", "tulu: epochs 3 is"]),  # by ratio
    ],
)
def test_epochs_take_part_where_they_are_searched(
    load: Load, epochs: str, lab: int, tulu: int, moved: list[str]
) -> None:
    sampling = f"search.space={{learning_rate: 2e-5, batch_size: 8, epochs: {epochs}}}"
    study = load(sampling, "budget=null").study
    fitted = {name: one for one in fit_recipes(study) for name in one.name.split("+")}
    assert fitted["lab"].params == {"epochs": lab} and fitted["tulu"].params == {"epochs": tulu}
    about_epochs = [text for one in fit_recipes(study) for text in one.moved if "epochs" in text]
    assert len(about_epochs) == len(moved)
    assert all(text.startswith(start) for text, start in zip(about_epochs, moved, strict=True))


@pytest.mark.parametrize(
    ("choices", "taken"), [([100, 200], 100), ([64, 256], 64), ([60, 250], 250), ([1, 2], 2)]
)
def test_batch_sizes_are_near_by_their_ratio(load: Load, choices: list[int], taken: int) -> None:
    study = load("search.recipes=[tulu]", f"search.space.batch_size={{choices: {choices}}}").study
    assert fit_recipes(study)[0].params["batch_size"] == taken


@given(
    low=st.floats(1e-9, 1e-2), factor=st.floats(1.001, 1e3), batches=st.sets(st.integers(1, 10**5))
)
def test_fitted_recipes_lie_inside(low: float, factor: float, batches: set[int]) -> None:
    study = make_study(
        {
            "learning_rate": {"low": low, "high": low * factor, "log": True},
            "batch_size": {"choices": sorted(batches) or [8]},
        }
    )
    kinds = sampling.distributions(study)
    for recipe in fit_recipes(study):
        assert set(recipe.params) == set(kinds)
        for name, kind in kinds.items():
            assert kind._contains(kind.to_internal_repr(recipe.params[name]))


def test_every_recipe_gives_what_a_trial_needs() -> None:
    needed = {"learning_rate", "batch_size", "schedule", "warmup_ratio", "weight_decay"}
    for recipe in RECIPES.values():
        assert set(recipe) == needed | {"beta1", "beta2", "clip", "epochs"}
        assert all(setting.source.startswith("arXiv ") for setting in recipe.values())


def test_a_study_says_what_it_takes_for_each_value(load: Load) -> None:
    assert taken_for("lab", load().study) == {
        "learning_rate": Taken(2e-5, True),
        "batch_size": Taken(128, True, "3840 is outside the space; the nearest is 128"),
        "schedule": Taken("constant", False),
        "warmup_ratio": Taken(0.0, False),
        "weight_decay": Taken(0.0, False),
        "beta1": Taken(0.9, False),
        "beta2": Taken(0.95, False),
        "clip": Taken(1.0, False),
        "epochs": Taken(None, False, "the budget is {samples: 40000}"),
    }


def test_recipes_side_by_side(load: Load) -> None:
    alone = recipes_report(None)
    assert alone.study is None and [one.name for one in alone.recipes] == ["lab", "tulu"]
    rows = source_rows(alone.recipes)
    assert ["clip", "1", "1", "arXiv 2412.13337"] in rows
    warmup = "lab: arXiv 2412.13337 (dropped without harm); tulu: arXiv 2306.04751 (TULU's own)"
    assert ["warmup_ratio", "0", "0.03", warmup] in rows


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], ["lab and tulu become one configuration: it is tried once, first"]),
        (
            ["search.recipes=[tulu]"],
            [
                "tulu is tried before any configuration is drawn",
                "lab is not tried: search.recipes does not list it",
            ],
        ),
        (
            [
                "search.space={learning_rate: 1e-5, batch_size: 8, lora_rank: {low: 2, high: 4}}",
                "model.tuning=lora",
                "search.recipes=[lab]",
            ],
            [
                "lab is not tried: it says nothing of what is searched",
                "tulu is not tried: search.recipes does not list it",
            ],
        ),
    ],
)
def test_what_becomes_of_the_recipes_is_said(
    load: Load, overrides: list[str], said: list[str]
) -> None:
    report = recipes_report(load(*overrides).study)
    assert [one.tried_as is None for one in report.taken] == [
        any(line.startswith(f"{one.name} is not tried") for line in said) for one in report.taken
    ]
    assert outcome_lines(report.taken) == said
    note = "lab: 3840 is outside the space; the nearest is 128"
    if not overrides:
        rows = taken_rows(report.taken)
        tulus = "tulu: linear is fixed at constant"
        assert ["batch_size", "128", "128", "searched", note] in rows
        assert ["schedule", "constant", "constant", "fixed", tulus] in rows
        assert ["epochs", "-", "-", "-", "the budget is {samples: 40000}"] in rows


def test_a_recipe_can_be_queued(load: Load) -> None:
    study = load().study
    optuna_study = optuna.create_study()
    (recipe,) = fit_recipes(study)
    optuna_study.enqueue_trial(recipe.params)
    params = sampling.suggest(optuna_study.ask(), study)
    assert (params["learning_rate"], params["batch_size"]) == (2e-5, 128)


# --- memory and disk


@pytest.mark.parametrize(
    ("tuning", "weights", "total"),
    [("full", "float32", 112), ("full", "bfloat16", 56), ("lora", "float32", 28.64)],
)
def test_memory_of_7_billion(tuning: Any, weights: Any, total: float) -> None:
    parts = memory_gb(7_000_000_000, tuning, weights, num_adapter=40_000_000)
    assert parts.total == pytest.approx(total)
    assert parts.shared_by(2).total == pytest.approx(total / 2)


@pytest.mark.parametrize(
    ("num_params", "rank", "adapter"),
    [(6_738_000_000, 16, 39_976_960), (134_515_008, 16, 4_884_480)],  # Llama-2-7B, SmolLM2-135M
)
def test_adapters_are_guessed_within_a_factor_of_two(
    num_params: int, rank: int, adapter: int
) -> None:
    assert 0.5 < lora_params(num_params, rank) / adapter < 2


def test_what_fits() -> None:
    told = what_fits(7_000_000_000, 85.5e9)
    assert "model.weights: bfloat16 (56 GB)" in told and "model.tuning: lora (28" in told
    assert "full fine-tuning" not in told and "up to 5.3 billion" in told
    assert what_fits(7_000_000_000, 8e9).startswith("Nothing fits 8 GB: LoRA over bfloat16")


def test_disk() -> None:
    sizes = disk_gb(1_000_000_000, "full", "float32", 0, workers=2, kept_models=1)
    assert sizes == NeededDisk(checkpoints=48, models=12) and sizes.total == 60
    lora = disk_gb(1_000_000_000, "lora", "float32", 10_000_000, workers=1, kept_models=1)
    assert lora.total == pytest.approx(0.32)


# --- the plan


def test_the_plan_counts(load: Load) -> None:
    plan = study_plan(load("run.trials=10"), make_facts())
    assert plan.workers == 2 and plan.trials == 10
    assert (plan.smallest_samples, plan.largest_samples) == (40000, 40000)
    assert (plan.window_samples, plan.window_share) == (4000, 0.1)
    assert plan.steps[2] == StepsOfBatch(128, fewest=313, most=313, window=32)
    mean_samples = (40000 + 40000 + 313 * 128) / 3  # whole steps
    assert plan.tokens_per_trial == round(mean_samples * 200)
    flops = plan.flops
    assert flops.training == pytest.approx(6 * 7e9 * 10 * mean_samples * 200)
    assert flops.evaluations == 2 * 7e9 * 11 * 20_000  # the base model's too
    assert flops.early_evaluations == 2 * 7e9 * (10 + 10 * 3) * 20_000  # looks; all 100 rows
    assert plan.early_eval == 100
    assert plan.early_share == pytest.approx(4 * 2 * 20_000 / (6 * 40_000 * 200))
    assert plan.memory.needed_gb.total == 112 and not plan.memory.fits


def test_the_plan_says_the_hours_on_a_card_where_they_count(load: Load) -> None:
    plan = study_plan(load("run.trials=10"), make_facts())
    hours = plan.flops.total / (0.4 * 989e12) / 3600
    assert f"time     about {hours:.2g} h on one 80 GB card" in " ".join(plan_lines(plan))
    small = study_plan(load("run.trials=10"), {**make_facts(), "num_params": 1_000_000})
    assert "80 GB card" not in " ".join(plan_lines(small))


def test_the_plan_names_the_replicates_and_counts_them(load: Load) -> None:
    alone = study_plan(load("run.trials=10"), make_facts())
    confirming = load("run.trials=10", "run.confirm={top: 2, seeds: 3}", "pruning.stop=true")
    plan = study_plan(confirming, make_facts(), None, "old (12 trials); digest 1a2b3c4d")
    assert plan.trials == 10 and plan.replicates == 6
    assert plan.total_tokens == pytest.approx(1.6 * alone.total_tokens)
    lines = plan_lines(plan)
    assert "  then 6 replicates: the best with other seeds, never pruned" in lines
    assert "  prior from past studies: old (12 trials); digest 1a2b3c4d" in lines
    assert "  it ends earlier when further trials are unlikely to help" in lines
    assert "in all, replicates included, if none is pruned" in " ".join(" ".join(lines).split())


def test_the_plan_says_that_a_window_decides_nothing_with_pruning_off(load: Load) -> None:
    def window(*settings: str) -> str:
        lines = plan_lines(study_plan(load(*settings), make_facts()))
        return next(line for line in lines if "early window" in line)

    assert window().endswith("of the smallest budget")
    off = window("pruning.enabled=false", "budget.samples=128")  # half the budget: 8 steps of 16
    assert off.endswith("of the smallest budget; pruning is off, it is only recorded")


def test_the_plan_of_a_study_that_scouts_says_where_it_looks(load: Load) -> None:
    stream = study_plan(load("run.trials=10", "pruning.mode=stream"), make_facts())
    scout = study_plan(load("run.trials=10"), make_facts())
    assert not any("scouting" in line for line in plan_lines(stream))
    lines = "\n".join(plan_lines(scout))
    assert "scouting: all trials are parked at their window" in lines
    assert "looked at again after 8,000 (20%), 12,000 (30%), 20,000 (50%) samples" in lines
    assert scout.flops.early_evaluations == 4 * stream.flops.early_evaluations
    assert scout.disk_gb.checkpoints == stream.disk_gb.checkpoints
    assert scout.disk_gb.models == stream.disk_gb.models
    off = study_plan(
        load("run.trials=10", "pruning.mode=scout", "pruning.enabled=false"), make_facts()
    )
    assert any("(50%) samples, which is only recorded" in line for line in plan_lines(off))


def test_the_plan_of_a_night_says_that_the_number_of_trials_is_decided_later(load: Load) -> None:
    night = ("run.trials=auto", "run.max_hours=8", "pruning.mode=scout")
    plan = study_plan(load(*night), make_facts())
    said = " ".join(" ".join(plan_lines(plan)).split())
    assert "as many as 8 h have room for beside finishing the best (run.trials auto): dec" in said
    assert "decided after the first scouts" in said
    assert f"tokens {plan.tokens_per_trial:,} a trial compute" in said
    one = study_plan(load("run.trials=1", "pruning.mode=scout"), make_facts())
    assert plan.flops == one.flops and plan.disk_gb == one.disk_gb
    assert "GB with one trial parked: checkpoints" in said and "GB at most: " not in said
    little = study_plan(load(*night), make_facts(1_000_000_000), most_parked_gb=50)
    said = " ".join(" ".join(plan_lines(little)).split())
    assert "of 12.0 GB is kept, of all together 50.0 GB at most (run.parked_gb)" in said
    none = " ".join(plan_lines(study_plan(load(*night), make_facts(), most_parked_gb=0)))
    assert "nothing is kept (run.parked_gb 0)" in " ".join(none.split())


def test_the_plan_says_what_parking_takes(load: Load) -> None:
    def disk(most_gb: float, *settings: str) -> tuple[float, str]:
        loaded = load("run.trials=10", "pruning.mode=scout", *settings)
        plan = study_plan(loaded, make_facts(1_000_000_000), most_parked_gb=most_gb)
        lines = " ".join(" ".join(plan_lines(plan)).split())
        assert plan.disk_gb.parked is not None
        return plan.disk_gb.parked.taken, lines[lines.index("of a parked trial") :]

    kept, said = disk(1000)
    assert kept == 120  # a checkpoint: weights and AdamW's moments, 12 bytes a parameter
    assert "one checkpoint of 12.0 GB is kept: 10 of them take 120.0 GB, and run.par" in said
    kept, said = disk(50)
    assert kept == 50
    assert "but run.parked_gb allows 50.0 GB: the least promising keep none" in said
    assert "nothing is kept (run.parked_gb 0): if it goes on it is trained again" in disk(0)[1]


def test_the_plan_of_a_study_that_is_made_is_all_of_it_and_says_how_far_it_is(load: Load) -> None:
    new = plan_lines(study_plan(load(), make_facts()))
    begun = plan_lines(study_plan(load(), make_facts(), begun="3 of 16 trials settled"))
    assert new[0].endswith("; nothing is made yet.")
    assert begun[0].endswith(", of all its trials from the beginning.")
    assert begun[1] == "So far 3 of 16 trials settled." and begun[2:] == new[1:]


def test_the_plan_of_searched_epochs(load: Load) -> None:
    plan = study_plan(
        load(
            "budget=null",
            "search.space.epochs={low: 1, high: 3}",
            "search.space.batch_size={choices: [8, 16]}",
        ),
        make_facts(),
    )
    assert plan.steps[0] == StepsOfBatch(8, fewest=125, most=375, window=16)
    assert plan.tokens_per_trial == 2000 * 200
    assert plan.window_samples == 128


def test_the_plan_of_a_grid_stops_at_its_points(load: Load) -> None:
    rates = "search.space.learning_rate={choices: [1e-5, 1e-4]}"
    plan = study_plan(load("search.sampler=grid", rates, "run.trials=100"), make_facts())
    assert plan.trials == plan.points == 6


def test_the_plan_of_choices(load: Load) -> None:
    choices = {"questions": 400, "groups": {"a": 300, "b": 100}, "input_tokens": 40_000}
    choices |= {"questions_read": 400, "dropped_too_long": 0, "longest_read": 900}
    loaded = load("objective={metric: choice_accuracy, data: org/questions}", "data.eval=null")
    plan = study_plan(loaded, make_facts(1_000_000, eval=None, choices=choices))
    assert plan.early_eval == 400 and plan.flops.early_evaluations == 2e6 * 16 * 4 * 40_000
    assert "  choices  400 questions (a 300, b 100), 40,000 tokens, asked as text" in plan_lines(
        plan
    )


def test_a_plan_that_cannot_be(load: Load) -> None:
    with pytest.raises(UserError, match=r"budget.epochs of at least 4.1"):
        study_plan(load("budget={epochs: 1}"), make_facts())
    small = make_facts()
    small["train"]["rows"] = 100
    with pytest.raises(UserError, match="a batch of 128 is more than the 100 samples"):
        study_plan(load(), small)


def test_memory_is_shared_by_trials(load: Load) -> None:
    memory = study_plan(load("run.workers=4"), make_facts(1_000_000)).memory
    assert memory.sharing == 2 and memory.fits
    assert memory.available_gb == pytest.approx(79.6 * 2**30 / 1e9 / 2)
    machine = {"device": "cpu", "num_devices": 0, "device_gib": None, "memory_gib": 8, "cores": 2}
    plan = study_plan(load(), make_facts(machine=machine))
    memory = plan.memory
    assert any(
        line.startswith("  caution  model.dtype: the trials run on a CPU")
        for line in plan_lines(plan)
    )
    assert memory.of == "this machine" and memory.sharing == 1


def test_lora_needs_less(load: Load) -> None:
    facts = make_facts(num_adapter=30_000_000, num_saved=10_000_000)
    plan = study_plan(load("model.tuning=lora"), facts)
    assert plan.memory.needed_gb.total == pytest.approx(28.64)
    assert plan.flops.training == pytest.approx(2 / 3 * study_plan(load(), facts).flops.training)
    wider = load("model.tuning=lora", "search.space.lora_rank={choices: [16, 64]}")
    needed = study_plan(wider, facts).memory.needed_gb
    assert needed.gradients == pytest.approx(4 * (4 * 0.03 + 0.01))


def test_the_text(load: Load) -> None:
    cut = {"what": "cut", "rows": 5, "first": "train.jsonl, line 3"}
    facts = make_facts(duplicates=3, notes={"train": [cut]})
    lines = plan_lines(study_plan(load("run.trials=10"), facts))
    text = "\n".join(lines)
    for words in (
        "run.trials                       10",
        "--set",
        "1,000 rows, 200,000 tokens, 40.0% of them bear loss (80,000), the longest 900",
        "         cut: 5 of 1,002 rows, first train.jsonl, line 3",
        "rows of train that are also in eval: 3",
        "10 trials of 40,000 samples, 2 at a time",
        "early window: 4,000 samples, 10.0% of the smallest budget",
        "batch   128: 313 steps, the window after 32",
        "first, recipe lab+tulu: learning_rate 2e-05, batch_size 128",
        "memory   112.0 GB a trial before activations",
        "one GPU has 85.5 GB: it does NOT fit",
        "model.tuning: lora (28",
    ):
        assert words in text, words
    titled = lines[1:]  # the first names the file, wherever it lies
    assert max(len(line) for line in titled if "search" not in line) <= 96
    assert all(math.isfinite(len(line)) and line == line.rstrip() for line in lines)


def test_the_plan_of_several_processes(load: Load) -> None:
    def plan(*overrides: str) -> tuple[StudyPlan, str]:
        found = study_plan(load(*overrides), make_facts())
        return found, "\n".join(plan_lines(found))

    ddp, said = plan("run.processes_per_trial=2", "model.parallel=ddp")
    assert ddp.workers == 1 and ddp.memory.sharing == 1
    assert ddp.memory.needed_gb.total == 112  # each has all of it
    assert "1 at a time on 2 processes each" in said
    fsdp, said = plan("run.processes_per_trial=2", "model.parallel=fsdp", "run.checkpoints=4")
    assert fsdp.memory.needed_gb.total == 56
    assert "56.0 GB a process before activations" in said
    assert fsdp.disk_gb.checkpoints == 2 * ddp.disk_gb.checkpoints
    shared, said = plan("run.processes_per_trial=2", "model.parallel=ddp", "run.workers=2")
    assert shared.memory.sharing == 2 and "for each of 2 processes" in said
