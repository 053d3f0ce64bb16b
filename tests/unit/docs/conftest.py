"""Landscapes that several tests describe."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft7Validator

from handoffs.config.settings import Settings
from handoffs.contracts.reference.payments import FraudScored
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.model import Landscape
from handoffs.coordinator.flow.loading import load_modules
from tests.eager.shop import Shop
from tests.unit.docs.described import (
    OFFICIAL,
    Level,
    entry,
    landscape,
)


@pytest.fixture(scope="module")
def payments() -> Landscape:
    """The reference system, with one contract published in two versions."""
    published = (
        entry(Level, keys=("payment_id",)),
        entry(FraudScored, upcast=True, downcast="the score within its level"),
    )
    return gather(load_modules(["handoffs.tasks.payments"]), Settings(), published)


@pytest.fixture(scope="module")
def shop() -> Landscape:
    """Flows of every shape: chains, branches, branches within branches, joins."""
    return landscape(*Shop().flows.values())


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    """The schema that the AsyncAPI Initiative publishes."""
    return Draft7Validator(json.loads(OFFICIAL.read_text("utf-8")))
