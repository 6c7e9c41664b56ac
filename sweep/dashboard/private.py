"""Every private name of optuna-dashboard, and of Optuna for it, that sweep uses; each is tried in
test_private.py. Its minor version is pinned in pyproject.toml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from optuna.storages import RDBStorage

from sweep.storage.optuna_reader import read_only_arguments

Attributes = dict[str, str | int]
Overlay = Callable[[Mapping[int, int]], Attributes]
"""(database ids of the trials by their numbers) -> what stands beside the study's own attributes"""


class ReadOnlyStudy(RDBStorage):
    """A storage that holds one study, with an overlay on its attributes, and takes no write."""

    def __init__(self, url: str, study: str, overlay: Overlay) -> None:
        """As the database itself refuses writes."""
        self._study, self._overlay = study, overlay
        super().__init__(**read_only_arguments(url))

    def get_all_studies(self) -> list[Any]:
        """The one study."""
        found = [one for one in super().get_all_studies() if one.study_name == self._study]
        for one in found:
            study_id: int = one._study_id  # pyright: ignore[reportPrivateUsage]
            trials = self.get_all_trials(study_id, deepcopy=False)
            ids = {t.number: t._trial_id for t in trials}  # pyright: ignore[reportPrivateUsage]
            one.system_attrs = {**one.system_attrs, **self._overlay(ids)}
        return found

    @property
    def study_id(self) -> int:
        """Of its page: /dashboard/studies/ID."""
        return self.get_study_id_from_name(self._study)


def application(storage: ReadOnlyStudy) -> Any:
    """The dashboard as a WSGI application."""
    return import_module("optuna_dashboard").wsgi(storage)


def note(markdown: str, trial_id: int | None = None) -> Attributes:
    """A study's attributes that show a note on a trial; None: on the study."""
    notes: Any = import_module("optuna_dashboard._note")
    body: dict[str, str] = notes.split_body(markdown, trial_id)
    return {notes.note_ver_key(trial_id): 1, **body}


def figure(name: str, plotly: Mapping[str, Any]) -> Attributes:
    """A study's attributes that show a figure of plotly's on its page; `name`: letters, digits and
    - _ . alone."""
    plots: Any = import_module("optuna_dashboard._custom_plot_data")
    prefix = f"{plots.SYSTEM_ATTR_PLOT_DATA}{name}:"
    return plots.split_plot_data(json.dumps(plotly), prefix)
