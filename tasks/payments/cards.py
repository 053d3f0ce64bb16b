"""Cards: the test cards of the gateway, what it answers to each, and what a card number looks like."""

from __future__ import annotations

from typing import Final

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
"""The answer to any other card number, which may be a person's: it is never approved."""

_DECLINES: Final = {CARD_INSUFFICIENT_FUNDS: DECLINE_INSUFFICIENT_FUNDS, CARD_STOLEN: DECLINE_STOLEN_CARD}


def luhn_valid(card_number: str) -> bool:
    """True when the text is 12 to 19 ASCII digits whose last one is the right check digit."""
    if not (card_number.isascii() and card_number.isdigit() and 12 <= len(card_number) <= 19):
        return False
    digits = [int(digit) for digit in reversed(card_number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def decline_code(card_number: str) -> str | None:
    """Why the gateway declines a card; None where it approves it."""
    if card_number in TEST_CARDS:
        return _DECLINES.get(card_number)
    return DECLINE_NOT_A_TEST_CARD
