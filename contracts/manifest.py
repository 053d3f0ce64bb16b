"""Manifest: what one build of an agent reads and writes, made from its code, as a value that travels as JSON."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import ContractRef, valid_name
from handoffs.contracts.errors import InvalidInput, InvalidManifest
from handoffs.contracts.schema import Schema
from handoffs.contracts.text import quoted
from handoffs.contracts.topic import matches

_BUILD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")
_QUEUE = re.compile(r"[a-z0-9][a-z0-9.-]{0,199}\Z")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}\Z")
_REF = re.compile(r"(?P<name>[^/]+)/(?P<version>[1-9][0-9]{0,8})\Z")
_PATTERN = re.compile(r"[a-z0-9*#][a-z0-9*#.-]{0,199}\Z")
_SIDES = ("writes", "reads")
_MOST = 1_000
_DIGITS = 12
_REMEDY = "make it with: coordinator contracts manifest AGENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One build of an agent. Equal where everything in it is equal.

    agent, queue
        Its name, and the queue that it reads.
    build
        1 to 64 letters, digits and ``._+-``. By default 12 hexadecimal digits of the digest of all the rest, so the same
        code is the same build.
    accepts, emits
        By contract name the versions that it reads, or can write: its own first. What it accepts includes the contracts
        in the fields of a contract that joins branches.
    fingerprints, schemas
        By ``name/version``, at least for the first version of each list: what shows that a published version was changed,
        and the schemas (``writes`` and ``reads``, in normal form) that give a witness.
    subscribes
        The names, or patterns of names, of the events that it hears.

    Raises :class:`InvalidManifest` for anything else.
    """

    agent: str
    build: str = ""
    queue: str
    accepts: Mapping[str, tuple[int, ...]]
    emits: Mapping[str, tuple[int, ...]]
    fingerprints: Mapping[str, str]
    schemas: Mapping[str, Mapping[str, Schema]]
    subscribes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(valid_name(self.agent), "agent", "is not the name of an agent")
        _check(_matches(_QUEUE, self.queue), "queue", "is not the name of a queue")
        for name, versions in (("accepts", self.accepts), ("emits", self.emits)):
            object.__setattr__(self, name, _versions(name, versions))
        _check(_patterns(self.subscribes), "subscribes", "is no list of names of events, or of patterns")
        object.__setattr__(self, "subscribes", tuple(self.subscribes))
        _check_texts("fingerprints", self.fingerprints, _FINGERPRINT, "sha256: and 64 hexadecimal digits")
        _check_schemas(self.schemas)
        for ref in self.own():
            _check(str(ref) in self.fingerprints, "fingerprints", f"has none of {ref}")
            _check(str(ref) in self.schemas, "schemas", f"has none of {ref}")
        if self.build == "":
            object.__setattr__(self, "build", self.digest()[:_DIGITS])
        _check(_matches(_BUILD, self.build), "build", "is not 1 to 64 letters, digits and ._+-")

    def __str__(self) -> str:
        return f"{self.agent} build {self.build}"

    def own(self) -> tuple[ContractRef, ...]:
        """The versions that its code is written in: the first of each that it accepts or emits."""
        both = (*self.accepts.items(), *self.emits.items())
        return tuple(dict.fromkeys(ContractRef(name, versions[0]) for name, versions in both))

    def hears(self, name: str) -> bool:
        """Whether events of the contract ``name`` come to it."""
        return any(matches(pattern, name) for pattern in self.subscribes)

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON values; :meth:`from_json` reads it."""
        return {
            "agent": self.agent,
            "build": self.build,
            "queue": self.queue,
            "accepts": {name: list(versions) for name, versions in sorted(self.accepts.items())},
            "emits": {name: list(versions) for name, versions in sorted(self.emits.items())},
            "fingerprints": dict(sorted(self.fingerprints.items())),
            "schemas": {ref: dict(sides) for ref, sides in sorted(self.schemas.items())},
            **({"subscribes": sorted(self.subscribes)} if self.subscribes else {}),
        }

    @classmethod
    def from_json(cls, value: Any) -> Manifest:
        """Read parsed JSON; fields that it does not know it ignores, a build that is missing it derives.

        Raises :class:`InvalidManifest`, which names the faulty field.
        """
        if not isinstance(value, dict):
            raise InvalidManifest(
                f"the manifest is {_kind(value)}, not an object", "it was not used", _REMEDY
            )
        wanted = ("agent", "queue", "accepts", "emits", "fingerprints", "schemas")
        missing = [name for name in wanted if name not in value]
        if missing:
            raise InvalidManifest(f"the manifest has no {', '.join(missing)}", "it was not used", _REMEDY)
        hears = value.get("subscribes", ())
        return cls(**{name: value[name] for name in wanted}, build=value.get("build", ""), subscribes=hears)

    def digest(self) -> str:
        """64 hexadecimal digits over everything but the build."""
        rest = {name: value for name, value in self.to_json().items() if name != "build"}
        return hashlib.sha256(strictjson.canonical(rest).encode("utf-8", "surrogatepass")).hexdigest()


def reference(text: object) -> ContractRef:
    """Read ``name/version``. Raises :class:`InvalidManifest` for anything else."""
    found = _REF.match(text) if isinstance(text, str) else None
    if found is None or not valid_name(found["name"]):
        raise InvalidManifest(f"{quoted(text, 120)} is not of the form name/version")
    return ContractRef(found["name"], int(found["version"]))


def _check(fine: bool, name: str, why: str) -> None:
    if not fine:
        raise InvalidManifest(f"{name} of the manifest {why}", "it was not used", _REMEDY)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and bool(pattern.match(value))


def _patterns(value: Any) -> bool:
    listed = isinstance(value, (list, tuple)) and len(value) <= _MOST
    return listed and all(_matches(_PATTERN, text) for text in value)


def _versions(name: str, value: Any) -> dict[str, tuple[int, ...]]:
    _check_map(name, value)
    for contract, versions in value.items():
        _check(valid_name(contract), name, f"has {quoted(contract, 120)}, which names no contract")
        listed = isinstance(versions, (list, tuple)) and 0 < len(versions) <= _MOST
        fine = listed and all(type(version) is int and 0 < version < 10**9 for version in versions)
        _check(fine and len(set(versions)) == len(versions), name, f"has no list of versions for {contract}")
    return {contract: tuple(versions) for contract, versions in value.items()}


def _check_map(name: str, value: Any) -> None:
    _check(isinstance(value, Mapping), name, f"is {_kind(value)}, not an object")
    _check(len(value) <= _MOST, name, f"has more than {_MOST} members")


def _check_texts(name: str, value: Any, pattern: re.Pattern[str], wanted: str) -> None:
    _check_map(name, value)
    for ref, text in value.items():
        _check_ref(name, ref)
        _check(_matches(pattern, text), name, f"of {ref} is not {wanted}")


def _check_schemas(value: Any) -> None:
    _check_map("schemas", value)
    for ref, sides in value.items():
        _check_ref("schemas", ref)
        fine = isinstance(sides, Mapping) and all(isinstance(sides.get(side), dict) for side in _SIDES)
        _check(fine, "schemas", f"of {ref} is not an object with a schema each for writes and reads")
        try:
            strictjson.dumps(dict(sides))
        except InvalidInput:
            _check(False, "schemas", f"of {ref} is not JSON")


def _check_ref(name: str, ref: Any) -> None:
    try:
        reference(ref)
    except InvalidManifest as error:
        raise InvalidManifest(f"{name} of the manifest: {error.cause}", "it was not used", _REMEDY) from None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
