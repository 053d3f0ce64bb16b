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
    bindparam,
    select,
    update,
)

from handoffs.tasks.payments.arguments import MAX_ID_LENGTH, wrong_id, wrong_type
from handoffs.tasks.payments.cards import CARD_TIMEOUT, decline_code, luhn_valid
from handoffs.tasks.payments.charges import Authorisation, Charge, Charges
from handoffs.tasks.payments.gateway_errors import (
    GatewayConflict,
    GatewayTimeout,
    GatewayUnavailable,
    InvalidCharge,
)
from handoffs.tasks.payments.money import major_units, minor_units
from handoffs.tasks.payments.sqlstore import (
    BUSY_TIMEOUT,
    UNREACHABLE,
    Access,
    SqlStore,
    UtcDateTime,
    insert_once,
    reason_of,
)

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

_CHARGE: Final = select(_CHARGES).where(_CHARGES.c.idempotency_key == bindparam("key"))
_THE_STATE: Final = select(_STATE).with_for_update(read=True)


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
                decline_code=decline_code(card_number),
            )
            made = insert_once(connection, _CHARGES, request.row())
            stored = connection.execute(_CHARGE, {"key": idempotency_key}).one()
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
    row = connection.execute(_THE_STATE).one_or_none()
    if row is None:
        insert_once(connection, _STATE, {"id": 1, "salt": secrets.token_hex(32), "down": False})
        row = connection.execute(_THE_STATE).one()
    return row


def _open_salt(connection: Connection) -> str:
    state = _state(connection)
    if state.down:
        raise GatewayUnavailable("authorise", "it is switched off")
    return str(state.salt)


def _fingerprint(salt: str, card_number: str) -> str:
    return hmac.new(bytes.fromhex(salt), card_number.encode(), hashlib.sha256).hexdigest()


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
