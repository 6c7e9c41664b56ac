"""Study files as objects, without a file."""

from __future__ import annotations

from typing import Any

from sweep.config.study import Study

RATE = {"low": 1e-6, "high": 1e-2, "log": True}


def make_study(entries: dict[str, Any] | None = None, **sections: Any) -> Study:
    entries = {"learning_rate": RATE, "batch_size": {"choices": [4, 8, 16]}} | (entries or {})
    document: dict[str, Any] = {
        "name": "try",
        "model": {"base": "org/model"} | sections.pop("model", {}),
        "data": sections.pop("data", {"train": "org/rows", "eval": "org/rows:test"}),
        "search": {"space": entries} | sections.pop("search", {}),
        "budget": {"samples": 1000},
    }
    return Study.model_validate(document | sections)
