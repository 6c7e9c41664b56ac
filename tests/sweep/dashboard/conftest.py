"""A study that optuna-dashboard can show, written by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.optuna_studies import with_optuna


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_optuna(tmp_path_factory.mktemp("model") / "demo", others=["another"])


@pytest.fixture
def study(model: Path, tmp_path: Path) -> Path:
    """Its folder, of a name that is awkward in a URL; the storage has another study too."""
    return shutil.copytree(model, tmp_path / "a #study")
