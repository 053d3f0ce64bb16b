"""Coordinators of both kinds, for the steps of the flow language."""

from __future__ import annotations

import pytest

from handoffs import Coordinator


@pytest.fixture(params=["coordinator", "live_coordinator"])
def running(request: pytest.FixtureRequest) -> Coordinator:
    """Eager, and embedded."""
    found: Coordinator = request.getfixturevalue(request.param)
    return found
