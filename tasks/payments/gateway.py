"""A card gateway to test against: it keeps its memory in SQL, so that all processes see one gateway.

As a real gateway in test mode does, it chooses its behaviour by the number of the test card, and it
answers an idempotency key that it knows from memory.  The answer of a key never changes.

No card number is stored: only its last four digits, and a fingerprint (HMAC-SHA256 with a salt that
the gateway makes for itself), which tells whether two calls used the same card.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    select,
    update,
)

from handoffs.tasks.payments.ledger import (
    BUSY_TIMEOUT,
    MAX_ID_LENGTH,
    UNREACHABLE,
    Access,
    SqlStore,
    UtcDateTime,
    insert_once,
    major_units,
    minor_units,
    reason_of,
    wrong_id,
    wrong_type,
)

CARD_APPROVED: Final = "4242424242424242"
"""Approved."""
CARD_APPROVED_MASTERCARD: Final = "5555555555554444"
"""Approved."""
CARD_APPROVED_AMEX: Final = "378282246310005"
"""Approved; 15 digits."""
CARD_INSUFFICIENT_FUNDS: Final = "4000000000009995"
"""Declined with insufficient_funds."""
CARD_STOLEN: Final = "4000000000009979"
"""Declined with stolen_card."""
CARD_TIMEOUT: Final = "4000000000000119"
"""Approved and charged, but the first call raises GatewayTimeout; the next one is answered."""

APPROVED_CARDS: Final = (CARD_APPROVED, CARD_APPROVED_MASTERCARD, CARD_APPROVED_AMEX)
TEST_CARDS: Final = (*APPROVED_CARDS, CARD_INSUFFICIENT_FUNDS, CARD_STOLEN, CARD_TIMEOUT)

DECLINE_INSUFFICIENT_FUNDS: Final = "insufficient_funds"
DECLINE_STOLEN_CARD: Final = "stolen_card"
DECLINE_NOT_A_TEST_CARD: Final = "not_a_test_card"
"""The answer to any other card number, which may be somebody's: it is never approved."""

_DECLINES: Final = {CARD_INSUFFICIENT_FUNDS: DECLINE_INSUFFICIENT_FUNDS, CARD_STOLEN: DECLINE_STOLEN_CARD}

_METADATA: Final = MetaData()

_CHARGES: Final = Table(
    "gateway_charges",
    _METADATA,
    Column("idempotency_key", String(MAX_ID_LENGTH), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("last_four", String(4), nullable=False),
    Column("amount", BigInteger, nullable=False),  # minor units
    Column("currency", String(3), nullable=False),
    Column("decline_code", String(40), nullable=True),
    Column("charged_at", UtcDateTime, nullable=False),
)

_STATE: Final = Table(  # one row, number 1
    "gateway_state",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("salt", String(64), nullable=False),
    Column("down", Boolean, nullable=False),
)


class GatewayError(Exception):
    """The base of what the gateway itself raises; the arguments are the attributes, in order."""


class InvalidCharge(GatewayError, ValueError):
    """The card number or the idempotency key is unfit; the value is not part of the error."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"The {self.field} {self.reason}, so nothing was charged. Correct the {self.field} and call again."


class GatewayConflict(GatewayError):
    """The idempotency key was used before with another card, amount or currency.

    ``differs`` names what differs: "card", "amount", "currency".
    """

    def __init__(self, idempotency_key: str, differs: tuple[str, ...]) -> None:
        self.idempotency_key = idempotency_key
        self.differs = tuple(differs)
        super().__init__(idempotency_key, self.differs)

    def __str__(self) -> str:
        return (
            f"The idempotency key {self.idempotency_key!r} was used before with another "
            f"{' and '.join(self.differs)}. The first answer stands and nothing was charged now. "
            "Use a key of its own for each payment, or send the first request again unchanged."
        )


class GatewayTimeout(GatewayError):
    """No answer came in time, although the charge may have taken effect."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(idempotency_key)
        self.idempotency_key = idempotency_key

    def __str__(self) -> str:
        return (
            f"The gateway did not answer in time for the idempotency key {self.idempotency_key!r}. The card may "
            "have been charged. Call again with the same key: the gateway answers what it did and charges once."
        )


class GatewayUnavailable(GatewayError):
    """The gateway is switched off, or its database is locked or cannot be reached."""

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(operation, reason)
        self.operation = operation
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The gateway could not answer {self.operation!r}: {self.reason}. A charge under way may or may not "
            "have been made. Call again later with the same idempotency key: a key is charged once."
        )


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


@dataclass(frozen=True, slots=True)
class _Request:
    """A checked request; the amount in minor units, the card number only for as long as the call."""

    idempotency_key: str
    amount: int
    currency: str
    last_four: str
    fingerprint: str
    decline_code: str | None

    def row(self) -> dict[str, Any]:
        return {
            "idempotency_key": self.idempotency_key,
            "fingerprint": self.fingerprint,
            "last_four": self.last_four,
            "amount": self.amount,
            "currency": self.currency,
            "decline_code": self.decline_code,
            "charged_at": datetime.now(UTC),
        }

    def differences(self, stored: Row[Any]) -> tuple[str, ...]:
        pairs = (
            ("card", hmac.compare_digest(self.fingerprint, stored.fingerprint)),
            ("amount", self.amount == stored.amount),
            ("currency", self.currency == stored.currency),
        )
        return tuple(name for name, same in pairs if not same)


