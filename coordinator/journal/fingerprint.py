"""Fingerprint: what letters that failed for one cause have in common, as a short name that is the same in every process and language.

The name is of the kind, the flow, the step without the numbers of items and rounds, the agent, the contract version, the error's class,
and its text without what differs from one letter to the next. Its rule is written down with test vectors in decision 54, and has a
number: a name that an older rule gave is made anew where it is met.
"""

from __future__ import annotations

import hashlib
import re

from handoffs.contracts.text import MASK

RULE = "1"
"""Which rule a name was made by; each begins with it."""

_DIGITS = 15
_READ, _LONGEST = 2_000, 300
"""How much of a text is looked at, and how much of it counts once it is plain, in characters: where a long one was cut says nothing of
its cause."""

_MARK = "#"
_APART = "\x1f"

_QUOTED = (
    r"""(?<![0-9A-Za-z])(?:'(?:[^'\\]|\\.)*'(?![0-9A-Za-z])|'[^']*$)"""
    r"""|"(?:[^"\\]|\\.)*"|"[^"]*$|`[^`]*`|\u201c[^\u201d]*\u201d|\u00ab[^\u00bb]*\u00bb"""
)
_PLACE = (
    r"[a-z][a-z0-9+.-]*://[^\s,;)\]}>'\"]+"  # an address
    r"|[0-9A-Za-z._%+-]+@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)+"  # a mailbox
    r"|(?<![0-9A-Za-z])[A-Za-z]:\\[^\s,;:)\]}>'\"]*"  # a path of Windows
    r"|(?<![0-9A-Za-z/.~])~?/[\w.@%+-][^\s,;:)\]}>'\"]*"  # an absolute path
    r"|(?<![0-9A-Za-z/])(?:[\w.@%+-]+/){2,}[\w.@%+-]+"  # a relative one
)
_TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?Z| ?[+-][0-9]{2}:?[0-9]{2})?)?"
    r"|[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
)
_ID = (
    r"(?<![0-9A-Za-z])(?:"
    r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"  # a UUID
    r"|0[xX][0-9A-Fa-f]+"
    r"|(?=[0-9]*[a-f])[0-9a-f]{8,}|(?=[0-9]*[A-F])[0-9A-F]{8,}"
    r"|(?=[0-9]*[A-Za-z])(?=[A-Za-z]*[0-9][A-Za-z]*[0-9])[0-9A-Za-z]{16,}"  # a ULID and its like
    r")(?![0-9A-Za-z])"
)
_NUMBER = r"(?:(?<![0-9A-Za-z_])[+-])?[0-9]+(?:[.,_:][0-9]+)*(?:[eE][+-]?[0-9]+)?"
_DIFFERS = re.compile("|".join((_QUOTED, _PLACE, _TIME, _ID, _NUMBER)), re.ASCII)
_SEVERAL = re.compile(r"#(?:, ?#)+")
_BLANK = re.compile(r"[ \t\r\n]+")
_TIMES = re.compile(r"(?<![^.])([ir])[0-9]+(?![^.])", re.ASCII)
_HEARD = re.compile(r"(@\+?)[0-9a-f]{16}", re.ASCII)


def plain_text(text: str) -> str:
    """A text of an error without what differs from one letter to the next: numbers, ids, dates, quoted texts, addresses and paths are
    each ``#``, and so is a list of them."""
    told = _DIFFERS.sub(_MARK, _BLANK.sub(" ", text[:_READ].replace(MASK, _MARK)).strip())
    return _SEVERAL.sub(_MARK, told)[:_LONGEST]


def plain_step(step: str) -> str:
    """The path of a step as the flow has it: ``3.i7.1`` is ``3.i*.1``, and ``agent@<hash>`` is ``agent@*``."""
    return _HEARD.sub(r"\1*", _TIMES.sub(r"\1*", step))


def fingerprint(kind: str, place: tuple[str, str, str], contract: str, error: str, text: str) -> str:
    """The name of what a letter is one of: sixteen digits, base 16. ``place`` is its flow, step and agent; ``contract`` is
    ``name/version``; ``error`` is the class."""
    flow, step, agent = place
    parts = (kind, flow, plain_step(step), agent, contract, error, plain_text(text))
    octets = _APART.join(parts).encode("utf-8", "replace")
    return RULE + hashlib.sha256(octets).hexdigest()[:_DIGITS]
