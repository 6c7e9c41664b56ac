"""An ordinary Optuna study over TRL's SFTTrainer, and the two lines that prune it early.

    python -m examples.optuna_trl

Eight trials on the quickstart's model and data, one after the other: about two minutes of a CPU
core. Run it again to add eight more to the same study; runs in other terminals share it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import optuna
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from predictor.adapters import EarlyDynamicsCallback, EarlyDynamicsPruner

QUICKSTART = Path(__file__).parents[1] / "studies" / "quickstart"


def read(name: str, num_rows: int) -> Dataset:
    """Prompts with their completions; of the held-out questions the right choice."""
    lines = (QUICKSTART / name).read_text(encoding="utf-8").splitlines()[:num_rows]
    rows = [json.loads(line) for line in lines]
    answers = [r["completion"] if "completion" in r else r["choices"][r["answer"]] for r in rows]
    return Dataset.from_list(
        [
            {"prompt": f"Question: {row['prompt']}\nAnswer:", "completion": f" {answer}"}
            for row, answer in zip(rows, answers, strict=True)
        ]
    )


def main(
    num_trials: int = 8, num_rows: int = 2048, storage: str = "sqlite:///optuna_trl.db"
) -> optuna.Study:
    torch.set_num_threads(1)  # the model is tiny
    train, held_out = read("train.jsonl", num_rows), read("eval.jsonl", 64)

    def objective(trial: optuna.Trial) -> float:
        with tempfile.TemporaryDirectory() as folder:
            trainer = SFTTrainer(
                AutoModelForCausalLM.from_pretrained(QUICKSTART / "base", dtype="float32"),
                SFTConfig(
                    output_dir=folder,
                    learning_rate=trial.suggest_float("learning_rate", 1e-5, 3e-2, log=True),
                    per_device_train_batch_size=trial.suggest_categorical("batch", [8, 16, 32]),
                    lr_scheduler_type="constant",
                    num_train_epochs=1,
                    logging_steps=1,  # the loss and the gradient norm of every step
                    eval_strategy="steps",
                    eval_steps=0.1,  # ten times; the first is where the window ends
                    save_strategy="no",
                    bf16=False,
                    gradient_checkpointing=False,
                    disable_tqdm=True,
                ),
                train_dataset=train,
                eval_dataset=held_out,
                processing_class=AutoTokenizer.from_pretrained(QUICKSTART / "base"),
                callbacks=[EarlyDynamicsCallback(trial)],  # <- one
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            return trainer.evaluate()["eval_loss"]

    study = optuna.create_study(
        storage=storage,
        study_name="optuna_trl",
        load_if_exists=True,
        pruner=EarlyDynamicsPruner(window=0.1, risk=0.1),  # <- two
    )
    study.optimize(objective, n_trials=num_trials)
    for trial in study.get_trials():
        verdict = trial.user_attrs.get("early_dynamics:verdict", {"reason": "not judged"})
        print(f"trial {trial.number} {trial.state.name}: {verdict['reason']}")
    print(f"best: trial {study.best_trial.number}, eval loss {study.best_value:.4f}")
    return study


if __name__ == "__main__":
    main()
