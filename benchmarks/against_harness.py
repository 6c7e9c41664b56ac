"""A base model's benchmarks by our metric, beside the harness's own command line.

    python -m benchmarks.against_harness MODEL QUESTIONS OUT [--num 100] [--only TASK ...]

QUESTIONS: a folder of {arc_easy,piqa,hellaswag,mmlu}_*.jsonl with {prompt, choices, answer, group}
rows. They are written in the Hub's own layout, so that the harness's own task files read them
(hellaswag has a file of its own: the rows lack its activity labels). Prints a line for each task:
both values and whether each question's score is the same; then what choice_accuracy says of
arc_easy and piqa, and the seconds that each took.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import lm_eval.tasks
import numpy as np
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.contract.spec import BenchmarkSpec, DataSpec
from trainer.data.notes import Notes
from trainer.data.rows import read_source
from trainer.data.sources import Maker, choice_table
from trainer.data.store import save_table
from trainer.evaluation.evaluator import Evaluator

HARNESS = Path(lm_eval.tasks.__file__).parent
TASKS = {"arc_easy": "acc_norm", "piqa": "acc_norm", "hellaswag": "acc_norm", "mmlu": "acc"}
Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("model", "questions", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--num", type=int, default=100, help="questions of each task")
    parser.add_argument("--only", nargs="+", default=list(TASKS), choices=TASKS)
    given = parser.parse_args(arguments)
    for name in set(TASKS) - set(given.only):
        del TASKS[name]
    given.out.mkdir(parents=True)
    tasks = write_tasks(given.questions, given.out.resolve(), given.num)
    ours, seconds = by_us(given.model, tasks, given.out)
    theirs, their_seconds = by_their_command(given.model, tasks, given.out)
    for name, score in TASKS.items():
        value, rows = ours[name]
        samples = [
            one
            for task in theirs["samples"]
            if belongs(task, name)
            for one in theirs["samples"][task]
        ]
        same = sum(a == b[score] for a, b in zip(rows, samples, strict=True))
        their_value = theirs["results"][f"{name}_here"][f"{score},none"]
        print(
            f"{name:10} {score:8} ours {value!r} theirs {their_value!r} "
            f"equal {value == their_value}; {same} of {len(rows)} questions the same"
        )
    print(
        f"seconds: ours {seconds:.0f} (measuring), theirs {their_seconds:.0f} (the whole command)"
    )
    for name in {"arc_easy", "piqa"} & set(TASKS):
        print(name, "choice_accuracy", by_choice_accuracy(given.model, given.out, name))


def belongs(task: str, name: str) -> bool:
    return task.startswith("mmlu_") if name == "mmlu" else task == f"{name}_here"


def write_tasks(questions: Path, out: Path, num: int) -> Path:
    """The folder of the tasks arc_easy_here, piqa_here, hellaswag_here and mmlu_here."""
    tasks = out / "tasks"
    tasks.mkdir()
    rows = {name: read(questions, name) for name in ("arc_easy", "piqa", "hellaswag", "mmlu")}
    for name in ("arc_easy", "piqa", "hellaswag"):
        write(out / "rows" / f"{name}.jsonl", rows[name][:num])
    arc = [
        {
            "question": row["prompt"],
            "choices": {"text": row["choices"], "label": list("ABCDE"[: len(row["choices"])])},
            "answerKey": "ABCDE"[row["answer"]],
        }
        for row in rows["arc_easy"][:num]
    ]
    piqa = [
        {
            "goal": row["prompt"],
            "sol1": row["choices"][0],
            "sol2": row["choices"][1],
            "label": row["answer"],
        }
        for row in rows["piqa"][:num]
    ]
    write(out / "data/arc/test.jsonl", arc)
    write(out / "data/piqa/validation.jsonl", piqa)
    built_in("arc_easy", HARNESS / "arc/arc_easy.yaml", tasks, out / "data/arc")
    built_in("piqa", HARNESS / "piqa/piqa.yaml", tasks, out / "data/piqa")
    (tasks / "hellaswag.yaml").write_text(
        yaml.safe_dump(
            {
                "task": "hellaswag_here",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": str(out / "rows/hellaswag.jsonl")}},
                "output_type": "multiple_choice",
                "test_split": "test",
                "doc_to_text": "{{prompt}}",
                "doc_to_choice": "choices",
                "doc_to_target": "answer",
                "target_delimiter": "",
                "metric_list": [
                    {"metric": name, "aggregation": "mean", "higher_is_better": True}
                    for name in ("acc", "acc_norm")
                ],
            }
        )
    )
    subjects: dict[str, list[Row]] = defaultdict(list)
    for row in rows["mmlu"]:
        subjects[row["group"]].append(
            {"question": row["prompt"], "choices": row["choices"], "answer": row["answer"]}
        )
    each = max(1, round(num / len(subjects)))
    configs = []
    for subject, own in subjects.items():
        for split in ("test", "dev"):
            write(out / "data/mmlu" / subject / f"{split}.jsonl", own[:each])
        files = [{"split": split, "path": f"{subject}/{split}.jsonl"} for split in ("test", "dev")]
        configs.append({"config_name": subject, "data_files": files})
    front = yaml.safe_dump({"configs": configs})
    (out / "data/mmlu/README.md").write_text(f"---\n{front}---\n")
    (tasks / "mmlu.yaml").write_text(
        yaml.safe_dump(
            {
                "group": "mmlu_here",
                "task": [{"group": "mmlu", "dataset_path": str(out / "data/mmlu")}],
                "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
            }
        )
    )
    return tasks


def read(questions: Path, name: str) -> list[Row]:
    file = questions / f"{name}_test.jsonl"
    file = file if file.is_file() else questions / f"{name}_dev.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def write(file: Path, rows: list[Row]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(map(json.dumps, rows)))


def built_in(name: str, file: Path, tasks: Path, data: Path) -> None:
    split = "test" if name == "arc_easy" else "validation"
    task = {
        "include": str(file),
        "task": f"{name}_here",
        "dataset_path": str(data),
        "dataset_name": None,
        "training_split": None,
        "validation_split": None,
        "test_split": None,
        f"{split}_split": split,
    }
    (tasks / f"{name}.yaml").write_text(yaml.safe_dump(task))


def by_us(
    model: Path, tasks: Path, out: Path
) -> tuple[dict[str, tuple[float, list[float]]], float]:
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    evaluator = make_evaluator(model, out, BenchmarkSpec(tasks=str(tasks)))
    metrics = {name: f"lm_eval:{name}_here" for name in TASKS}
    evaluator.prepare(tuple(metrics.values()), loaded.config)
    found, seconds = {}, 0.0
    for name, metric in metrics.items():
        measured, rows = evaluator.measure(metric, loaded, lambda: None)
        found[name] = measured.value, rows.scores.tolist()
        seconds += measured.seconds
        print(
            f"{name:10} {measured.value!r} +- {measured.stderr:.4f}, {measured.num} questions, "
            f"{measured.input_tokens} tokens, {measured.seconds:.0f} s",
            flush=True,
        )
    return found, seconds


def make_evaluator(model: Path, out: Path, spec: BenchmarkSpec) -> Evaluator:
    return Evaluator(out, torch.float32, AutoTokenizer.from_pretrained(model), spec)


def by_their_command(model: Path, tasks: Path, out: Path) -> tuple[Any, float]:
    began = time.perf_counter()
    command = [
        *(sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu"),
        *("--model_args", f"pretrained={model},dtype=float32", "--batch_size", "8"),
        *("--include_path", str(tasks), "--output_path", str(out / "cli"), "--log_samples"),
        *("--tasks", ",".join(f"{name}_here" for name in TASKS)),
    ]
    print(*command, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    (file,) = (out / "cli").rglob("results_*.json")
    found = json.loads(file.read_text())
    found["samples"] = {}
    for samples in sorted((out / "cli").rglob("samples_*.jsonl")):
        name = samples.name.removeprefix("samples_").rsplit("_", 1)[0]
        found["samples"][name] = [json.loads(line) for line in samples.read_text().splitlines()]
    # in the order that the harness asked its tasks in
    found["samples"] = {name: found["samples"][name] for name in found["n-samples"]}
    return found, seconds


def by_choice_accuracy(model: Path, out: Path, name: str) -> str:
    data = DataSpec(choices=str(out / "rows" / f"{name}.jsonl"))
    tokenizer = AutoTokenizer.from_pretrained(model)
    source = read_source(str(data.choices), "test", out)
    table = choice_table(Maker(data, tokenizer, None, lambda: None), Notes(source), "text")
    folder = out / f"choices-{name}"
    save_table(table.to_arrow(), folder / "choices")
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    evaluator = make_evaluator(model, folder, BenchmarkSpec())
    measured, rows = evaluator.measure("choice_accuracy", loaded, lambda: None)
    return f"{measured.value!r}, {int(np.sum(rows.scores))} of {measured.num}"


if __name__ == "__main__":
    main()
