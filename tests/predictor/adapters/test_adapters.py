"""Two lines in somebody's own Optuna and transformers script."""

from __future__ import annotations

import json
import math
import multiprocessing
import pickle
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from datasets import Dataset
from optuna.trial import TrialState
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from predictor import adapters
from predictor.adapters import EarlyDynamicsCallback, EarlyDynamicsPruner
from predictor.adapters.overtake import judge_by_gaps
from predictor.adapters.pruner import STUDY_SETTINGS
from predictor.adapters.stored import GUARD, VERDICT, WINDOW, cohort_trial, window_from, window_json
from predictor.judge import GAP_VERSION
from predictor.types import Settings, WindowSignals
from tests.support.fake_trainer import FakeTrainer, journal, made_up, study_of, work

# Prunes whatever is half as likely to win as before it was looked at.
SURE: dict[str, Any] = {"risk": 0.999, "max_expected_misses": 1000.0, "audit": 0.0}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@pytest.mark.slow
@pytest.mark.parametrize(
    "storage",
    [
        pytest.param(lambda path: None, id="in memory"),
        pytest.param(lambda path: f"sqlite:///{path / 'study.db'}", id="sqlite"),
        pytest.param(journal, id="journal"),
    ],
)
def test_trials_that_cannot_win_are_pruned_at_their_window(
    storage: Callable[[Path], Any], tmp_path: Path
) -> None:
    study = study_of(storage(tmp_path), audit=0.0)
    study.optimize(made_up, n_trials=12)
    trials = study.get_trials()
    states = {t.state for t in trials}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED}
    assert study.best_trial.params["x"] == min(t.params["x"] for t in trials)
    for trial in trials:
        assert trial.user_attrs[WINDOW]["samples"] == 32  # a tenth of 40 steps of 8
        assert trial.intermediate_values == {32: 1.0 + trial.params["x"]}
        verdict = trial.user_attrs[VERDICT]
        assert (verdict["action"] == "prune") == (trial.state == TrialState.PRUNED)
        assert verdict["predictor"] == GAP_VERSION
        assert verdict["settings"]["audit"] == 0.0
        assert json.loads(json.dumps(verdict)) == verdict
    pruned = [t.user_attrs[VERDICT] for t in trials if t.state == TrialState.PRUNED]
    assert 0 < sum(verdict["probability"] for verdict in pruned) <= 1.0  # max_expected_misses
    assert all(verdict["reason"].startswith("P(overtakes trial") for verdict in pruned)


def test_the_verdict_is_the_gap_models_on_the_same_cohort() -> None:
    study = study_of(audit=0.5, risk=0.3)
    study.optimize(made_up, n_trials=10)
    trials = study.get_trials()
    settings = Settings(**trials[0].user_attrs[VERDICT]["settings"])
    assert (settings.audit, settings.risk) == (0.5, 0.3)
    actions: set[str] = set()
    for trial in trials:
        before = [
            cohort_trial(
                t.number,
                t.params,
                t.user_attrs,
                t.value if t.state == TrialState.COMPLETE else None,
            )
            for t in trials[: trial.number]
        ]
        own = cohort_trial(trial.number, trial.params, {WINDOW: trial.user_attrs[WINDOW]}, None)
        verdict = judge_by_gaps(own, before, settings, 0.1)
        stored = trial.user_attrs[VERDICT]
        assert (verdict.action, verdict.reason) == (stored["action"], stored["reason"])
        assert verdict.probability == stored["probability"]
        actions.add(verdict.action)
    assert actions == {"continue", "prune", "audit"}


