"""The outside systems as this process reaches them: one client a URL."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

from handoffs.config.settings import Settings
from handoffs.tasks.payments.gateway import CardGateway
from handoffs.tasks.payments.ledger import Ledger

_BUSY = timedelta(milliseconds=100)


def gateway(settings: Settings) -> CardGateway:
    """The card gateway that the settings name."""
    return _gateway(settings.payments.gateway_url or "sqlite:///payments-gateway.sqlite3")


def ledger(settings: Settings) -> Ledger:
    """The ledger that the settings name. A locked database is given 100 ms; then the retry policy rules."""
    return _ledger(settings.payments.ledger_url or "sqlite:///payments-ledger.sqlite3")


@cache
def _gateway(url: str) -> CardGateway:
    return CardGateway(url)


@cache
def _ledger(url: str) -> Ledger:
    return Ledger(url, busy_timeout=_BUSY)
