from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.config.budget import budget_samples, check_rows, look_samples, window_samples
from sweep.config.load import LoadedStudy, load_study
from sweep.config.study import Study
from sweep.driver import sampling
from sweep.driver.prepare import prepare_spec
from sweep.driver.trial_spec import trial_spec
from tests.support.studies import make_study
from trainer.contract.spec import TrialSpec, UserError

optuna.logging.set_verbosity(optuna.logging.ERROR)


ALL = {
    "schedule": {"choices": ["constant", "linear"]},
    "warmup_ratio": {"low": 0.0, "high": 0.1},
    "weight_decay": 0.1,
    "beta1": {"choices": [0.9]},
    "epochs": {"low": 1, "high": 4},
    "lora_rank": {"low": 4, "high": 64, "log": True},
}

HAS_CMAES = importlib.util.find_spec("cmaes") is not None
CMAES = pytest.param("cmaes", marks=pytest.mark.skipif(not HAS_CMAES, reason="needs cmaes"))
SAMPLERS = ["tpe", CMAES, "random", "qmc"]


def test_suggest_gives_drawn_and_fixed() -> None:
    study = make_study(ALL, model={"tuning": "lora"}, budget=None)
    names = ["learning_rate", "batch_size", "schedule", "warmup_ratio", "epochs", "lora_rank"]
    assert sampling.searched(study) == names == list(sampling.distributions(study))
    drawn = {
        "learning_rate": 1e-4,
        "batch_size": 8,
        "schedule": "linear",
        "warmup_ratio": 0.05,
        "epochs": 2,
        "lora_rank": 32,
    }
    params = sampling.suggest(optuna.trial.FixedTrial(drawn), study)
    assert params == {**drawn, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "clip": 1.0}


def test_fixed_rank_is_a_param_of_lora_alone() -> None:
    drawn = optuna.trial.FixedTrial({"learning_rate": 1e-4, "batch_size": 8})
    assert sampling.suggest(drawn, make_study(model={"tuning": "lora"}))["lora_rank"] == 16
    assert set(sampling.suggest(drawn, make_study())) == {
        "learning_rate", "batch_size", "schedule", "warmup_ratio", "weight_decay", "beta1", "beta2",
        "clip",
    }  # fmt: skip


def test_a_range_of_batch_sizes_takes_powers_of_two() -> None:
    study = make_study({"batch_size": {"low": 3, "high": 100}})
    kind = sampling.distributions(study)["batch_size"]
    assert isinstance(kind, optuna.distributions.CategoricalDistribution)
    assert kind.choices == (4, 8, 16, 32, 64)


def test_grid_is_every_combination_shuffled_by_the_seed() -> None:
    entries = {
        "learning_rate": {"choices": [1e-5, 1e-4, 1e-3]},
        "batch_size": {"low": 4, "high": 8},
        "clip": {"choices": [1.0]},
    }
    points = sampling.grid_points(make_study(entries, search={"sampler": "grid", "space": entries}))
    assert len(points) == 6 and len({tuple(point.items()) for point in points}) == 6
    assert all(list(point) == ["learning_rate", "batch_size"] for point in points)
    assert points == sampling.grid_points(make_study(entries))
    assert points != sampling.grid_points(make_study(entries, run={"seed": 1}))


