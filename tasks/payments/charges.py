"""Charges: what the gateway answered, and to which idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Authorisation:
    """The gateway's answer.

    ``code`` is the authorisation code, the same for the same key at all times, and empty when the
    card was declined; ``decline_code`` is None when it was approved.  ``replayed`` is True when
    the answer came from memory.
    """

    approved: bool
    code: str
    decline_code: str | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class Charge:
    """One idempotency key that the gateway answered; ``amount`` in main units, ``charged_at`` in UTC."""

    idempotency_key: str
    fingerprint: str
    last_four: str
    amount: Decimal
    currency: str
    approved: bool
    code: str
    decline_code: str | None
    charged_at: datetime


@dataclass(frozen=True, slots=True)
class Charges:
    """All that the gateway answered, in the order of the keys; ``count`` includes the declined."""

    count: int
    approved: int
    charges: tuple[Charge, ...]
