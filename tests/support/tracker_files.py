"""What trackers hold, read with their own readers, all in the same form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass
class Tracked:
    """A run as its tracker has it."""

    steps: list[int] = field(default_factory=list)  # of train/loss, as often as it was told
    losses: list[float] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)  # the last of each
    texts: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    group: str | None = None
    status: str | None = None


def tensorboard_runs(out: Path) -> dict[str, Tracked]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    found: dict[str, Tracked] = {}
    for folder in (out / "trackers" / "tensorboard").iterdir():
        run = found[folder.name] = Tracked()
        events = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            run.values[tag] = events.Scalars(tag)[-1].value
        if "train/loss" in run.values:
            run.steps = [one.step for one in events.Scalars("train/loss")]
            run.losses = [one.value for one in events.Scalars("train/loss")]
        for tag in events.Tags()["tensors"]:
            if tag.endswith("/text_summary"):
                text = events.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
                run.texts[tag.removesuffix("/text_summary")] = text
        content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        hparams = metadata.parse_session_start_info_plugin_data(content).hparams
        kinds = {key: value.WhichOneof("kind") for key, value in hparams.items()}
        run.config = {key: getattr(hparams[key], kind) for key, kind in kinds.items() if kind}
    return found


def wandb_runs(out: Path) -> dict[str, Tracked]:
    proto: Any = import_module("wandb.proto.wandb_internal_pb2")

    found: dict[str, Tracked] = {}
    for file in (out / "trackers" / "wandb" / "wandb").glob("offline-run-*/*.wandb"):
        run = Tracked()
        for data in _log_records(file.read_bytes()):
            record = proto.Record.FromString(data)
            match record.WhichOneof("record_type"):
                case "run":
                    assert found.setdefault(record.run.display_name, run) is run, file
                    run.group = record.run.run_group
                    run.texts["tags"] = ", ".join(record.run.tags) or run.texts.get("tags", "")
                    for item in record.run.config.update:
                        run.config[item.key] = json.loads(item.value_json)
                case "history":
                    row = {".".join(i.nested_key) or i.key: i for i in record.history.item}
                    if "train/loss" in row:
                        run.steps.append(record.history.step.num)
                        run.losses.append(json.loads(row["train/loss"].value_json))
                    for key, item in row.items():
                        run.values[key] = json.loads(item.value_json)
                case "summary":
                    for item in record.summary.update:
                        value = json.loads(item.value_json)
                        texts = isinstance(value, str)
                        (run.texts if texts else run.values)[item.key] = value
                case "exit":
                    run.status = str(record.exit.exit_code)
                case _:
                    pass
    return found


def _log_records(data: bytes) -> list[bytes]:
    """The records of a file of LevelDB's log format, which wandb writes after 7 bytes of its own:
    blocks of 32 KiB, of chunks with a header of a checksum, a length and a kind."""
    found: list[bytes] = []
    at, part = 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        part += data[at + 7 : at + 7 + length]
        if kind in (1, 4):  # whole, or the last part
            found.append(part)
            part = b""
        at += 7 + length
    return found


def mlflow_runs(out: Path) -> dict[str, Tracked]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{out / 'trackers' / 'mlflow' / 'mlflow.db'}")
    found: dict[str, Tracked] = {}
    for experiment in client.search_experiments():
        for one in client.search_runs([experiment.experiment_id]):
            history = client.get_metric_history(one.info.run_id, "train/loss")
            found[str(one.info.run_name)] = Tracked(
                sorted(point.step for point in history),
                [point.value for point in sorted(history, key=lambda point: point.step)],
                dict(one.data.metrics),
                {key.removeprefix("sweep."): value for key, value in one.data.tags.items()},
                dict(one.data.params),
                experiment.name,
                one.info.status,
            )
    return found


def trackio_runs(out: Path) -> dict[str, Tracked]:
    from trackio.sqlite_storage import SQLiteStorage

    found: dict[str, Tracked] = {}
    for project in SQLiteStorage.get_projects():
        for record in SQLiteStorage.get_run_records(project):
            name, own = record["name"], record["id"]
            name = f"{name} of another study" if name in found else str(name)
            run = found[name] = Tracked()
            for row in SQLiteStorage.get_logs(project, run_id=own):
                if "train/loss" in row:
                    run.steps.append(row["step"])
                    run.losses.append(row["train/loss"])
                for key, value in row.items():
                    (run.texts if isinstance(value, str) else run.values)[key] = value
            run.config = SQLiteStorage.get_run_config(project, run_id=own) or {}
            run.group = run.config["_Group"]
    return found


READERS: dict[str, Callable[[Path], dict[str, Tracked]]] = {
    "tensorboard": tensorboard_runs,
    "wandb": wandb_runs,
    "mlflow": mlflow_runs,
    "trackio": trackio_runs,
}


def tracked(name: str, out: Path) -> dict[str, Tracked]:
    """In a process of its own: these libraries keep threads, files and folders they have seen."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.support.tracker_files", name, str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert said.returncode == 0, said.stderr
    return {run: Tracked(**values) for run, values in json.loads(said.stdout).items()}


if __name__ == "__main__":
    runs = READERS[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({name: vars(run) for name, run in runs.items()}))  # noqa: T201
