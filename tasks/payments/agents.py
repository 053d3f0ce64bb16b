"""The agents of the reference system *payments*. Each does one phase; each could be another team's."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from handoffs.contracts.reference.payments import (
    HIGH_RISK,
    CustomerNotified,
    FraudScored,
    PaymentAuthorised,
    PaymentBooked,
    PaymentSubmitted,
    PaymentTerms,
)
from handoffs.coordinator import Context, Retry, agent
from handoffs.tasks.payments.gateway_errors import GatewayConflict, InvalidCharge
from handoffs.tasks.payments.ledger_errors import LedgerConflict
from handoffs.tasks.payments.money import InvalidAmount, UnknownCurrency
from handoffs.tasks.payments.systems import gateway, ledger

_LARGE = {
    "EUR": Decimal(5_000), "USD": Decimal(5_000), "GBP": Decimal(5_000), "JPY": Decimal(800_000), "BHD": Decimal(2_000),
}  # fmt: skip
_OUTSIDE = Retry(
    attempts=4,
    backoff=timedelta(milliseconds=100),
    longest=timedelta(seconds=30),
    never=(GatewayConflict, InvalidCharge, LedgerConflict, InvalidAmount, UnknownCurrency),
)


@agent("payments.fraud")
def fraud(payment: PaymentSubmitted) -> FraudScored:
    """Score a payment: 50 for a large amount, 35 for a card from another country than the merchant's."""
    large = 50 if payment.amount >= _LARGE[payment.currency] else 0
    abroad = 35 if payment.card_country not in (None, payment.country) else 0
    return FraudScored(**_terms(payment), card_number=payment.card_number, risk_score=large + abroad)


@agent("payments.authorisation", retry=_OUTSIDE)
def authorisation(scored: FraudScored, context: Context) -> PaymentAuthorised:
    """Ask the card gateway, once for each payment however often this runs; hold what is too risky."""
    if scored.risk_score >= HIGH_RISK:
        return PaymentAuthorised(**_terms(scored), outcome="held", reason="high_risk")
    answer = gateway(context.settings).authorise(
        idempotency_key=context.idempotency_key,
        card_number=scored.card_number.get_secret_value(),
        amount=scored.amount,
        currency=scored.currency,
    )
    outcome: Literal["approved", "declined"] = "approved" if answer.approved else "declined"
    return PaymentAuthorised(
        **_terms(scored), outcome=outcome, code=answer.code, reason=answer.decline_code or ""
    )


@agent("payments.ledger", retry=_OUTSIDE)
def book(payment: PaymentAuthorised, context: Context) -> PaymentBooked:
    """Book an approved payment in the double-entry ledger, once."""
    if payment.outcome != "approved":
        return PaymentBooked(**_terms(payment), outcome=payment.outcome, reason=payment.reason)
    booking = ledger(context.settings).book(
        payment_id=payment.payment_id,
        debit=payment.debtor,
        credit=payment.creditor,
        amount=payment.amount,
        currency=payment.currency,
    )
    return PaymentBooked(**_terms(payment), outcome="booked", booked_at=booking.booked_at)


@agent("payments.notification")
def notification(payment: PaymentBooked, context: Context) -> CustomerNotified:
    """Tell the customer. The text is what would be sent; the log line stands for the sending."""
    notice = {
        "booked": f"Your payment of {payment.amount} {payment.currency} to {payment.creditor} was made.",
        "declined": f"Your payment to {payment.creditor} was declined by your card issuer.",
        "held": f"Your payment to {payment.creditor} is held for a check.",
    }[payment.outcome]
    context.logger.info("notified %s of payment %s: %s", payment.debtor, payment.payment_id, payment.outcome)
    return CustomerNotified(**_terms(payment), outcome=payment.outcome, notice=notice)


def _terms(payment: PaymentTerms) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in PaymentTerms.model_fields}