def luhn_valid(card_number: str) -> bool:
    """True when the text is 12 to 19 ASCII digits whose last one is the right check digit."""
    if not (card_number.isascii() and card_number.isdigit() and 12 <= len(card_number) <= 19):
        return False
    digits = [int(digit) for digit in reversed(card_number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def authorisation_code(idempotency_key: str) -> str:
    """The code of an approved charge: ten capital letters and digits that follow from the key."""
    digest = hashlib.sha256(b"authorisation code\0" + idempotency_key.encode()).digest()
    return base64.b32encode(digest)[:10].decode()


class CardGateway:
    """The gateway at a URL; any number of threads and processes may use it at once.

    ``busy_timeout`` is how long a call waits for a lock in the database before GatewayUnavailable.
    Raises ValueError for a URL that cannot be shared.
    """

    def __init__(self, url: str, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
        self._store = SqlStore(url, _METADATA, busy_timeout=busy_timeout)

    def __repr__(self) -> str:
        return f"CardGateway({self._store.url!r})"

    def authorise(
        self, *, idempotency_key: str, card_number: str, amount: Decimal, currency: str
    ) -> Authorisation:
        """Charge the card with the amount (main units, as 12.50), once for each idempotency key.

        Raises GatewayTimeout on the first call with CARD_TIMEOUT, after the charge is committed;
        GatewayConflict when the key was used with another card, amount or currency;
        GatewayUnavailable while the gateway is down or its database cannot be used; and
        InvalidCharge, InvalidAmount or UnknownCurrency (all three ValueError) for an unfit request.
        """
        _check(idempotency_key, card_number)
        minor = minor_units(amount, currency)
        with self._transaction("authorise", "write") as connection:
            salt = _open_salt(connection)
            request = _Request(
                idempotency_key=idempotency_key,
                amount=minor,
                currency=currency,
                last_four=card_number[-4:],
                fingerprint=_fingerprint(salt, card_number),
                decline_code=_decline_code(card_number),
            )
            made = insert_once(connection, _CHARGES, request.row())
            stored = connection.execute(
                select(_CHARGES).where(_CHARGES.c.idempotency_key == idempotency_key)
            ).one()
        if made and card_number == CARD_TIMEOUT:
            raise GatewayTimeout(idempotency_key)
        differs = request.differences(stored)
        if differs:
            raise GatewayConflict(idempotency_key, differs)
        return _answer(stored, replayed=not made)

    def down(self) -> None:
        """Switch the gateway off for all processes: from its return on, no call charges anything.

        Raises GatewayUnavailable when the database cannot be used.
        """
        self._switch("down", down=True)

    def up(self) -> None:
        """Switch the gateway on again for all processes.

        Raises GatewayUnavailable when the database cannot be used.
        """
        self._switch("up", down=False)

    def is_down(self) -> bool:
        """True while the gateway is switched off.

        Raises GatewayUnavailable when the database cannot be used.
        """
        with self._transaction("is_down", "read") as connection:
            return bool(connection.execute(select(_STATE.c.down)).scalar_one_or_none())

    def charges(self) -> Charges:
        """All answered keys, for auditing; works while the gateway is down as well.

        Raises GatewayUnavailable when the database cannot be used.
        """
        with self._transaction("charges", "read") as connection:
            rows = connection.execute(select(_CHARGES).order_by(_CHARGES.c.idempotency_key)).all()
        charges = tuple(_charge(row) for row in rows)
        return Charges(len(charges), sum(charge.approved for charge in charges), charges)

    def close(self) -> None:
        """Close this process's idle connections; the gateway may be used again."""
        self._store.close()

    def _switch(self, operation: str, *, down: bool) -> None:
        with self._transaction(operation, "write") as connection:
            _state(connection)
            connection.execute(update(_STATE).values(down=down))

    @contextmanager
    def _transaction(self, operation: str, access: Access) -> Iterator[Connection]:
        try:
            with self._store.begin(access) as connection:
                yield connection
        except UNREACHABLE as error:
            raise GatewayUnavailable(operation, reason_of(error)) from error


def _check(idempotency_key: str, card_number: str) -> None:
    foreign = wrong_type(card_number, str)
    if foreign is not None:
        raise InvalidCharge("card number", foreign)
    if not luhn_valid(card_number):
        raise InvalidCharge("card number", "is not 12 to 19 digits with the right check digit")
    reason = wrong_id(idempotency_key)
    if reason is None and card_number in idempotency_key:
        reason = "holds the card number, which must not be stored"
    if reason is not None:
        raise InvalidCharge("idempotency key", reason)


def _state(connection: Connection) -> Row[Any]:
    """The gateway's row, made on the first call; locked against ``down()`` until the commit."""
    wanted = select(_STATE).with_for_update(read=True)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        insert_once(connection, _STATE, {"id": 1, "salt": secrets.token_hex(32), "down": False})
        row = connection.execute(wanted).one()
    return row


def _open_salt(connection: Connection) -> str:
    state = _state(connection)
    if state.down:
        raise GatewayUnavailable("authorise", "it is switched off")
    return str(state.salt)


def _fingerprint(salt: str, card_number: str) -> str:
    return hmac.new(bytes.fromhex(salt), card_number.encode(), hashlib.sha256).hexdigest()


def _decline_code(card_number: str) -> str | None:
    if card_number in TEST_CARDS:
        return _DECLINES.get(card_number)
    return DECLINE_NOT_A_TEST_CARD


def _answer(row: Row[Any], *, replayed: bool) -> Authorisation:
    approved = row.decline_code is None
    code = authorisation_code(row.idempotency_key) if approved else ""
    return Authorisation(approved, code, row.decline_code, replayed)


def _charge(row: Row[Any]) -> Charge:
    answer = _answer(row, replayed=True)
    return Charge(
        idempotency_key=row.idempotency_key,
        fingerprint=row.fingerprint,
        last_four=row.last_four,
        amount=major_units(row.amount, row.currency),
        currency=row.currency,
        approved=answer.approved,
        code=answer.code,
        decline_code=answer.decline_code,
        charged_at=row.charged_at,
    )
