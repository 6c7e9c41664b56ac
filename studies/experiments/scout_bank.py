"""Make the bank of sweeps with looks: `python -m studies.experiments.scout_bank OUT [DIR/X]`.

The quickstart's base on three mixes: 24 configurations drawn at random, each with two orders of the
data, all trained to their end; at five looks and at the end both metrics and the margin of the
choices are measured. A study that was interrupted goes on where it stands. With DIR/X, what is
settled in OUT becomes the recorded set X instead: each mix twice, once an objective.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from predictor.recorded.files import write_frames
from studies.experiments.bank import make_mix, run
from sweep.analysis.recorded.settled import SettledStudy, settled_studies
from sweep.analysis.recorded.tables import tables_of
from sweep.storage.ledger import TrialRow

MIXES = ("retention", "acquisition", "mixed")
OBJECTIVES = {"loss": "eval_loss", "choices": "choice_accuracy"}
NUM_CONFIGURATIONS = 24
SETTINGS = (
    "search.sampler=random",
    "search.space.learning_rate={low: 1.0e-5, high: 3.0e-2, log: true}",
    "search.space.batch_size={choices: [8, 16, 32, 64]}",
    "search.space.schedule={choices: [constant, linear, cosine]}",
    "search.space.warmup_ratio={low: 0.0, high: 0.1}",
    "search.space.weight_decay={choices: [0.0, 0.01, 0.1]}",
    "budget.samples=3072",
    "pruning.mode=scout",
    "pruning.window=0.05",
    "pruning.min_steps=2",
    "pruning.looks=[0.1, 0.2, 0.3, 0.5]",
    "pruning.early_eval=256",
    f"run.trials={NUM_CONFIGURATIONS}",
    "run.seed=0",
    "run.workers=2",
)
CONFIRM = f"run.confirm={{top: {NUM_CONFIGURATIONS}, seeds: 1}}"  # all of them, in another order
LEFT_OUT = ["seconds", "fraction"]  # columns of steps: of a busy machine, and step / horizon
NARROW = ["loss", "grad_norm", "lr", "grad_sq_noise_free", "grad_sq_noise"]  # to seven digits


def make(out: Path) -> None:
    for mix in MIXES:
        make_mix(out / f"data-{mix}", mix)
    for confirm in ((), (CONFIRM,)):
        for mix in MIXES:
            settings = [f"name=quickstart-looks-{mix}", *SETTINGS, *confirm]
            run(out / mix, "quickstart", out / f"data-{mix}", settings)


def record(out: Path, prefix: Path) -> None:
    """Replicates are ordinary runs where every configuration has one: nothing chose them."""
    texts = [str(out / mix) for mix in MIXES if (out / mix).is_dir()]
    with settled_studies(texts) as studies:
        groups = [
            by_objective(study, f"{study.row.name}-{name}", metric)
            for study in studies
            for name, metric in OBJECTIVES.items()
        ]
        tables = tables_of(groups)
    runs: Any = tables.runs
    for group in set(runs["group"]):
        own = runs["group"] == group
        if runs.loc[own, "confirms"].notna().sum() * 2 == own.sum():
            runs.loc[own, "confirms"] = None
    steps: Any = tables.steps.drop(columns=LEFT_OUT)
    write_frames(prefix, runs, steps.astype(dict.fromkeys(NARROW, "float32")))


def by_objective(study: SettledStudy, name: str, metric: str) -> SettledStudy:
    """The study as one of that name that optimizes `metric`, which it measured."""
    before = study.row.document["objective"]["metric"]
    document = {
        **study.row.document,
        "objective": {**study.row.document["objective"], "metric": metric},
    }
    trials = [_trial_by(trial, before, metric) for trial in study.trials]
    return replace(study, row=replace(study.row, name=name, document=document), trials=trials)


def _trial_by(trial: TrialRow, before: str, metric: str) -> TrialRow:
    measured = (trial.measurements or {}).get(metric)
    return replace(
        trial,
        window=None if trial.window is None else _look_by(trial.window, before, metric),
        looks=[_look_by(look, before, metric) for look in trial.looks or ()],
        objective=None if measured is None else measured["value"],
    )


def _look_by(look: Mapping[str, Any], before: str, metric: str) -> dict[str, Any]:
    if metric == before or look["early_eval"] is None:
        return dict(look)
    keys = {"value": "early_eval", "num": "early_eval_num", "stderr": "early_eval_stderr"}
    others = dict(look["early_others"])
    own = others.pop(metric)
    others[before] = {name: look[key] for name, key in keys.items()}
    return {
        **look,
        **{key: own[name] for name, key in keys.items()},
        "early_others": dict(sorted(others.items())),
    }


def main(folder: str, prefix: str | None = None) -> None:
    out = Path(folder).absolute()
    if prefix is None:
        make(out)
    else:
        record(out, Path(prefix))


if __name__ == "__main__":
    main(*sys.argv[1:])
