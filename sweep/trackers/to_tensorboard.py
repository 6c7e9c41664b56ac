"""TensorBoard: a folder of event files for each run, written without torch or TensorFlow."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sweep.trackers.runs import End, Point, Run


class TensorBoard:
    """A `Tracker`. A run that is opened is written anew, for event files can only grow."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of all runs of the study."""
        self.folder = folder
        self.where = f"{folder}; to look at it: tensorboard --logdir {folder}"
        self._writers: dict[str, Any] = {}
        writer = import_module("tensorboard.summary.writer.event_file_writer")
        self._new_writer: Any = writer.EventFileWriter
        self._event: Any = import_module("tensorboard.compat.proto.event_pb2").Event
        self._proto: Any = import_module("tensorboard.compat.proto.summary_pb2")
        self._tensors: Any = import_module("tensorboard.compat.proto.tensor_pb2")
        self._shapes: Any = import_module("tensorboard.compat.proto.tensor_shape_pb2")
        self._hparams: Any = import_module("tensorboard.plugins.hparams.summary_v2")
        self._text: Any = import_module("tensorboard.plugins.text.metadata")

    def open(self, run: Run) -> int:
        """0: what was there of the run is gone."""
        folder = self.folder / run.name
        shutil.rmtree(folder, ignore_errors=True)
        self._writers[run.key] = self._new_writer(str(folder))
        self._add(run, 0, self._hparams.hparams_pb(dict(run.config), trial_id=run.key))
        return 0

    def log(self, run: Run, points: Sequence[Point]) -> None:
        """A scalar for each value; they are on disk."""
        for point in points:
            scalar = self._proto.Summary.Value
            values = [scalar(tag=tag, simple_value=value) for tag, value in point.values.items()]
            self._add(run, point.step, self._proto.Summary(value=values))
        self._writers[run.key].flush()

    def close(self, run: Run, step: int, end: End) -> None:
        """The final values at the last step, the verdict as text."""
        self.log(run, [Point(step, end.values)])
        texts = {**end.texts, "tags": ", ".join(end.tags)}
        values = [self._text_value(name, text) for name, text in texts.items()]
        self._add(run, step, self._proto.Summary(value=values))
        self._writers.pop(run.key).close()

    def _add(self, run: Run, step: int, summary: Any) -> None:
        event = self._event(wall_time=time.time(), step=step, summary=summary)
        self._writers[run.key].add_event(event)

    def _text_value(self, name: str, text: str) -> Any:
        one = self._shapes.TensorShapeProto.Dim(size=1)
        tensor = self._tensors.TensorProto(
            dtype="DT_STRING",
            string_val=[text.encode()],
            tensor_shape=self._shapes.TensorShapeProto(dim=[one]),
        )
        metadata = self._text.create_summary_metadata(display_name=name, description="")
        return self._proto.Summary.Value(
            tag=f"{name}/text_summary", metadata=metadata, tensor=tensor
        )
