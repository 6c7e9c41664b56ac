"""Somebody's script under torchrun: process 0 has the study, and the others learn from it.

Writes RANK.json into a folder: how each trial ended for that process, and at which step.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.trial import TrialState
from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainingArguments

from predictor.adapters import EarlyDynamicsCallback, EarlyDynamicsPruner


def script(base: str, rank: int) -> list[tuple[str, int]]:
    """Three that learn, one that cannot, one whose window is not the study's."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = EarlyDynamicsPruner(window=0.25, risk=0.999, max_expected_misses=1000.0, audit=0.0)
    study = optuna.create_study(pruner=pruner) if rank == 0 else None
    seen: list[tuple[str, int]] = []
    for lr in (1e-2, 3e-3, 1e-3, 1e-5, 1e-3):
        if len(seen) == 4:
            pruner.window = 0.5
        trial = study.ask({"lr": optuna.distributions.FloatDistribution(lr, lr)}) if study else None
        ended, step, loss = train(base, lr, trial)
        seen.append((ended, step))
        if study is not None and trial is not None:
            state = {"": TrialState.COMPLETE, "TrialPruned": TrialState.PRUNED}
            study.tell(trial, loss, state.get(ended, TrialState.FAIL))
    return seen


def train(base: str, lr: float, trial: Any) -> tuple[str, int, float | None]:
    rows: Any = [{"input_ids": [i % 7, 3, 4, 5], "labels": [i % 7, 3, 4, 5]} for i in range(96)]
    args = TrainingArguments(
        output_dir=str(Path(base) / "out"),
        learning_rate=lr,
        per_device_train_batch_size=4,
        num_train_epochs=1,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=3,
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        ddp_find_unused_parameters=False,
    )
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    callback: Any = EarlyDynamicsCallback(trial)
    trainer = Trainer(model, args, train_dataset=rows, eval_dataset=rows[:8], callbacks=[callback])
    trainer.remove_callback(PrinterCallback)
    try:
        trainer.train()
    except (optuna.TrialPruned, ValueError, RuntimeError) as error:
        return type(error).__name__, trainer.state.global_step, None
    return "", trainer.state.global_step, trainer.evaluate()["eval_loss"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    base, folder = sys.argv[1:]
    rank = int(os.environ["RANK"])
    Path(folder, f"{rank}.json").write_text(json.dumps(script(base, rank)))
