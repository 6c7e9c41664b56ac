"""The questions of tasks as they are put to a model: made once, all of them, and asked in parts.

Examples before a question are drawn from one stream in the questions' order. So all prompts are
made first, as the harness's command line makes them, and a look asks a part of these.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainer.evaluation.harness_model import HarnessModel
from trainer.evaluation.tasks import quiet


class Asked:
    """A task to the harness, with the questions that are to be asked, and no others."""

    def __init__(self, task: Any, docs: Sequence[Any], questions: Sequence[Sequence[Any]]) -> None:
        """`questions`: the requests of each of the `docs`."""
        self._task, self._docs = task, docs
        self.instances: list[Any] = []
        for place, requests in enumerate(questions):
            for request in requests:
                fresh = copy.copy(request)
                fresh.doc_id, fresh.resps, fresh.filtered_resps = place, [], {}
                self.instances.append(fresh)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    @property
    def eval_docs(self) -> Sequence[Any]:
        """What is asked about."""
        return self._docs

    def build_all_requests(self, **_: Any) -> None:
        """Nothing: they are there."""

    def doc_iterator(self, **_: Any) -> Iterator[tuple[int, Any]]:
        """What is asked about, each with its place."""
        return iter(enumerate(self._docs))

    def apply_filters(self) -> None:
        """The answers as the task reads them."""
        for each in self._task._filters:
            each.apply(self.instances)


class TaskQuestions:
    """All questions of a task: `requests` of each, as they were made for the model's tokenizer."""

    def __init__(self, task: Any, asker: HarnessModel, chat: bool) -> None:
        with quiet():
            task.build_all_requests(
                apply_chat_template=chat,
                fewshot_as_multiturn=chat,
                chat_template=asker.apply_chat_template if chat else None,
                tokenizer_name=asker.tokenizer_name if chat else "",
            )
        self.task = task
        self.requests: list[list[Any]] = []
        for instance in task.instances:
            if instance.doc_id == len(self.requests):
                self.requests.append([])
            self.requests[instance.doc_id].append(instance)
        task._instances = None  # they are kept here

    def __len__(self) -> int:
        return len(self.requests)

    def asked(self, kept: Sequence[int] | None = None) -> Asked:
        """The task with the questions at the places `kept`; None: all."""
        rows = self.requests if kept is None else [self.requests[place] for place in kept]
        return Asked(self.task, [row[0].doc for row in rows], rows)

    def groups(self) -> list[str]:
        """What each question belongs to, where rows of one's own say so; else the task's name."""
        name = self.task.task_name
        return [str(row[0].doc.get("group") or name) for row in self.requests]


def digest(tasks: Mapping[str, TaskQuestions]) -> str:
    """Of all that is asked, and of the right answers: the same for the same questions."""
    found = hashlib.sha256()
    for name, questions in tasks.items():
        found.update(name.encode())
        for row in questions.requests:
            target = questions.task.doc_to_target(row[0].doc)
            told = [[request.args for request in row], target]
            found.update(json.dumps(told, default=str, ensure_ascii=True).encode())
    return found.hexdigest()
