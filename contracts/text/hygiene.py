"""Hygiene: finds what a text hides from a person who reads it, and refuses or strips it.

What is judged is the character and its neighbours, not the meaning. Every script's own use of invisible characters
passes. The same text is judged alike by every Python from 3.11 on: see :mod:`handoffs.contracts.text.characters`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, KeysView
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple

from handoffs.contracts.errors import UnsafeText
from handoffs.contracts.text import characters as chars

Policy = Literal["refuse", "strip"]
Reason = Literal[
    "control", "bidi", "tag", "variation selector", "invisible", "unassigned", "noncharacter", "private use",
    "surrogate", "too many marks",
]  # fmt: skip

MOST_MARKS = 30
"""Combining marks in a row, as in the stream-safe text format (UAX #15). More are no writing, and take quadratic time."""

_REPORTED = 5
_PASSES = 3
_NEAR = 64
_WINDOW = 24
_MOST_SELECTORS = 8
_FLAGS = re.compile(
    "\U0001f3f4(?:"
    + "|".join("".join(chr(0xE0000 + ord(sign)) for sign in flag) for flag in ("gbeng", "gbsct", "gbwls"))
    + ")\U000e007f"
)
"""The emoji tag sequences that are in general use (RGI): the flags of England, Scotland and Wales."""

_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_CHOSEONG = chars.Ranges("1100-115E A960-A97C")
_JUNGSEONG = chars.Ranges("1161-11A7 D7B0-D7C6")


class Finding(NamedTuple):
    """A character that has no business where it stands. ``position`` counts code points from 0."""

    position: int
    character: int
    reason: Reason

    def __str__(self) -> str:
        return f"U+{self.character:04X} ({self.reason}) at {self.position}"


def findings(text: str) -> list[Finding]:
    """What hygiene finds in ``text``, in order."""
    return list(_scan(text))


def clean(text: str, policy: Policy = "refuse") -> tuple[str, list[Finding]]:
    """Give ``text`` in NFC, with what was stripped from it.

    Raises :class:`~handoffs.contracts.errors.UnsafeText` where the policy is to refuse and there is anything to find. Positions
    are those in ``text``; what only comes to light when it is normalised or stripped has the position that it then has.
    """
    stripped: list[Finding] = []
    for _ in range(_PASSES):
        found = findings(text)
        if found and policy == "refuse":
            raise unsafe(found)
        normal = unicodedata.normalize("NFC", _without(text, found))  # runs of marks are short by now
        if not found and normal == text:
            return text, stripped
        stripped += found
        text = normal
    # Stripping keeps making more to strip: no character stays that needs its neighbours
    found = [
        Finding(place, ord(sign), rule.reason) for place, sign in enumerate(text) if (rule := _rule(sign))
    ]
    return unicodedata.normalize("NFC", _without(text, found)), stripped + found


def unsafe(found: list[Finding]) -> UnsafeText:
    """The error that says what was found: code points and places, at most five, never the characters themselves."""
    return UnsafeText(f"the text holds {listed(found)}", "it was refused", "send it without them")


def listed(found: list[Finding]) -> str:
    """The first five findings in words."""
    more = f" and {len(found) - _REPORTED} more" if len(found) > _REPORTED else ""
    return ", ".join(map(str, islice(found, _REPORTED))) + more


def _without(text: str, found: list[Finding]) -> str:
    gone = {finding.position for finding in found}
    return "".join(sign for place, sign in enumerate(text) if place not in gone) if gone else text


def _scan(text: str) -> Iterator[Finding]:
    distinct = set(text)
    rules = {sign: rule for sign in distinct if (rule := _rule(sign))}
    marks = frozenset(sign for sign in distinct if unicodedata.combining(sign))
    if not rules and not marks:
        return
    in_row = 0
    for place, sign in enumerate(text):
        if sign in marks:
            in_row += 1
            if in_row > MOST_MARKS:
                yield Finding(place, ord(sign), "too many marks")
                continue
        elif rule := rules.get(sign):  # ends no row: it may be stripped
            if not rule.allowed(text, place):
                yield Finding(place, ord(sign), rule.reason)
        else:
            in_row = 0


class _Rule(NamedTuple):
    """Why a character is refused, but where it is ``allowed``."""

    reason: Reason
    allowed: Callable[[str, int], bool] = lambda _text, _place: False


@lru_cache(maxsize=8192)
def _rule(sign: str) -> _Rule | None:
    """The rule for one character; None: it may stand anywhere."""
    if sign.isascii():
        return None if sign.isprintable() or sign in "\t\n" else _Rule("control")
    category = unicodedata.category(sign)
    if sign in chars.ADDED or sign in chars.VISIBLE_FORMATS:
        return None
    if sign in chars.IGNORABLE or sign in chars.SCRIPT_FORMATS or category in {"Cf", "Zl", "Zp"}:
        return next(rule for kind, rule in _INVISIBLE if sign in kind)
    if category == "Cn" and (0xFDD0 <= ord(sign) <= 0xFDEF or ord(sign) & 0xFFFE == 0xFFFE):
        return _Rule("noncharacter")
    return _REFUSED.get(category)


def _before(text: str, place: int) -> str:
    return text[place - 1 : place] if place > 0 else ""


def _after(text: str, place: int) -> str:
    return text[place + 1 : place + 2]


def _in_flag(text: str, place: int) -> bool:
    begin = text.rfind("\U0001f3f4", max(place - 7, 0), place)
    flag = _FLAGS.match(text, begin) if begin >= 0 else None
    return flag is not None and place < flag.end()


def _selects(text: str, place: int) -> bool:
    """Whether the one character before it is one that this selector is defined for, and there are few of its kind."""
    sign, base = text[place], _before(text, place)
    if sign in chars.EMOJI_SELECTORS:
        if base in chars.KEYCAPS and _after(text, place) != "\u20e3":
            return _is_one_of_few(text, place)
        return base in chars.PICTOGRAPHS or base in chars.EMOJI_PARTS
    if base in chars.IDEOGRAPHS:
        return sign in chars.IDEOGRAPH_SELECTORS and _is_one_of_few(text, place)
    return sign <= "\ufe06" and (base in chars.VARIANT_BASES or base in chars.HIEROGLYPHS)


def _is_one_of_few(text: str, place: int) -> bool:
    """Whether the selector is not one of a run: each could say something that nobody sees. Two ideographs in a row may have one
    each, and eight in a line of 24, as in a list of names."""
    if _is_selector(_before(text, place - 1)) and _is_selector(_before(text, place - 3)):
        return False
    bases = selectors = 0
    for here in range(place - 1, -1, -1):
        if _is_selector(text[here]):
            selectors += 1
        else:
            bases += 1
        if bases == _WINDOW or selectors == _MOST_SELECTORS:
            break
    return selectors < _MOST_SELECTORS


def _is_selector(sign: str) -> bool:
    return "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef"


def _selects_mongolian(text: str, place: int) -> bool:
    return _before(text, place) in chars.MONGOLIAN


def _formats(text: str, place: int) -> bool:
    """Whether a format character of one script stands beside a character of that script."""
    _, script = next(pair for pair in chars.FORMATTED if text[place] in pair[0])
    return _before(text, place) in script or _after(text, place) in script


def _directs(text: str, place: int) -> bool:
    """Whether a direction mark stands alone and near right-to-left writing in the same line."""
    if _after(text, place) in chars.DIRECTION_MARKS or _before(text, place) in chars.DIRECTION_MARKS:
        return False
    begin = max(place - _NEAR, 0)
    begin = max(begin, text.rfind("\n", begin, place) + 1)
    end = text.find("\n", place, place + _NEAR)
    return _RIGHT_TO_LEFT.search(text, begin, place + _NEAR if end < 0 else end) is not None


def _joins(text: str, place: int) -> bool:
    """Whether a zero-width joiner joins emoji, asks for a joining form, or chooses the form of an Indic cluster."""
    before, after = _before(text, place), _after(text, place)
    if before == "\ufe0f" or before in chars.MONGOLIAN_SELECTORS:
        before = _before(text, place - 1)
    if after in chars.PICTOGRAPHS and (before in chars.PICTOGRAPHS or before in chars.SKIN_TONES):
        return True
    return _in_cluster(before, after) or (
        (before in chars.JOINING or after in chars.JOINING) and not _hidden(before) and not _hidden(after)
    )


def _keeps_apart(text: str, place: int) -> bool:
    """Whether a zero-width non-joiner stops two letters from joining, or chooses the form of an Indic cluster."""
    before, after = _before(text, place), _after(text, place)
    if _in_cluster(before, after):
        return True
    if after in chars.JOINING:  # also a suffix after a foreign word, a number or a closing mark
        return before in chars.JOINING or before.isalnum() or before in chars.CLOSING
    return before in chars.JOINING and after.isalnum()


def _in_cluster(before: str, after: str) -> bool:
    if before not in chars.INDIC or _hidden(before) or _hidden(after):
        return False
    return after in chars.INDIC or unicodedata.combining(before) == 9 or before in chars.ADDED_VIRAMAS


def _breaks(text: str, place: int) -> bool:
    """Whether a zero-width space stands in a script without spaces."""
    before, after = _before(text, place), _after(text, place)
    return (
        (before in chars.UNSPACED or after in chars.UNSPACED) and not _hidden(before) and not _hidden(after)
    )


def _orders(text: str, place: int) -> bool:
    """Whether a grapheme joiner keeps marks of one letter in their order."""
    after = _after(text, place)
    before = _before(text, place)
    return bool(after) and unicodedata.combining(after) != 0 and (before.isalpha() or _is_mark(before))


def _is_mark(sign: str) -> bool:
    return bool(sign) and unicodedata.combining(sign) != 0


def _hidden(sign: str) -> bool:
    """Whether it is one of those characters that need their neighbours: they do not vouch for one another."""
    return sign in chars.IGNORABLE


_CONTEXTS: dict[str, Callable[[str, int], bool]] = {
    "\u200b": _breaks,
    "\u200c": _keeps_apart,
    "\u200d": _joins,
    "\u034f": _orders,
    "\u115f": lambda text, place: _after(text, place) in _JUNGSEONG,  # Hangul fillers in old syllables
    "\u1160": lambda text, place: _before(text, place) in _CHOSEONG,
}

_REFUSED = {
    "Cc": _Rule("control"),
    "Cs": _Rule("surrogate"),
    "Co": _Rule("private use"),
    "Cn": _Rule("unassigned"),
}

_INVISIBLE: tuple[tuple[chars.Ranges | KeysView[str], _Rule], ...] = (
    (chars.BIDI, _Rule("bidi")),
    (chars.TAGS, _Rule("tag", _in_flag)),
    (chars.SELECTORS, _Rule("variation selector", _selects)),
    (chars.MONGOLIAN_SELECTORS, _Rule("variation selector", _selects_mongolian)),
    (chars.DIRECTION_MARKS, _Rule("invisible", _directs)),
    (_CONTEXTS.keys(), _Rule("invisible", lambda text, place: _CONTEXTS[text[place]](text, place))),
    (chars.SCRIPT_FORMATS, _Rule("invisible", _formats)),
    (chars.EVERY, _Rule("invisible")),
)
