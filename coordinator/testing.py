"""The pytest plugin: flows and agents in a test, without a server.

``coordinator`` runs every step at once, in the test's own thread, through the real envelope: serialised, validated,
idempotent, parked where it fails. ``live_coordinator`` runs them in worker threads with a broker and a Redis of its own,
so that waiting, retrying and redelivery are real too. Both are fresh in each test.

Pytest loads this module in every suite of every environment that has the package, so nothing but pytest is imported before a
fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from handoffs.config.settings import Settings
    from handoffs.coordinator.client.coordinator import Coordinator


@pytest.fixture
def coordinator_settings() -> Settings:
    """The settings of the test's coordinators: the defaults, whatever the environment says. Override it for others."""
    from handoffs.config.settings import Settings  # noqa: PLC0415 - for those alone who ask for it

    return Settings.model_construct(
        **{name: field.get_default() for name, field in Settings.model_fields.items()}
    )


@pytest.fixture
def coordinator(coordinator_settings: Settings) -> Iterator[Coordinator]:
    """A coordinator in eager mode: ``start()`` returns when the run has ended or is parked."""
    from handoffs.coordinator.client.coordinator import Coordinator  # noqa: PLC0415 - for those alone who ask for it

    with Coordinator(coordinator_settings.model_copy(update={"eager": True})) as eager:
        yield eager


@pytest.fixture
def live_coordinator(coordinator_settings: Settings) -> Iterator[Coordinator]:
    """A coordinator with embedded servers and worker threads: ``start()`` returns at once."""
    from handoffs.coordinator.client.coordinator import Coordinator  # noqa: PLC0415 - for those alone who ask for it

    with Coordinator(coordinator_settings) as live:
        yield live
