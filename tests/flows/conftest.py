"""Failures are part of these flows: nobody needs to read of each."""

import logging
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.flows.judging")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Celery's traces say nothing about steps that are parked or tried again."""
    logger = logging.getLogger("celery.app.trace")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)
