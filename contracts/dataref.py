"""Data reference: an envelope whose data is kept elsewhere, CloudEvents' extension ``dataref`` (the claim check pattern).

Instead of ``data`` such an envelope has three attributes: ``dataref``, the name under which the data is kept, and ``datarefsize`` and
``datarefdigest``, by which whoever fetches it knows that it is the same. The name follows from the run and from the digest: it leads to
one content for good, and nowhere but into the place where the reader looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias

from handoffs.contracts import strictjson
from handoffs.contracts.errors import DataMissing, InvalidEnvelope, InvalidInput
from handoffs.contracts.strictjson import Limits

_REF, _SIZE, _DIGEST = "dataref", "datarefsize", "datarefdigest"
_RUN = re.compile("[0-9A-Za-z][0-9A-Za-z~_-]{0,119}")
"""The runs whose data is kept elsewhere: what our ids look like. There is no sign in it that means something in a path."""
_NAME = re.compile(f"({_RUN.pattern})/([0-9a-f]{{64}})")
_LARGEST = 2**53
_DEPTH = 1
"""How deep data is nested in its envelope."""


@dataclass(frozen=True, slots=True)
class DataRef:
    """Where the data of an envelope is, and what it is.

    ``run`` is whose it is. ``digest`` is the SHA-256 of its canonical form, 64 hexadecimal digits: equal data has one name. ``size`` is how many
    octets it has as compact JSON in UTF-8.
    """

    run: str
    digest: str
    size: int

    @property
    def name(self) -> str:
        """The value of ``dataref``."""
        return f"{self.run}/{self.digest}"

    @classmethod
    def read(cls, envelope: dict[str, Any]) -> Self:
        """The reference of an envelope (JSON). Raises :class:`InvalidEnvelope` where it is none of ours: it names a place, another run,
        or not what its digest says."""
        match envelope:
            case {
                "correlationid": str(run),
                "dataref": str(name),
                "datarefsize": int(size),
                "datarefdigest": str(digest),
            }:
                found = cls(run, digest, size)
                if (
                    name == found.name
                    and _NAME.fullmatch(name)
                    and not isinstance(size, bool)
                    and 0 < size <= _LARGEST
                ):
                    return found
        raise InvalidEnvelope(
            "the message says where its data is, and that is no reference of ours: dataref is run/digest, with datarefsize and"
            " datarefdigest beside it",
            "nothing was fetched",
            "send the data in the message, or have it written by this system",
        )  # fmt: skip


Fetch: TypeAlias = Callable[[DataRef, Limits], dict[str, Any]]
"""Brings data from where it is kept, known to be what the reference says and within the limits. Raises :class:`DataMissing` where it is not,
and what says that its place cannot be reached."""


class Lightened(NamedTuple):
    """An envelope without its data (JSON text), the reference that it has instead, and the data (JSON text)."""

    envelope: str
    ref: DataRef
    data: str


def is_by_reference(envelope: str) -> bool:
    """Whether the data of an envelope (JSON text) may be elsewhere, at first sight."""
    return f'"{_REF}"' in envelope


def named_in(envelope: str, limits: Limits) -> str | None:
    """The name of the data of an envelope (JSON text) that is elsewhere; None where it is in it, or it is none of ours."""
    try:
        value = strictjson.loads(envelope, limits)
        return DataRef.read(value).name if _is_elsewhere(value) else None
    except InvalidInput:
        return None


def lightened(envelope: str, least: int, limits: Limits) -> Lightened | None:
    """An envelope (JSON text) of which the data is to be kept elsewhere, because it has more than ``least`` octets; None where it is to stay
    as it is: it is smaller, or no envelope of ours."""
    try:
        value = strictjson.loads(envelope, limits)
    except InvalidInput:  # whoever reads it says why
        return None
    match value:
        case {"correlationid": str(run), "data": dict(data), **rest} if (
            _RUN.fullmatch(run) and _REF not in rest
        ):
            written = strictjson.dumps(data)
            size = len(written.encode())
            if size <= least:
                return None
            ref = DataRef(run, strictjson.digest(data), size)
            light = {"correlationid": run, **rest, _REF: ref.name, _SIZE: size, _DIGEST: ref.digest}
            return Lightened(strictjson.dumps(light), ref, written)
    return None


def whole(value: Any, text: bytes | str, limits: Limits, fetch: Fetch | None) -> Any:
    """An envelope (JSON, and its text) with its data in it, as if it had never been elsewhere; anything else as it is.

    Raises :class:`InvalidEnvelope`, :class:`~handoffs.contracts.errors.TooLarge`, :class:`DataMissing`, and what ``fetch`` raises.
    """
    if not _is_elsewhere(value):
        return value
    ref = DataRef.read(value)
    if fetch is None:
        raise DataMissing(
            "the data of the message is kept elsewhere, and this process does not know where",
            "it was not read",
            "set COORDINATOR_PAYLOADS__URL here as where it was sent, then replay it",
        )
    octets = len(text if isinstance(text, bytes) else text.encode())
    strictjson.refuse_octets(octets + ref.size, limits)
    return {**_around(value), "data": fetch(ref, limits.inside(depth=_DEPTH))}


def unfetched(value: Any) -> Any:
    """An envelope (JSON) with empty data in place of what is elsewhere, named by ``originaldigest``; anything else as it is. Raises
    :class:`InvalidEnvelope`."""
    if not _is_elsewhere(value):
        return value
    return {"originaldigest": DataRef.read(value).digest, **_around(value), "data": {}}


def _is_elsewhere(value: Any) -> bool:
    """What has both is read as it came: a reference is then of no use, whoever wrote it."""
    return isinstance(value, dict) and _REF in value and "data" not in value


def _around(value: dict[str, Any]) -> dict[str, Any]:
    return {name: inner for name, inner in value.items() if name not in {_REF, _SIZE, _DIGEST}}
