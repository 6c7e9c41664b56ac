"""Configurations as columns, as clusters, and in what they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from predictor.evidence.correlations import Codes, Floats
from predictor.features import config_columns, standardise


def controls_of(configs: Sequence[Mapping[str, object]], clusters: Codes) -> dict[str, Floats]:
    """Columns that stand for the configuration, those that say most first; each (num_runs, p)."""
    linear = standardise(config_columns(configs))
    linear = linear[:, np.abs(linear).max(axis=0, initial=0.0) > 0]
    num = linear.shape[1]
    if num == 0:
        return {}
    pairs = [linear[:, i] * linear[:, j] for i in range(num) for j in range(i, num)]
    found = {"quadratic": np.column_stack([linear, *pairs]), "linear": linear}
    if len(np.unique(clusters)) < len(configs):
        found["label"] = np.eye(int(clusters.max()) + 1)[clusters]
    return found


def clusters_of(configs: Sequence[Mapping[str, object]]) -> Codes:
    """A number for each run (num_runs,), equal for the seeds of one configuration."""
    keys = [json.dumps(dict(config), sort_keys=True, default=str) for config in configs]
    return np.unique(keys, return_inverse=True)[1].reshape(-1)


def varying(configs: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """The names of parameters in which the configurations differ, sorted."""
    keys = sorted({key for config in configs for key in config})
    return tuple(key for key in keys if len({str(config.get(key)) for config in configs}) > 1)
