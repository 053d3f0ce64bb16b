"""Publication: one version of a contract as it was published, and the form of its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.compatibility.budget import Exhausted
from handoffs.contracts.compatibility.schema import Schemas
from handoffs.contracts.contract import ContractRef, valid_name
from handoffs.contracts.errors import CoordinationError, InvalidRegistry
from handoffs.contracts.schema import Schema, fingerprint_of
from handoffs.contracts.text import printable, quoted
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
    no step. ``digest`` is over the whole file, and ``golden`` over the golden envelopes beside it: what shows that any of it was
    changed by hand. Both are empty in files of before there were any.
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
    golden: str = field(default="", compare=False)
    digest: str = field(default="", compare=False)

    def sealed(self, golden: Any) -> Published:
        """The same with its digests; ``golden`` are the golden envelopes, as JSON values."""
        unsealed = replace(self, golden=digest_named(golden), digest="")
        return replace(unsealed, digest=digest_of(unsealed.to_json()))

    def known(self) -> Known:
        """The same for :class:`~handoffs.contracts.versions.Versions`."""
        return Known(self.ref, self.writes, self.reads, self.fingerprint, self.sensitive)

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
            **({"golden": self.golden} if self.golden else {}),
            **({"digest": self.digest} if self.digest else {}),
        }

    @classmethod
    def from_json(cls, value: Any) -> Published:
        """Read what :meth:`to_json` writes. Raises :class:`InvalidRegistry` that names the member at fault."""
        if not isinstance(value, dict):
            raise InvalidRegistry("it is no object")
        missing = [word for word in _MEMBERS if word not in value]
        unknown = [word for word in value if word not in _MEMBERS and word not in _LATER]
        if missing or unknown:
            wrong = [f"it has no {word!r}" for word in missing]
            wrong += [f"{quoted(word, 60)} is unknown" for word in unknown]
            raise InvalidRegistry("; ".join(wrong[:5]))
        for word, good in (*_MEMBERS.items(), *((word, _is_digest) for word in _LATER if word in value)):
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
            value.get("golden", ""),
            value.get("digest", ""),
        )


def digest_of(value: dict[str, Any]) -> str:
    """What the digest of a file must be: ``sha256:`` and 64 hexadecimal digits, over all the rest of it."""
    return digest_named({word: inner for word, inner in value.items() if word != "digest"})


def digest_named(value: Any) -> str:
    """``sha256:`` and the digest of a JSON value."""
    return f"sha256:{strictjson.digest(value)}"


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value)) and len(set(value)) == len(value)


def _is_loss(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and set(value) == {"lossy"} and _text(value["lossy"]))


def _is_digest(value: Any) -> bool:
    return _text(value) and bool(re.fullmatch("sha256:[0-9a-f]{64}", value))


_LATER = ("golden", "digest")
"""Members that files of earlier releases do not have."""
_MEMBERS: dict[str, Callable[[Any], bool]] = {
    "contract": valid_name,
    "version": lambda value: type(value) is int and 1 <= value < 10**9,
    "fingerprint": _is_digest,
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