def sweep_on(study: Study, optuna_study: optuna.Study, trials: int) -> list[dict[str, Any]]:
    """As the driver does: a sampler for each trial, ask, tell a value that favours 1e-4."""
    for _ in range(trials):
        number = len(optuna_study.get_trials(deepcopy=False))
        optuna_study.sampler = sampling.make_sampler(study, number, parallel=False)
        trial = optuna_study.ask()
        params = sampling.suggest(trial, study)
        optuna_study.tell(trial, abs(math.log10(params["learning_rate"]) + 4))
    return [dict(trial.params) for trial in optuna_study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_draws_are_spread_and_do_not_change_with_a_restart(sampler: str) -> None:
    study = make_study({"warmup_ratio": {"low": 0.0, "high": 0.1}}, search={"sampler": sampler})
    whole = sweep_on(study, optuna.create_study(), 16)
    assert len({params["learning_rate"] for params in whole}) == 16
    rates = [math.log10(params["learning_rate"]) for params in whole]
    assert min(rates) < (-4.5 if sampler == "cmaes" else -5) and max(rates) > -3
    assert {params["batch_size"] for params in whole} <= {4, 8, 16}
    storage = optuna.storages.InMemoryStorage()
    sweep_on(study, optuna.create_study(storage=storage, study_name="try"), 7)
    again = optuna.load_study(storage=storage, study_name="try")
    assert sweep_on(study, again, 9) == whole
    other = make_study(
        {"warmup_ratio": {"low": 0.0, "high": 0.1}}, search={"sampler": sampler}, run={"seed": 1}
    )
    assert sweep_on(other, optuna.create_study(), 2) != whole[:2]


def test_qmc_covers_better_than_chance() -> None:
    study = make_study({"batch_size": 8}, search={"sampler": "qmc"})
    params = sweep_on(study, optuna.create_study(), 17)[1:]  # the first is drawn at random
    cells = {int((math.log10(each["learning_rate"]) + 6) / 4 * 16) for each in params}
    assert len(cells) == 16


def test_tpe_looks_where_it_was_good() -> None:
    study = make_study({"batch_size": 8}, run={"trials": 30})
    rates = [
        math.log10(each["learning_rate"]) for each in sweep_on(study, optuna.create_study(), 30)
    ]
    late = [abs(rate + 4) for rate in rates[15:]]
    assert sum(late) / len(late) < 0.7  # chance: 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_parallel_asks_differ(sampler: str) -> None:
    study = make_study(search={"sampler": sampler})
    optuna_study = optuna.create_study()
    sweep_on(study, optuna_study, 12)
    rates: set[float] = set()
    for number in range(12, 16):
        optuna_study.sampler = sampling.make_sampler(study, number, parallel=True)
        rates.add(sampling.suggest(optuna_study.ask(), study)["learning_rate"])
    assert len(rates) == 4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_queued_params_are_taken_and_the_rest_drawn(sampler: str) -> None:
    study = make_study(search={"sampler": sampler})
    optuna_study = optuna.create_study()
    optuna_study.enqueue_trial({"learning_rate": 2e-5})
    optuna_study.enqueue_trial({"learning_rate": 3e-5, "batch_size": 4})
    first, second, third = sweep_on(study, optuna_study, 3)
    assert first["learning_rate"] == 2e-5 and first["batch_size"] in (4, 8, 16)
    assert second == {"learning_rate": 3e-5, "batch_size": 4}
    assert third["learning_rate"] not in (2e-5, 3e-5)


def test_budgets() -> None:
    assert budget_samples(make_study(), {}, 50) == 1000
    assert budget_samples(make_study(budget={"epochs": 1.1}), {}, 10) == 11
    searched = make_study({"epochs": {"choices": [0.5, 2]}}, budget=None)
    assert budget_samples(searched, {"epochs": 0.5}, 101) == 51


def test_the_window_is_a_share_or_enough_steps() -> None:
    assert window_samples(make_study(), 1000) == 128  # 8 steps of 16
    assert window_samples(make_study(budget={"samples": 4001}), 1000) == 401
    searched = make_study({"epochs": {"low": 2, "high": 9}}, budget=None)
    assert window_samples(searched, 1000) == 200


@pytest.mark.parametrize(
    ("sections", "samples"),
    [
        ({}, (200, 300, 500)),  # the window is 128, so 10 % is it
        ({"budget": {"samples": 10_000}}, (2000, 3000, 5000)),
        ({"pruning": {"mode": "scout", "looks": [0.01, 0.15, 0.16, 0.98, 0.99]}}, (150, 980)),
        ({"pruning": {"mode": "scout", "enabled": False}}, (200, 300, 500)),  # only recorded
        ({"pruning": {"mode": "stream"}}, ()),
    ],
)
def test_looks_lie_a_step_apart_from_the_window_to_the_end(
    sections: dict[str, Any], samples: tuple[int, ...]
) -> None:
    study = make_study(**{"pruning": {"mode": "scout"}, **sections})
    assert look_samples(study, 1000) == samples


def test_looks_are_shares_of_the_smallest_budget() -> None:
    searched = make_study({"epochs": {"low": 2, "high": 9}}, budget=None, pruning={"mode": "scout"})
    assert look_samples(searched, 1000) == (400, 600, 1000)


def test_a_window_over_a_quarter_names_the_budget_that_would_do() -> None:
    study = make_study(budget={"samples": 511})
    with pytest.raises(UserError, match=r"^pruning.min_steps: 8 steps .*25 %.*least 512 or"):
        window_samples(study, 1000)
    assert window_samples(make_study(budget={"samples": 512}), 1000) == 128
    for sections, key in (
        ({"budget": {"epochs": 1}}, "budget.epochs"),
        ({}, "search.space.epochs"),
    ):
        study = make_study({"epochs": 1} if not sections else {}, **({"budget": None} | sections))
        with pytest.raises(UserError, match=rf"{key} of at least 5.12 \(512 samples\)"):
            window_samples(study, 100)


def test_a_window_over_a_quarter_names_every_way_out_and_each_would_do() -> None:
    tight = {"samples": 500}
    with pytest.raises(UserError) as refused:
        window_samples(make_study(budget=tight), 1000)
    assert str(refused.value).endswith(
        "give budget.samples of at least 512 or pruning.min_steps of at most 7 or "
        "search.space.batch_size of at most 15 or pruning.enabled: false"
    )
    for study in (
        make_study(budget={"samples": 512}),
        make_study(budget=tight, pruning={"min_steps": 7}),
        make_study({"batch_size": 15}, budget=tight),
        make_study(budget=tight, pruning={"enabled": False}),
    ):
        assert window_samples(study, 1000) > 0


def test_a_way_out_that_is_none_is_not_named() -> None:
    with pytest.raises(UserError) as refused:  # one step of the largest batch is over a quarter
        window_samples(make_study(budget={"samples": 20}), 1000)
    assert "min_steps of at most" not in str(refused.value)
    assert "batch_size of at most" not in str(refused.value)
    assert "pruning.enabled: false" in str(refused.value)


@pytest.mark.parametrize(("budget", "window"), [(512, 128), (500, 128), (100, 100), (5000, 500)])
def test_a_window_that_decides_nothing_is_as_long_as_it_is_at_most_the_budget(
    budget: int, window: int
) -> None:
    study = make_study(budget={"samples": budget}, pruning={"enabled": False})
    assert window_samples(study, 1000) == window


@given(
    samples=st.integers(1, 10**7),
    share=st.floats(0.001, 0.25),
    batch=st.integers(1, 10_000),
    min_steps=st.integers(1, 50),
)
def test_a_window_keeps_its_bounds(samples: int, share: float, batch: int, min_steps: int) -> None:
    study = make_study(
        {"batch_size": {"choices": [batch, batch + 1]}},
        budget={"samples": samples},
        pruning={"window": share, "min_steps": min_steps},
    )
    try:
        window = window_samples(study, samples)
    except UserError as error:
        assert min_steps * (batch + 1) > samples / 4
        enough = int(str(error).split("budget.samples of at least ")[1].split()[0])
        enough_study = study.model_copy(
            update={"budget": make_study(budget={"samples": enough}).budget}
        )
        assert window_samples(enough_study, samples) <= math.ceil(enough / 4)
    else:
        assert window >= min_steps * (batch + 1) and window >= share * samples - 1e-3
        assert window <= math.ceil(samples / 4)


def test_a_batch_must_fit_into_the_data() -> None:
    with pytest.raises(UserError, match=r"^search.space.batch_size: a batch of 16 .* 15 samples"):
        check_rows(make_study(), 15)
    check_rows(make_study(), 16)


def test_a_strategy_is_a_param_where_there_are_phases() -> None:
    drawn = {"learning_rate": 1e-4, "batch_size": 8}
    phases = {"phases": ["org/a", "org/b"], "eval": "org/c"}
    fixed = make_study({"strategy": "phased"}, data=phases)
    assert sampling.suggest(optuna.trial.FixedTrial(drawn), fixed)["strategy"] == "phased"
    searched = make_study({"strategy": {"choices": ["stacked", "phased"]}}, data=phases)
    assert sampling.searched(searched) == ["learning_rate", "batch_size", "strategy"]
    both = {**drawn, "strategy": "stacked"}
    assert sampling.suggest(optuna.trial.FixedTrial(both), searched)["strategy"] == "stacked"


@pytest.mark.parametrize(
    ("strategy", "replay", "reset"), [("phased", 0.25, True), ("stacked", 0.0, False)]
)
def test_the_spec_of_a_trial_in_phases(
    tmp_path: Path, strategy: str, replay: float, reset: bool
) -> None:
    for name in ("a.jsonl", "b.jsonl", "eval.jsonl", "chat.jinja"):
        (tmp_path / name).touch()
    (tmp_path / "base").mkdir()
    file = tmp_path / "study.yaml"
    file.write_text(
        "{name: t, model: {base: base, parallel: ddp, attention: eager, padding_free: true},"
        "budget: {samples: 1000}, data: {phases: [a.jsonl, b.jsonl], eval: eval.jsonl, "
        "replay: 0.25, reset_optimizer: true, template: chat.jinja, system: Be brief.,"
        "loss_on: assistant}, run: {processes_per_trial: 2, checkpoints: 3},"
        "search: {space: {learning_rate: {low: 1e-5, high: 1e-3}, batch_size: 8,"
        "strategy: {choices: [stacked, phased]}}}}"
    )
    loaded = load_study(file)
    params = sampling.suggest(
        optuna.trial.FixedTrial({"learning_rate": 1e-4, "strategy": strategy}), loaded.study
    )
    spec = trial_spec(
        loaded, 3, params, {"train": {"rows": 500}, "early_eval": 64}, "data", tmp_path / "3", 2
    )
    assert TrialSpec.from_json(spec.to_json()) == spec
    assert (spec.strategy, spec.replay, spec.reset_optimizer) == (strategy, replay, reset)
    assert (spec.processes, spec.checkpoints_kept) == (2, 3)
    model = spec.model
    assert (model.parallel, model.attention, model.padding_free) == ("ddp", "eager", True)
    data = prepare_spec(loaded, tmp_path / "out", measure_base=False).data
    assert data.train is None
    assert data.phases == (str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"))
    assert data.template == str(tmp_path / "chat.jinja")
    assert (data.system, data.loss_on) == ("Be brief.", "assistant")


def test_trial_spec(tmp_path: Path) -> None:
    for name in ("train.jsonl", "eval.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "base").mkdir()
    file = tmp_path / "study.yaml"
    file.write_text(
        "{name: t, model: {base: base, tuning: lora, micro_batch: 4}, budget: {samples: 1000},"
        "data: {train: train.jsonl, eval: eval.jsonl}, run: {seed: 7, keep: none}, search: {space: "
        "{learning_rate: {low: 1e-5, high: 1e-3}, batch_size: 8, lora_rank: {choices: [4, 8]}}}}"
    )
    loaded: LoadedStudy = load_study(file)
    drawn = optuna.trial.FixedTrial({"learning_rate": 1e-4, "lora_rank": 4})
    params = sampling.suggest(drawn, loaded.study)
    spec = trial_spec(
        loaded, 3, params, {"train": {"rows": 500}, "early_eval": 64}, "data", tmp_path / "3", 2
    )
    assert TrialSpec.from_json(spec.to_json()) == spec
    assert spec.model.base == str(tmp_path / "base") and spec.model.lora.rank == 4
    assert (spec.number, spec.seed, spec.num_steps, spec.window_samples) == (3, 7, 125, 100)
    assert (spec.metrics, spec.early_eval, spec.micro_batch) == (("eval_loss",), 64, 4)
    assert (spec.save_model, spec.num_threads, spec.learning_rate) == (False, 2, 1e-4)
    assert (spec.strategy, spec.processes, spec.model.padding_free) == ("stacked", 1, None)
