"""The contracts of payments: what a payment may be, and that its card number is never shown."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.reference.payments import HIGH_RISK, FraudScored, PaymentSubmitted, PaymentTerms
from handoffs.contracts.text import Sensitive
from handoffs.contracts.versions import Versions, known

CARD = "4111111111111111"
DATA = {
    "payment_id": "p-1",
    "amount": "10.50",
    "currency": "EUR",
    "debtor": "ann",
    "creditor": "bob",
    "card_number": CARD,
    "country": "DE",
    "card_country": "FR",
    "submitted_at": "2026-01-02T03:04:05Z",
}
TERMS = {
    name: DATA[name] for name in ("payment_id", "amount", "currency", "debtor", "creditor", "card_number")
}


class FraudScoredV1(PaymentTerms, name="payments.fraud-scored", version=1):
    card_number: Sensitive
    risk_level: Literal["low", "medium", "high"]


PUBLISHED = Versions([known(FraudScoredV1)])


def test_round_trip() -> None:
    """A payment is read, keeps its amount exactly, and is written as it was."""
    payment = PaymentSubmitted.from_data(DATA)
    assert payment.amount == Decimal("10.50")
    assert payment.submitted_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert payment.to_data() == DATA
    assert payment.key() == "p-1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 10.5), ("amount", 10), ("amount", "0"), ("amount", "-1"), ("amount", "NaN"), ("amount", "1e400"),
        ("amount", "10.505"), ("amount", "1" * 16), ("amount", ""), ("amount", None), ("currency", "XXX"), ("currency", "eur"),
        ("payment_id", ""), ("payment_id", "p 1"), ("payment_id", "-p"), ("payment_id", "x" * 65), ("payment_id", "p\n"),
        ("debtor", ""), ("creditor", "x" * 65), ("card_number", "4111111111111112"), ("card_number", "4111 1111 1111 1111"),
        ("card_number", "0" * 11), ("card_number", "0" * 20), ("card_number", "٤" * 16), ("card_number", 4111111111111111),
        ("country", "de"), ("country", "DEU"), ("country", "DE\n"), ("card_country", ""), ("submitted_at", "yesterday"),
    ],
)  # fmt: skip
def test_malformed_payment(field: str, value: Any) -> None:
    """A payment with a malformed field is refused, and the error shows no card number."""
    with pytest.raises(InvalidData) as caught:
        PaymentSubmitted.from_data({**DATA, field: value})
    assert CARD not in str(caught.value)


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("USD", 2), ("GBP", 2), ("JPY", 0), ("BHD", 3)])
@given(minor=st.integers(1, 10**12 - 1))
def test_minor_units(currency: str, digits: int, minor: int) -> None:
    """An amount has no more decimals than its currency's minor unit, and every such amount passes unrounded."""
    amount = Decimal(minor).scaleb(-digits)
    payment = PaymentSubmitted.from_data({**DATA, "currency": currency, "amount": f"{amount:f}"})
    assert Decimal(payment.to_data()["amount"]) == amount
    with pytest.raises(InvalidData):
        PaymentSubmitted.from_data(
            {
                **DATA,
                "currency": currency,
                "amount": f"{amount.scaleb(-1) + Decimal(1).scaleb(-digits - 1):.{digits + 1}f}"[:-1] + "1",
            }
        )


@pytest.mark.parametrize(("level", "score"), [("low", 0), ("medium", 40), ("high", HIGH_RISK)])
def test_levels_become_scores(level: str, score: int) -> None:
    """A score of the first version is read as the lowest one at which its level was given: high is held as before."""
    scored = PUBLISHED.read(
        FraudScored, ContractRef("payments.fraud-scored", 1), {**TERMS, "risk_level": level}
    )
    assert (scored.risk_score, scored.card_number.get_secret_value()) == (score, CARD)
    assert scored.amount == Decimal("10.50")


def test_renamed_field_is_refused() -> None:
    """What calls itself the second version and has the first one's field is refused: nobody reads past it."""
    with pytest.raises(InvalidData, match="risk_score: Field required"):
        PUBLISHED.read(FraudScored, ContractRef("payments.fraud-scored", 2), {**TERMS, "risk_level": "high"})


@pytest.mark.parametrize("score", [-1, 101, 70.0, "70", None, True])
def test_malformed_score(score: Any) -> None:
    """A score is a whole number from 0 to 100."""
    with pytest.raises(InvalidData):
        FraudScored.from_data({**TERMS, "risk_score": score})


def test_card_number_is_never_shown() -> None:
    """A card number is in the envelope's data only."""
    payment = PaymentSubmitted.from_data(DATA)
    assert CARD not in f"{payment!r} {payment} {json.dumps(payment.redacted())} {payment.model_dump_json()}"
