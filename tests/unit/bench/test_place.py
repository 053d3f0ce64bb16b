"""Where a benchmark runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.servers import Place


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("amqp://a:b@localhost:5672//", "amqp://a:b@localhost:5672/%2F"),
        ("amqp://a:b@localhost:5672/shop", "amqp://a:b@localhost:5672/shop"),
        ("amqp://a:b@localhost:5672/%2F", "amqp://a:b@localhost:5672/%2F"),
    ],
)
def test_the_vhost_is_spelt_for_all_clients(given: str, plain: str) -> None:
    """Some clients take ``//`` for a vhost without a name."""
    assert Place(given, "", "", "", "", Path(), "").plain_broker_url == plain
