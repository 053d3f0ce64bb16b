"""Publication: one version of a contract as it was published, and the form of its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.compatibility.budget import Exhausted
from handoffs.contracts.compatibility.schema import Schemas
from handoffs.contracts.contract import ContractRef, valid_name
from handoffs.contracts.errors import CoordinationError, InvalidRegistry
from handoffs.contracts.schema import Schema, fingerprint_of
from handoffs.contracts.text import printable
from handoffs.contracts.versions import Known

MODES = (
    "BACKWARD", "FORWARD", "FULL", "BACKWARD_TRANSITIVE", "FORWARD_TRANSITIVE", "FULL_TRANSITIVE", "NONE",
)  # fmt: skip
"""What a new version promises: BACKWARD reads older data, FORWARD is read by older readers, FULL both; of the version
before, or TRANSITIVE of all versions."""


@dataclass(frozen=True, slots=True)
class Published:
    """One published version. It never changes.

    ``mode`` is one of :data:`MODES`. ``generator`` made the schemas, such as ``pydantic 2.14.0``. ``sensitive`` has JSON
    pointers (``*`` for any item). ``writes`` and ``reads`` are in normal form. ``upcast`` says whether this version
    brought a step from the one before, ``downcast`` what a step to the one before loses: ``""`` nothing, None: there is
    no step.
    """

    ref: ContractRef
    fingerprint: str
    owner: str
    mode: str
    keys: tuple[str, ...]
    generator: str
    description: str
    sensitive: tuple[str, ...]
    writes: Schema
    reads: Schema
    upcast: bool = False
    downcast: str | None = None

    def known(self) -> Known:
        """The same for :class:`~handoffs.contracts.versions.Versions`."""
        return Known(self.ref, self.writes, self.reads, self.fingerprint)

    def to_json(self) -> dict[str, Any]:
        """What the version's file holds."""
        return {
            "contract": self.ref.name,
            "version": self.ref.version,
            "fingerprint": self.fingerprint,
            "owner": self.owner,
            "mode": self.mode,
            "keys": list(self.keys),
            "sensitive": list(self.sensitive),
            "upcast": self.upcast,
            "downcast": None if self.downcast is None else {"lossy": self.downcast},
            "description": self.description,
            "generator": self.generator,
            "writes": self.writes,
            "reads": self.reads,
        }

    @classmethod
    def from_json(cls, value: Any) -> Published:
        """Read what :meth:`to_json` writes. Raises :class:`InvalidRegistry` that names the member at fault."""
        if not isinstance(value, dict):
            raise InvalidRegistry("it is no object")
        missing = [word for word in _MEMBERS if word not in value]
        unknown = [word for word in value if word not in _MEMBERS]
        if missing or unknown:
            wrong = [f"it has no {word!r}" for word in missing]
            wrong += [f"{printable(word, 60)!r} is unknown" for word in unknown]
            raise InvalidRegistry("; ".join(wrong[:5]))
        for word, good in _MEMBERS.items():
            if not good(value[word]):
                raise InvalidRegistry(f"{word!r} is malformed")
        for word in ("writes", "reads"):
            try:
                Schemas().read(value[word])
            except (CoordinationError, Exhausted, RecursionError) as error:
                raise InvalidRegistry(f"{word!r} is no schema: {printable(error, 200)}") from None
        keys, down = tuple(value["keys"]), value["downcast"]
        if fingerprint_of(value["writes"], value["reads"], keys) != value["fingerprint"]:
            raise InvalidRegistry(
                "its fingerprint is not that of its schemas and keys",
                "it was changed after it was published",
                "take it from version control as it was",
            )
        return cls(
            ContractRef(value["contract"], value["version"]),
            value["fingerprint"],
            value["owner"],
            value["mode"],
            keys,
            value["generator"],
            value["description"],
            tuple(value["sensitive"]),
            value["writes"],
            value["reads"],
            value["upcast"],
            None if down is None else down["lossy"],
        )


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value)) and len(set(value)) == len(value)


def _is_loss(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and set(value) == {"lossy"} and _text(value["lossy"]))


_MEMBERS: dict[str, Callable[[Any], bool]] = {
    "contract": valid_name,
    "version": lambda value: type(value) is int and 1 <= value < 10**9,
    "fingerprint": lambda value: _text(value) and bool(re.fullmatch("sha256:[0-9a-f]{64}", value)),
    "owner": lambda value: _text(value) and bool(value),
    "mode": lambda value: _text(value) and value in MODES,
    "keys": _texts,
    "sensitive": lambda value: _texts(value) and all(path[:1] in ("", "/") for path in value),
    "upcast": lambda value: isinstance(value, bool),
    "downcast": _is_loss,
    "description": _text,
    "generator": _text,
    "writes": lambda value: isinstance(value, dict),
    "reads": lambda value: isinstance(value, dict),
}