def test_what_is_maximised_is_turned_and_gives_the_same_verdicts() -> None:
    def turned(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        FakeTrainer(
            EarlyDynamicsCallback(trial, metric="eval_loss"),
            loss=lambda step: 2.0 + x - step / 100,
            norm=lambda step: 1.0 + x,
            evaluate=lambda step: -1.0 - x,
        ).train()
        return -1.0 - x

    low = study_of(audit=0.0)
    low.optimize(made_up, n_trials=8)
    high = optuna.create_study(
        direction="maximize",
        study_name="a study",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=EarlyDynamicsPruner(audit=0.0),
    )
    high.optimize(turned, n_trials=8)
    assert [t.state for t in high.trials] == [t.state for t in low.trials]
    assert high.trials[0].user_attrs[WINDOW]["early_eval"] == 1.0 + high.trials[0].params["x"]


def test_a_pruned_training_stops_at_its_window_and_raises_only_at_its_end() -> None:
    study = study_of(**SURE)
    study.optimize(made_up, n_trials=4)
    study.enqueue_trial({"x": 1.0})
    trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    trainer = FakeTrainer(
        EarlyDynamicsCallback(trial),
        loss=lambda step: 3.0,
        norm=lambda step: 2.0,
        evaluate=lambda step: 2.0,
        eval_steps=2,
    )
    with pytest.raises(optuna.TrialPruned, match=r"P\(overtakes trial"):
        trainer.train()
    assert trainer.state.global_step == 4
    assert trainer.num_evaluations == 2  # none but its own
    assert not trainer.control.should_save


def test_the_first_verdict_holds_however_often_it_is_asked_for() -> None:
    study = study_of(**SURE)
    study.optimize(made_up, n_trials=8)
    for trial in study.get_trials():
        assert study.pruner.prune(study, trial) == (trial.state == TrialState.PRUNED)


def test_a_trial_without_a_callback_is_never_pruned() -> None:
    study = study_of(**SURE)
    study.optimize(made_up, n_trials=6)
    trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    trial.report(100.0, 1)
    assert not trial.should_prune()


def test_audited_trials_go_on_and_the_coin_is_the_same_in_every_process() -> None:
    study = study_of(risk=0.999, max_expected_misses=1000.0, audit=1.0)
    study.optimize(made_up, n_trials=8)
    trials = study.get_trials()
    assert {t.state for t in trials} == {TrialState.COMPLETE}
    assert "audit" in {t.user_attrs[VERDICT]["action"] for t in trials}
    seeds = {t.user_attrs[VERDICT]["settings"]["seed"] for t in trials}
    pruner = EarlyDynamicsPruner()
    assert seeds == {pruner.settings(study_of()).seed}
    assert seeds != {pruner.settings(study_of(name="another")).seed}


def look(trial: optuna.Trial, **fake: Any) -> dict[str, Any] | None:
    FakeTrainer(EarlyDynamicsCallback(trial), **fake).train()
    return trial.study.get_trials()[trial.number].user_attrs.get(WINDOW)


def test_the_window_is_read_from_the_log_as_the_orchestrator_reads_its_own() -> None:
    trial = study_of(window=48).ask()
    window = look(trial, loss=lambda step: 9.0 - step / 10, norm=lambda step: 10.0 * step)
    assert window == {  # of its 6 steps those in the last third
        "samples": 48,
        "loss": pytest.approx(8.45),
        "grad_norm": 55.0,
        "grad_norm_noise_free": None,
        "early_eval": None,
        "phase": 0,
    }


def test_with_gaps_between_logs_nothing_behind_the_window_is_read() -> None:
    trial = study_of(window=64).ask()
    with pytest.warns(UserWarning, match="logged every 3 steps"):
        window = look(trial, loss=lambda step: 9.0 - step / 10, logging_steps=3)
    assert window is not None
    assert (window["samples"], window["loss"]) == (64, 8.4)


def test_too_few_logs_in_the_window_are_said_and_the_trial_goes_on() -> None:
    study = study_of(**SURE)
    study.optimize(made_up, n_trials=4)
    trial = study.ask({"x": optuna.distributions.FloatDistribution(2, 3)})
    with pytest.warns(UserWarning, match="ends after 4 steps and has no log .* logging_steps"):
        assert look(trial, logging_steps=10) is None


def test_a_window_as_long_as_the_training_is_said() -> None:
    trial = study_of(window=1000).ask()
    with pytest.warns(UserWarning, match="1000 samples is no shorter than this training of 320"):
        assert look(trial) is None


def test_a_norm_that_is_not_logged_is_said_and_gone_without() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        look(trial, norm=lambda step: None, evaluate=lambda step: 1.0 + x)
        return 1.0 + x

    study = study_of(**SURE)
    with pytest.warns(UserWarning, match="logs no gradient norm"):
        study.optimize(objective, n_trials=8)
    trials = study.get_trials()
    assert {t.user_attrs[WINDOW]["grad_norm"] for t in trials} == {None}
    reasons = [t.user_attrs[VERDICT]["reason"] for t in trials if t.state == TrialState.PRUNED]
    assert reasons
    assert not any("norm" in reason for reason in reasons)


def test_an_evaluation_without_the_metric_is_said() -> None:
    trial = study_of().ask()
    callback = EarlyDynamicsCallback(trial, metric="eval_accuracy")
    with pytest.warns(UserWarning, match="no 'eval_accuracy' .* eval_loss"):
        FakeTrainer(callback, evaluate=lambda step: 1.0).train()
    assert trial.study.get_trials()[0].user_attrs[WINDOW]["early_eval"] is None


@pytest.mark.parametrize("where", [2, 30])
def test_a_run_that_is_not_finite_is_pruned_wherever_it_is(where: int) -> None:
    """The Trainer logs 0 in place of a loss that is NaN; the norm tells."""
    trial = study_of().ask()
    trainer = FakeTrainer(
        EarlyDynamicsCallback(trial),
        loss=lambda step: 0.0 if step >= where else 2.0,
        norm=lambda step: math.nan if step >= where else 1.0,
    )
    with pytest.raises(optuna.TrialPruned, match=f"the loss is nan .* at step {where}"):
        trainer.train()
    assert trainer.state.global_step == where
    assert trial.study.get_trials()[0].user_attrs[GUARD]["action"] == "prune"
    assert trial.should_prune()


def test_steps_that_the_loss_scaler_skips_are_left_out() -> None:
    trial = study_of().ask()
    window = look(trial, norm=lambda step: math.inf if step < 3 else 1.0, fp16=True)
    assert window is not None
    assert window["grad_norm"] == 1.0


def test_divergence_is_pruned_unless_guards_are_off() -> None:
    def diverging(step: int) -> float:
        return 2.0 if step < 5 else 9.0

    with pytest.raises(optuna.TrialPruned, match="diverged"):
        look(study_of(audit=0.0).ask(), loss=diverging)
    assert look(study_of(audit=0.0, guards=False).ask(), loss=diverging)


def test_one_window_per_study_fixed_by_its_first_trial(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    look(study_of(storage).ask())
    again = study_of(storage)
    window = look(again.ask(), gradient_accumulation_steps=4)  # twice the samples
    assert window is not None
    assert window["samples"] == 32
    with pytest.raises(ValueError, match=r"begun with window=0\.1, .* 32 samples"):
        look(study_of(storage, window=0.2).ask())


STORAGES = [
    pytest.param(lambda path: f"sqlite:///{path / 'study.db'}", id="sqlite"),
    pytest.param(journal, id="journal"),
]


@pytest.mark.parametrize("storage", STORAGES)
def test_the_predictor_and_its_settings_are_stored_with_the_study(
    storage: Callable[[Path], Any], tmp_path: Path
) -> None:
    study_of(storage(tmp_path), risk=0.2, window=32).optimize(made_up, n_trials=4)
    study = study_of(storage(tmp_path))
    stored = study.user_attrs[STUDY_SETTINGS]
    assert (stored["predictor"], stored["window"]) == (GAP_VERSION, 32)
    assert stored["settings"] == study.get_trials()[-1].user_attrs[VERDICT]["settings"]
    assert stored["settings"]["risk"] == 0.2


@pytest.mark.slow
@pytest.mark.parametrize("storage", STORAGES)
def test_a_study_that_goes_on_under_other_settings_says_so_once(
    storage: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the study")
        for _ in range(2):  # the same settings, in another process as it were
            study_of(storage(tmp_path), window=32).optimize(made_up, n_trials=2)
    monkeypatch.setattr("predictor.adapters.pruner.GAP_VERSION", "newer")
    again = study_of(storage(tmp_path), window=40, risk=0.2)
    with pytest.warns(UserWarning, match="the study") as warned:
        again.optimize(made_up, n_trials=3)
    (said,) = [str(one.message) for one in warned if "the study" in str(one.message)]
    assert said.startswith(
        "the study 'a study' goes on under other settings than it was begun with: predictor was "
        f"'{GAP_VERSION}', is 'newer', window was 32, is 40, risk was 0.1, is 0.2; "
    )
    assert again.user_attrs[STUDY_SETTINGS]["settings"]["risk"] == 0.1  # as it was begun
    assert again.get_trials()[-1].user_attrs[VERDICT]["settings"]["risk"] == 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0.0}, "window is 0.0"),
        ({"window": 1.5}, "window is 1.5"),
        ({"risk": 2.0}, "risk is 2.0"),
        ({"startup": -1}, "startup is -1"),
        ({"max_expected_misses": math.nan}, "max_expected_misses is nan"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EarlyDynamicsPruner(**settings)


def test_studies_that_it_cannot_serve_are_refused() -> None:
    pruner = EarlyDynamicsPruner()
    two = optuna.create_study(directions=["minimize", "maximize"], pruner=pruner)
    with pytest.raises(ValueError, match="has 2 objectives"):
        EarlyDynamicsCallback(two.ask())
    with pytest.raises(ValueError, match="pruner, which is MedianPruner"):
        EarlyDynamicsCallback(optuna.create_study().ask())
    with pytest.raises(ValueError, match="no trial on process 0"):
        FakeTrainer(EarlyDynamicsCallback(None)).train()


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_signals_that_are_not_finite_survive_every_storage(odd: float) -> None:
    window = WindowSignals(8, odd, 1.0, None, odd)
    stored = json.loads(json.dumps(window_json(window), allow_nan=False))
    assert repr(window_from(stored)) == repr(window)


def test_threads_share_a_study() -> None:
    study = study_of(audit=0.0)
    study.optimize(made_up, n_trials=20, n_jobs=2)
    trials = study.get_trials()
    assert [t.number for t in trials] == list(range(20))
    assert {t.state for t in trials} == {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.mark.slow
def test_several_processes_share_a_study(tmp_path: Path) -> None:
    study = study_of(journal(tmp_path), audit=0.0)
    other = multiprocessing.get_context("spawn").Process(target=work, args=(tmp_path, 15))
    other.start()
    while other.is_alive() and not study.get_trials(deepcopy=False):
        time.sleep(0.01)
    work(tmp_path, 15)
    other.join()
    assert other.exitcode == 0
    trials = study.get_trials()
    assert [t.number for t in trials] == list(range(30))
    assert {t.state for t in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert {t.user_attrs[WINDOW]["samples"] for t in trials} == {32}
    stored = study.user_attrs[STUDY_SETTINGS]["settings"]
    assert [t.user_attrs[VERDICT]["settings"] for t in trials] == [stored] * 30
    for trial in trials:
        is_pruned = trial.user_attrs[VERDICT]["action"] == "prune"
        assert is_pruned == (trial.state == TrialState.PRUNED)


@pytest.mark.slow
def test_what_process_zero_learns_reaches_all_of_a_training(
    tiny_model: Path, tmp_path: Path
) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = ["-m", "tests.support.ddp_script", str(tiny_model), str(tmp_path)]
    said: list[str] = []
    for _ in range(2):  # it ended with an error once in thirteen launches, the cause not known
        found = subprocess.run([*torchrun, *script], capture_output=True, text=True, timeout=300)
        said.append(found.stderr)
        if found.returncode == 0:
            break
    else:
        raise AssertionError("\n\n".join(said))
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == [["", 12]] * 3 + [["TrialPruned", 3], ["ValueError", 0]]
    assert second == [["", 12]] * 3 + [["TrialPruned", 3], ["RuntimeError", 0]]


def test_importing_the_module_imports_neither_optuna_nor_transformers() -> None:
    heavy = "{'optuna', 'transformers', 'torch', 'pandas', 'scipy', 'accelerate'}"
    code = f"import sys, predictor.adapters; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_classes_are_those_of_optuna_and_transformers_and_can_be_pickled() -> None:
    assert issubclass(EarlyDynamicsPruner, optuna.pruners.BasePruner)
    assert issubclass(EarlyDynamicsCallback, TrainerCallback)
    copy = pickle.loads(pickle.dumps(EarlyDynamicsPruner(window=64, risk=0.2)))
    assert type(copy) is EarlyDynamicsPruner
    assert copy.window == 64
    with pytest.raises(AttributeError, match="no attribute 'EarlyDynamics'"):
        adapters.EarlyDynamics  # noqa: B018  # pyright: ignore


def train_really(trial: optuna.Trial, make: Callable[[float, Any], Any]) -> float:
    trainer = make(trial.suggest_float("lr", 1e-4, 1e-1, log=True), EarlyDynamicsCallback(trial))
    trainer.remove_callback(PrinterCallback)
    try:
        trainer.train()
    finally:
        steps = [log["step"] for log in trainer.state.log_history if "loss" in log]
        trial.set_user_attr("steps", steps)
    return trainer.evaluate()["eval_loss"]


@pytest.fixture
def make_trainer(tiny_model: Path, tmp_path: Path) -> Callable[[float, Any], Any]:
    """A plain Trainer of a random Llama that learns to repeat one row of tokens."""

    def make(lr: float, callback: Any) -> Any:
        model: Any = AutoModelForCausalLM.from_pretrained(tiny_model)
        rows: Any = [{"input_ids": [i % 7, 3, 4, 5], "labels": [i % 7, 3, 4, 5]} for i in range(96)]
        args: Any = TrainingArguments(
            output_dir=str(tmp_path),
            learning_rate=lr,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            num_train_epochs=2,
            logging_steps=1,
            eval_strategy="steps",
            eval_steps=3,
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        return Trainer(model, args, train_dataset=rows, eval_dataset=rows[:8], callbacks=[callback])

    return make


@pytest.fixture
def make_sft_trainer(
    tiny_model: Path, sums: dict[str, Path], tmp_path: Path
) -> Callable[[float, Any], Any]:
    """TRL's, as in a script of its own."""

    def make(lr: float, callback: Any) -> Any:
        rows = Dataset.from_list([json.loads(r) for r in sums["train"].read_text().splitlines()])
        args: Any = SFTConfig(
            output_dir=str(tmp_path),
            learning_rate=lr,
            per_device_train_batch_size=10,
            num_train_epochs=3,
            max_length=32,
            logging_steps=1,
            eval_strategy="steps",
            eval_steps=3,
            save_strategy="no",
            bf16=False,
            disable_tqdm=True,
            use_cpu=True,
        )
        model: Any = AutoModelForCausalLM.from_pretrained(tiny_model)
        tokenizer: Any = AutoTokenizer.from_pretrained(tiny_model)
        return SFTTrainer(
            model,
            args,
            train_dataset=rows,
            eval_dataset=rows.select(range(10)),
            processing_class=tokenizer,
            callbacks=[callback],
        )

    return make


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["make_trainer", "make_sft_trainer"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_real_trainers_are_pruned_at_their_window(
    kind: str, request: pytest.FixtureRequest
) -> None:
    make = request.getfixturevalue(kind)
    study = study_of(window=0.125, **SURE)
    study.optimize(lambda trial: train_really(trial, make), n_trials=7)
    trials = study.get_trials()
    pruned = [t for t in trials if t.state == TrialState.PRUNED]
    completed = [t for t in trials if t.state == TrialState.COMPLETE]
    assert pruned
    assert len(pruned) + len(completed) == 7
    num_steps, close = (24, 3) if kind == "make_trainer" else (30, 4)
    assert {len(t.user_attrs["steps"]) for t in completed} == {num_steps}
    assert {len(t.user_attrs["steps"]) for t in pruned} == {close}
    for trial in trials:
        window = trial.user_attrs[WINDOW]
        assert window["grad_norm"] > 0
        assert trial.intermediate_values == {
            (24 if kind == "make_trainer" else 30): window["early_eval"]
        }
