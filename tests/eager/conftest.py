"""Coordinators of both kinds, behind one name."""

import pytest

from coordinator.client import Coordinator


@pytest.fixture(params=["coordinator", "live_coordinator"])
def anywhere(request: pytest.FixtureRequest) -> Coordinator:
    """A coordinator in eager mode, and one with worker threads: the same must hold on both."""
    found: Coordinator = request.getfixturevalue(request.param)
    return found
