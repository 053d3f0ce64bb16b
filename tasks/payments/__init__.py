"""The reference system *payments*: fraud, authorisation, ledger, notification. Never a double credit."""

from handoffs.tasks.payments.agents import authorisation, book, fraud, notification
from handoffs.tasks.payments.flow import payment

__all__ = ["authorisation", "book", "fraud", "notification", "payment"]
