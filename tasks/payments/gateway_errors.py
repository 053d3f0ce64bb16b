"""What the card gateway raises. Each error survives pickling: a worker may be a process of its own."""

from __future__ import annotations


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
