"""The payments that the embedded benchmark makes."""

from __future__ import annotations

from bench.peers.embedded_payments import payments
from handoffs.tasks.payments.flow import payment


def test_each_is_accepted_and_another() -> None:
    """More payments than the sample has are as many runs: each is accepted, and has a key of its own."""
    found = [payment.accepts.from_data(one) for one in payments(1_500)]
    assert len({one.key() for one in found}) == 1_500
