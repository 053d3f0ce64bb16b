"""What the ledger raises. Each error survives pickling: a worker may be a process of its own."""

from __future__ import annotations


class LedgerError(Exception):
    """The base of what the ledger itself raises; the arguments are the attributes, in order."""


class InvalidTransfer(LedgerError, ValueError):
    """The payment id or an account is unfit, or both accounts are the same."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The {self.field} {self.reason}, so nothing was booked. Correct the {self.field} and book again."
        )


class LedgerConflict(LedgerError):
    """The payment is booked already with other content."""

    def __init__(self, payment_id: str, booked: str, asked: str) -> None:
        super().__init__(payment_id, booked, asked)
        self.payment_id = payment_id
        self.booked = booked
        self.asked = asked

    def __str__(self) -> str:
        return (
            f"Payment {self.payment_id!r} is booked already as {self.booked}, and {self.asked} was asked for. "
            "The first booking stands and nothing was booked now. Find out which is right, and book a "
            "correction under a payment id of its own."
        )


class LedgerUnavailable(LedgerError):
    """The ledger's database was locked for too long or could not be reached.

    The SQLAlchemy error is the cause (``__cause__``); ``reason`` is its text and survives pickling.
    """

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(operation, reason)
        self.operation = operation
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The ledger could not answer {self.operation!r}: {self.reason}. A booking under way may or may not "
            "have been made. Call again later with the same payment id: it is never booked twice."
        )
