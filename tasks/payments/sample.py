"""A sample of payments as JSON Lines, with the faults that real files have.

The same count and seed give the same bytes on every machine and Python version: all choices come
from ``random.Random.random()``, whose sequence Python guarantees.  ``payments.jsonl`` beside this
module is what ``write_sample`` writes with its defaults; only numbers of test cards are in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final, TypeVar

from handoffs.tasks.payments.cards import APPROVED_CARDS, CARD_INSUFFICIENT_FUNDS, CARD_STOLEN, CARD_TIMEOUT
from handoffs.tasks.payments.money import major_units

SAMPLE_FILE: Final = Path(__file__).with_name("payments.jsonl")
"""The sample that ships with the product."""

CARD_WITH_WRONG_CHECK_DIGIT: Final = "4242424242424241"
"""No card has this number: its check digit is wrong."""

HIGH_RISK_AMOUNTS: Final = {
    "EUR": Decimal("5000.00"),
    "USD": Decimal("5000.00"),
    "GBP": Decimal("5000.00"),
    "JPY": Decimal(800000),
    "BHD": Decimal("2000.000"),
}
"""The sample's currencies, each with the amount (main units) that a high-risk payment has at least.

An ordinary payment is at most a tenth of it, and its card is of the payment's own country.
"""

_SHARES: Final = {  # of the whole file; the rest is approved
    "declined_insufficient_funds": 0.05,
    "declined_stolen_card": 0.03,
    "timeout": 0.02,
    "high_risk": 0.03,
    "duplicate": 0.02,
    "conflict": 0.005,
    "malformed": 0.015,
}
_CARDS: Final[dict[str, Sequence[str]]] = {
    "approved": APPROVED_CARDS,
    "high_risk": APPROVED_CARDS,
    "declined_insufficient_funds": (CARD_INSUFFICIENT_FUNDS,),
    "declined_stolen_card": (CARD_STOLEN,),
    "timeout": (CARD_TIMEOUT,),
}
_COUNTRIES: Final = (
    ("DE", "EUR"),
    ("FR", "EUR"),
    ("NL", "EUR"),
    ("IE", "EUR"),
    ("US", "USD"),
    ("US", "USD"),
    ("GB", "GBP"),
    ("JP", "JPY"),
    ("BH", "BHD"),
)
_FIRST_SUBMISSION: Final = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)
_LONGEST_GAP_SECONDS: Final = 90

Payment = dict[str, str]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class SampleLine:
    """One line of the sample, without its line end.

    ``kind`` is "approved", "declined_insufficient_funds", "declined_stolen_card", "timeout",
    "high_risk", "duplicate", "conflict", or "malformed_" with one of MALFORMED.
    """

    kind: str
    raw: bytes


def write_sample(path: Path, *, count: int = 1000, seed: int = 7) -> dict[str, int]:
    """Write ``count`` lines to the path and answer how many there are of each kind.

    Raises ValueError when the count is not positive, OSError when the path cannot be written.
    """
    lines = sample_lines(count=count, seed=seed)
    path.write_bytes(b"".join(line.raw + b"\n" for line in lines))
    return dict(sorted(Counter(line.kind for line in lines).items()))


def sample_lines(*, count: int = 1000, seed: int = 7) -> list[SampleLine]:
    """The lines of the sample, in the order of the file.

    A duplicate comes anywhere after the payment that it repeats, byte for byte.  A conflict comes
    anywhere after an approved payment, and has its payment id and another amount.
    Raises ValueError when the count is not positive.
    """
    if count < 1:
        raise ValueError(f"A sample of {count} lines cannot be written. Give a count of 1 or more.")
    return _Generator(seed).lines(count)


class _Generator:
    """One run: the source of chance, and the clock of the submissions."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - sample data, no secret
        self._submitted_at = _FIRST_SUBMISSION

    def lines(self, count: int) -> list[SampleLine]:
        numbers = {kind: int(count * share) for kind, share in _SHARES.items()}
        firsts = self._first_lines(self._first_kinds(count, numbers))
        later: dict[int, list[SampleLine]] = {}
        for kind in ("duplicate", "conflict"):
            for place in self._sources(kind, firsts)[: numbers[kind]]:
                repeat = self._repeat(kind, firsts[place][0])
                later.setdefault(self._place_after(place, len(firsts)), []).append(repeat)
        return [line for place, (_, first) in enumerate(firsts) for line in (first, *later.get(place, []))]

    def _first_kinds(self, count: int, numbers: dict[str, int]) -> list[str]:
        kinds = [kind for kind in _CARDS for _ in range(numbers.get(kind, 0))]
        kinds += [f"malformed_{_MALFORMED_NAMES[i % len(MALFORMED)]}" for i in range(numbers["malformed"])]
        repeats = numbers["duplicate"] + numbers["conflict"]
        kinds += ["approved"] * (count - repeats - len(kinds))
        self._shuffle(kinds)
        return kinds

    def _first_lines(self, kinds: list[str]) -> list[tuple[Payment, SampleLine]]:
        firsts = []
        for number, kind in enumerate(kinds, start=1):
            payment = self._payment(number, kind)
            fault = MALFORMED.get(kind.removeprefix("malformed_"))
            raw = _json(payment) if fault is None else fault(payment)
            firsts.append((payment, SampleLine(kind, raw)))
        return firsts

    def _payment(self, number: int, kind: str) -> Payment:
        country, currency = self._pick(_COUNTRIES)
        high_risk = kind == "high_risk"
        self._submitted_at += timedelta(seconds=1 + self._below(_LONGEST_GAP_SECONDS))
        return {
            "payment_id": f"pay-{number:06d}",
            "amount": str(self._amount(currency, high_risk=high_risk)),
            "currency": currency,
            "card_number": self._pick(_CARDS.get(kind, APPROVED_CARDS)),
            "card_country": self._other_country(country) if high_risk else country,
            "debtor": f"customer-{1 + self._below(400):04d}",
            "creditor": f"merchant-{1 + self._below(40):03d}",
            "country": country,
            "submitted_at": self._submitted_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _amount(self, currency: str, *, high_risk: bool) -> Decimal:
        threshold = HIGH_RISK_AMOUNTS[currency]
        limit = int(threshold.scaleb(-int(threshold.as_tuple().exponent)))  # in minor units
        if high_risk:
            return major_units(limit + self._below(3 * limit), currency)
        return major_units(1 + limit // 1000 + self._below(limit // 11), currency)

    def _other_country(self, country: str) -> str:
        return self._pick([other for other, _ in _COUNTRIES if other != country])

    def _sources(self, kind: str, firsts: list[tuple[Payment, SampleLine]]) -> list[int]:
        """Where the payments are that may be repeated: any good one, for a conflict an approved one."""
        fit = ("approved",) if kind == "conflict" else tuple(_CARDS)
        places = [place for place, (_, line) in enumerate(firsts) if line.kind in fit]
        self._shuffle(places)
        return places

    def _place_after(self, place: int, places: int) -> int:
        return place + self._below(places - place)

    def _repeat(self, kind: str, payment: Payment) -> SampleLine:
        if kind == "duplicate":
            return SampleLine(kind, _json(payment))
        return SampleLine(kind, _json(payment | {"amount": str(Decimal(payment["amount"]) + 1)}))

    def _below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def _pick(self, items: Sequence[_Item]) -> _Item:
        return items[self._below(len(items))]

    def _shuffle(self, items: list[_Item]) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self._below(last + 1)
            items[last], items[other] = items[other], items[last]


def _json(payment: Payment) -> bytes:
    return json.dumps(payment).encode()


def _without(payment: Payment, field: str) -> bytes:
    return _json({name: value for name, value in payment.items() if name != field})


def _replaced(payment: Payment, field: str, value: str) -> bytes:
    return _json(payment | {field: value})


def _bare(payment: Payment, field: str, literal: str) -> bytes:
    """The payment with the field's text replaced by a bare JSON literal."""
    return _json(payment).replace(json.dumps(payment[field]).encode(), literal.encode(), 1)


MALFORMED: Final[dict[str, Callable[[Payment], bytes]]] = {
    "not_json": lambda payment: f"{payment['payment_id']};{payment['amount']};EUR".encode(),
    "truncated": lambda payment: _json(payment)[:97],
    "missing_field": lambda payment: _without(payment, "currency"),
    "negative_amount": lambda payment: _replaced(payment, "amount", f"-{payment['amount']}"),
    "nan_amount": lambda payment: _replaced(payment, "amount", "NaN"),
    "wrong_type": lambda payment: _bare(payment, "amount", "12.5"),
    "unknown_currency": lambda payment: _replaced(payment, "currency", "XQZ"),
    "duplicate_key": lambda payment: _json(payment)[:-1] + b', "amount": "9999.00"}',
    "text_behind": lambda payment: _json(payment) + b" # checked by hand",
    "invalid_utf8": lambda payment: _json(payment).replace(b"customer-", b"customer-\xff\xfe", 1),
    "wrong_check_digit": lambda payment: _replaced(payment, "card_number", CARD_WITH_WRONG_CHECK_DIGIT),
    "nan_literal": lambda payment: _bare(payment, "amount", "NaN"),
    "not_an_object": lambda payment: json.dumps([payment["payment_id"], payment["amount"]]).encode(),
    "too_many_decimals": lambda payment: _replaced(payment, "amount", "12.5055"),
    "zero_amount": lambda payment: _replaced(payment, "amount", "0.00"),
}
"""Every kind of malformed line, with what makes it of a good payment."""

_MALFORMED_NAMES: Final = tuple(MALFORMED)
