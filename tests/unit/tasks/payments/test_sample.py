"""The sample of payments: the same on every machine, and with every fault that it promises."""

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.tasks.payments.cards import (
    APPROVED_CARDS,
    CARD_INSUFFICIENT_FUNDS,
    CARD_STOLEN,
    CARD_TIMEOUT,
    TEST_CARDS,
    luhn_valid,
)
from handoffs.tasks.payments.money import CURRENCY_EXPONENTS, minor_units
from handoffs.tasks.payments.sample import (
    CARD_WITH_WRONG_CHECK_DIGIT,
    HIGH_RISK_AMOUNTS,
    MALFORMED,
    SAMPLE_FILE,
    SampleLine,
    sample_lines,
    write_sample,
)

FIELDS = {
    "payment_id",
    "amount",
    "currency",
    "card_number",
    "card_country",
    "debtor",
    "creditor",
    "country",
    "submitted_at",
}
COUNTS = {
    "approved": 830,
    "declined_insufficient_funds": 50,
    "declined_stolen_card": 30,
    "timeout": 20,
    "high_risk": 30,
    "duplicate": 20,
    "conflict": 5,
    **{f"malformed_{fault}": 1 for fault in MALFORMED},
}
CARDS = {
    "declined_insufficient_funds": (CARD_INSUFFICIENT_FUNDS,),
    "declined_stolen_card": (CARD_STOLEN,),
    "timeout": (CARD_TIMEOUT,),
}


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _parsed(raw: bytes) -> dict[str, str]:
    """A payment read as strictly as an intake should; ValueError when there is a fault."""
    payment = json.loads(raw.decode(), object_pairs_hook=_refuse_twins, parse_constant=_refuse_constant)
    if not isinstance(payment, dict) or set(payment) != FIELDS:
        raise ValueError("not the fields of a payment")
    if not all(isinstance(value, str) for value in payment.values()):
        raise ValueError("not text")
    minor_units(Decimal(payment["amount"]), payment["currency"])
    if not luhn_valid(payment["card_number"]):
        raise ValueError("the check digit is wrong")
    if datetime.fromisoformat(payment["submitted_at"]).utcoffset() is None:
        raise ValueError("no time zone")
    return payment


def _good(lines: list[SampleLine]) -> list[tuple[str, dict[str, str]]]:
    return [(line.kind, _parsed(line.raw)) for line in lines if not line.kind.startswith("malformed_")]


def test_shipped_file_is_what_the_generator_writes(tmp_path: Path) -> None:
    """The file that ships is, byte for byte, what write_sample writes with its defaults."""
    fresh = tmp_path / "payments.jsonl"
    write_sample(fresh)
    assert SAMPLE_FILE.read_bytes() == fresh.read_bytes()


def test_counts_by_kind(tmp_path: Path) -> None:
    """The default sample has 1,000 lines: the stated number of each kind, and every malformed one."""
    path = tmp_path / "payments.jsonl"
    assert write_sample(path) == COUNTS
    assert sum(COUNTS.values()) == 1000
    assert path.read_bytes().count(b"\n") == 1000


def test_seed_decides() -> None:
    """The same seed gives the same lines, and another seed gives others."""
    assert sample_lines(count=50, seed=1) == sample_lines(count=50, seed=1)
    assert sample_lines(count=50, seed=1) != sample_lines(count=50, seed=2)


@given(count=st.integers(1, 400), seed=st.integers(0, 2**32))
def test_any_count_and_seed(count: int, seed: int) -> None:
    """Whatever the count and seed, the sample has that many lines, all good or malformed as they say."""
    lines = sample_lines(count=count, seed=seed)
    assert len(lines) == count
    _good(lines)


@pytest.mark.parametrize("count", [0, -1])
def test_count_must_be_positive(count: int) -> None:
    """A sample without a line is refused."""
    with pytest.raises(ValueError, match="1 or more"):
        sample_lines(count=count)


@pytest.mark.parametrize("fault", sorted(MALFORMED))
def test_malformed_lines_are_malformed(fault: str) -> None:
    """A strict reader refuses every malformed line."""
    (line,) = [line for line in sample_lines() if line.kind == f"malformed_{fault}"]
    with pytest.raises((ValueError, ArithmeticError)):
        _parsed(line.raw)


def test_good_lines_have_the_cards_of_their_kind() -> None:
    """Declined and time-out payments use their test cards, and all others an approved one."""
    for kind, payment in _good(sample_lines()):
        if kind not in {"duplicate", "conflict"}:
            assert payment["card_number"] in CARDS.get(kind, APPROVED_CARDS)


def test_only_test_cards() -> None:
    """Every number of 12 digits or more in the file is a test card or the one that is none."""
    known = {*TEST_CARDS, CARD_WITH_WRONG_CHECK_DIGIT}
    for _, payment in _good(sample_lines()):
        assert payment["card_number"] in TEST_CARDS
    for line in sample_lines():
        words = line.raw.decode(errors="replace").replace('"', " ").split()
        cards = {word for word in words if word.isdigit() and len(word) >= 12}
        assert all(any(number.startswith(card) for number in known) for card in cards)


def test_high_risk_is_large_and_from_abroad() -> None:
    """High-risk payments are large and with a card from abroad; ordinary ones are neither."""
    for kind, payment in _good(sample_lines()):
        large = Decimal(payment["amount"]) >= HIGH_RISK_AMOUNTS[payment["currency"]]
        abroad = payment["card_country"] != payment["country"]
        if kind not in {"duplicate", "conflict"}:
            assert (large, abroad) == ((True, True) if kind == "high_risk" else (False, False))


def test_duplicates_repeat_an_earlier_line() -> None:
    """Each duplicate equals an earlier line byte for byte, and no other good line comes twice."""
    seen: Counter[bytes] = Counter()
    for line in sample_lines():
        assert (seen[line.raw] > 0) == (line.kind == "duplicate")
        seen[line.raw] += 1


def test_conflicts_change_only_the_amount_of_an_approved_payment() -> None:
    """Each conflict has the id and all else of an earlier approved payment, but another amount."""
    approved: dict[str, dict[str, str]] = {}
    for kind, payment in _good(sample_lines()):
        first = approved.get(payment["payment_id"])
        if kind == "approved":
            approved[payment["payment_id"]] = payment
        elif kind == "conflict":
            assert first is not None
            assert {field for field in FIELDS if first[field] != payment[field]} == {"amount"}


def test_currencies_have_zero_two_and_three_decimals() -> None:
    """The sample has currencies with no, two and three decimals, each amount with exactly as many."""
    found = set()
    for _, payment in _good(sample_lines()):
        decimals = -int(Decimal(payment["amount"]).as_tuple().exponent)
        assert decimals == CURRENCY_EXPONENTS[payment["currency"]]
        found.add(decimals)
    assert found == {0, 2, 3}


def test_submissions_come_in_order() -> None:
    """Payments are submitted in 2026, in UTC, one after the other."""
    moments = [
        datetime.fromisoformat(payment["submitted_at"])
        for kind, payment in _good(sample_lines())
        if kind not in {"duplicate", "conflict"}
    ]
    assert moments == sorted(set(moments))
    assert {moment.year for moment in moments} == {2026}
