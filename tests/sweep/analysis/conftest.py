"""What several modules of these tests look at, made once."""

from __future__ import annotations

import pytest

from sweep.analysis.replay_report import ReplayReport
from tests.support.replay_reports import replayed


@pytest.fixture(scope="session")
def alone() -> ReplayReport:
    """Of our policy against training everything."""
    return replayed()


@pytest.fixture(scope="session")
def against_all() -> ReplayReport:
    """Of our policy against every baseline."""
    return replayed(against="all", points=5)
