"""Formats: samples of the usual ones. A format is an annotation in both drafts (validation 2020-12, section 7.2.1)."""

from __future__ import annotations

import re
from typing import Final

SAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "date-time": ("2024-02-29T12:30:00Z", "1970-01-01T00:00:00+00:00"),
    "date": ("2024-02-29", "1970-01-01"),
    "time": ("12:30:00Z", "00:00:00+00:00"),
    "duration": ("P1D", "PT1H30M"),
    "email": ("a@example.com", "b@example.org"),
    "idn-email": ("a@example.com",),
    "hostname": ("example.com", "example.org"),
    "idn-hostname": ("example.com",),
    "ipv4": ("192.0.2.1", "198.51.100.2"),
    "ipv6": ("2001:db8::1", "::1"),
    "uri": ("https://example.com/a", "https://example.com/b"),
    "uri-reference": ("https://example.com/a", "/a"),
    "iri": ("https://example.com/a",),
    "iri-reference": ("https://example.com/a",),
    "uuid": ("123e4567-e89b-42d3-a456-426614174000", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"),
    "json-pointer": ("/a/b", ""),
    "relative-json-pointer": ("0/a", "1"),
    "regex": ("^a$", "b"),
    "uri-template": ("https://example.com/{a}",),
}

_NUMERIC: Final = frozenset(
    {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double"}
)
_CERTAIN: Final = {
    "date": re.compile(r"[12]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])\Z", re.ASCII),
    "date-time": re.compile(
        r"[12]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:Z|[+-]0\d:00)\Z",
        re.ASCII,
    ),
    "uuid": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"),
    "ipv4": re.compile(r"(?:[1-9]?\d|1\d\d)(?:\.(?:[1-9]?\d|1\d\d)){3}\Z", re.ASCII),
    "email": re.compile(r"[a-z]{1,20}@[a-z]{1,20}\.(?:com|org)\Z"),
}


def speaks_of(name: str, kind: str) -> bool:
    """Whether a format says anything of instances of a JSON type; one that is not known may speak of every scalar."""
    if name in SAMPLES:
        return kind == "string"
    if name in _NUMERIC:
        return kind == "number"
    return kind in ("string", "number")


def surely(name: str, text: object) -> bool:
    """Whether ``text`` is of the format in whatever reading; False says nothing."""
    if not isinstance(text, str):
        return name in ("float", "double") or (name in _NUMERIC and text in (0, 1))
    shape = _CERTAIN.get(name)
    return text in SAMPLES.get(name, ()) or bool(shape and shape.match(text))
