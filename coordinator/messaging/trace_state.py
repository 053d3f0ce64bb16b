"""Trace state: what those who trace add to a trace, a list of ``key=value`` that W3C Trace Context calls ``tracestate``.

Keys are those of its Level 2, which has those of Level 1 among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LONGEST_STATE = 512
"""Characters of a ``tracestate`` that a message has room for."""
MOST_MEMBERS = 32
_LONG_MEMBER = 128
"""Characters. Of a state that is too long, longer members go first."""
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_BLANKS = " \t"


def members_of(values: Iterable[str]) -> dict[str, str]:
    """The members of a state by their keys, in their order: several headers are one list. Of a key that is there twice the first member
    stays, which is the newest. A member that is not valid spoils all of it, and so do more than 32: empty then."""
    parts = [one for value in values for part in value.split(",") if (one := part.strip(_BLANKS))]
    matches = [match for one in parts if (match := _MEMBER.fullmatch(one))]
    if len(matches) < len(parts) or len(parts) > MOST_MEMBERS:
        return {}
    newest = {match[1]: match[2] for match in reversed(matches)}
    return {match[1]: newest[match[1]] for match in matches}


def is_member(key: str, value: str) -> bool:
    """Whether this is a valid member."""
    match = _MEMBER.fullmatch(f"{key}={value}")
    return match is not None and match[1] == key


def written(members: Mapping[str, str]) -> str:
    """A state as a header of one line."""
    return ",".join(f"{key}={value}" for key, value in members.items())


def fitting(members: Mapping[str, str]) -> dict[str, str]:
    """As many members as a message has room for: long ones go first, from the end, and then the last ones."""
    kept = dict(members)
    long = [key for key, value in reversed(kept.items()) if len(f"{key}={value}") > _LONG_MEMBER]
    for key in [*long, *reversed(list(members))]:
        if len(written(kept)) <= LONGEST_STATE:
            break
        kept.pop(key, None)
    return kept
