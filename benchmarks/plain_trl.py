"""A sweep as one writes it by hand: Optuna's TPE and MedianPruner around TRL's SFTTrainer.

    python -m benchmarks.plain_trl OUT [--trials 14] [--seed 0]

Model, data, budget and search space are the quickstart's. Each trial is evaluated ten times on all
of eval.jsonl (the right choice as the completion), and told to Optuna each time. OUT/optuna.db has
the trials, OUT/best the best model.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import datasets
import optuna
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart"
SAMPLES = 2048
BATCH_SIZES = [8, 16, 32, 64]
NUM_EVALS = 10


def to_prompt(row: dict[str, Any]) -> dict[str, str]:
    answer = row["completion"] if "completion" in row else row["choices"][row["answer"]]
    return {"prompt": f"Question: {row['prompt']}\nAnswer:", "completion": f" {answer}"}


def load(name: str) -> datasets.Dataset:
    rows = datasets.load_dataset("json", data_files=str(QUICKSTART / name), split="train")
    return rows.map(to_prompt, remove_columns=rows.column_names)


class Report(TrainerCallback):
    """Evaluates ten times, reports each to Optuna, and stops training where it says so."""

    def __init__(self, trial: optuna.Trial, num_steps: int) -> None:
        self.trial, self.num_done, self.loss, self.pruned = trial, 0, math.inf, False
        self.steps = {math.ceil(num_steps * (i + 1) / NUM_EVALS) for i in range(NUM_EVALS)}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_evaluate = state.global_step in self.steps

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        self.num_done, self.loss = self.num_done + 1, metrics["eval_loss"]
        self.trial.report(self.loss, self.num_done)  # steps of different batches do not compare
        if self.num_done < NUM_EVALS and self.trial.should_prune():
            self.pruned = control.should_training_stop = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(QUICKSTART / "base")
    train, held_out = load("train.jsonl"), load("eval.jsonl")
    best = math.inf

    def objective(trial: optuna.Trial) -> float:
        nonlocal best
        learning_rate = trial.suggest_float("learning_rate", 1e-5, 3e-2, log=True)
        batch_size = trial.suggest_categorical("batch_size", BATCH_SIZES)
        num_steps = math.ceil(SAMPLES / batch_size)
        report = Report(trial, num_steps)
        trainer = SFTTrainer(
            AutoModelForCausalLM.from_pretrained(QUICKSTART / "base", dtype=torch.float32),
            SFTConfig(
                output_dir=str(given.out / "trainer"),
                max_steps=num_steps,
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=64,
                learning_rate=learning_rate,
                lr_scheduler_type="constant",
                adam_beta2=0.95,
                max_grad_norm=1.0,
                max_length=64,
                bf16=False,
                gradient_checkpointing=False,
                seed=given.seed,
                eval_strategy="no",  # the callback says when
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=torch.cuda.is_available(),
            ),
            train_dataset=train,
            eval_dataset=held_out,
            processing_class=tokenizer,
            callbacks=[report],
        )
        trainer.train()
        if report.pruned:
            raise optuna.TrialPruned
        if report.loss < best:
            best = report.loss
            trainer.save_model(str(given.out / "best"))
        return report.loss

    study = optuna.create_study(
        storage=f"sqlite:///{given.out / 'optuna.db'}",
        study_name="quickstart",
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=given.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    study.optimize(objective, n_trials=given.trials)
    states = [trial.state.name.lower() for trial in study.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(f"{counts}; best eval_loss {study.best_value:.4f} with {study.best_params}")


if __name__ == "__main__":
    main()
