"""Reports as JSON values: the one way from a dataclass to what `--json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trainer.contract.streams import finite

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def to_json(report: DataclassInstance) -> dict[str, Any]:
    """The report by its fields' names; what is not finite is None."""
    found: dict[str, Any] = finite(asdict(report))
    return found
