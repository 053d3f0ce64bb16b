"""The errors of the object store. What is wrong for good is permanent; what may pass is transient."""

from __future__ import annotations

from handoffs.coordinator import Permanent, Transient


class InvalidKey(Permanent):
    """A key cannot name an object: it is malformed, or leads through a link."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the key of an object {reason}",
            "nothing was read or written",
            "a key is names of letters, digits, dots, dashes and underscores, joined by slashes",
        )
        self.reason = reason

    def __reduce__(self) -> tuple[type[InvalidKey], tuple[str]]:
        return type(self), (self.reason,)


class ObjectMissing(Permanent):
    """The store has no object of that key."""


class ObjectChanged(Permanent):
    """An object is not what its name promises: its digest is another."""


class DifferentContent(Permanent):
    """The same key is written with another content. What came first stays."""


class StoreUnavailable(Transient):
    """The store cannot be read or written just now: no space, no permission, a broken disk."""
