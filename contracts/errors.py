"""The root of the one error tree, and the errors that contracts and envelopes raise."""

from __future__ import annotations


class CoordinationError(Exception):
    """Anything this project raises on purpose.

    Every error says its cause, what follows from it (consequence) and what to do about it (remedy).
    All three are in ``args``, and further attributes live in ``__dict__``, so an error survives pickling.
    """

    def __init__(self, cause: str, consequence: str = "", remedy: str = "") -> None:
        super().__init__(cause, consequence, remedy)
        self.cause = cause
        self.consequence = consequence
        self.remedy = remedy

    def __str__(self) -> str:
        return "; ".join(part for part in (self.cause, self.consequence, self.remedy) if part)


class ContractError(CoordinationError):
    """A contract or a migration is declared wrongly. Raised where it is declared."""


class InvalidSchema(CoordinationError):
    """A document is not a JSON Schema. Names the place, as a JSON pointer into the document."""


class InvalidManifest(CoordinationError):
    """A document is not the manifest of a build of an agent. Names the field."""


class InvalidInput(CoordinationError):
    """Something that came from outside is not what its contract says. Never retried: it would not get better."""


class InvalidJson(InvalidInput):
    """The text is not strict JSON (RFC 8259, UTF-8, no duplicate keys), or larger than the limits allow."""


class TooLarge(InvalidJson):
    """Something is over a limit on its size, so that nobody could read it: how large it is, and how large it may be."""


class Unreadable(InvalidInput):
    """What a message has beside its body, its headers among it, is not what AMQP or this system says."""


class InvalidEnvelope(InvalidInput):
    """The message is not an envelope: not CloudEvents 1.0, or an attribute is missing or malformed."""


class InvalidData(InvalidInput):
    """``data`` does not fit the contract version that the envelope declares."""


class DataMissing(InvalidData):
    """The data of an envelope is kept elsewhere, and is not there, is other data than the envelope says, or nothing here may fetch it."""


class UnknownVersion(InvalidInput):
    """The envelope declares a contract or a version that this reader cannot read."""


class UnsafeText(InvalidInput):
    """A text hides something from a person who reads it: controls, bidi overrides, tags, invisible characters."""


class UnmarkedText(InvalidData):
    """Text from outside is put into a field that is not declared as :class:`~handoffs.contracts.text.UntrustedText`."""


class InvalidRegistry(CoordinationError):
    """A file or a folder of published contracts is not what it should be. Names the file."""


class NotPublished(CoordinationError):
    """A version of a contract was not published: a rule forbids it, or its files could not be written."""
