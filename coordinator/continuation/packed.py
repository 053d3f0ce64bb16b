"""Packed: steps that are far off in a long sequence, as one text in the place of their signatures.

A message carries all that is to come. So that each of 1,000 steps does not parse and write the signatures of all others, it has the
next ones as they are, and the others compressed, in parts. A part is made once, where the flow is composed, and taken apart once, when
its steps are next. What is in it is checked then as the rest of the message is.

The text is ``octets:base64`` for each part, in order, separated by blanks: the zlib stream of a JSON list of signatures, and how many
octets that list has, with what is packed within it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidData, InvalidInput
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation import schema
from handoffs.coordinator.continuation.signature import PACKED, Sig, is_packed, placed, signature, with_chord

_LARGEST_PART = 32_768  # octets of JSON text of a part with more than one step
_LONGEST_PACKED = schema.LONGEST_PACKED
_MOST_TIMES = 50
"""How many times its text a part may be in octets: what a message becomes in memory has a bound."""
_LIMITS = Limits(octets=_LONGEST_PACKED * _MOST_TIMES, nodes=200_000)


def packed(steps: Sequence[Sig], most: int) -> list[Sig]:
    """The steps, packed in parts of at most ``most``. What cannot be packed, such as a step that is hundreds of times its text, stays
    as it is."""
    found: list[Sig] = []
    texts: list[str] = []

    def pack() -> None:
        if texts:
            found.append(_piece(" ".join(texts)))
            texts.clear()

    for part in _parted(steps, most):
        text = _packed(part)
        if text is None:
            pack()
            found += part
        else:
            if sum(map(len, texts)) + len(texts) + len(text) > _LONGEST_PACKED:
                pack()
            texts.append(text)
    pack()
    return found


def at_hand(chain: list[Sig]) -> list[Sig]:
    """The rest of a chain (the next one last), its next step being at hand.

    Raises :class:`InvalidData` where what is packed there are no steps.
    """
    if not chain or not is_packed(chain[-1]):
        return chain
    *rest, piece = chain
    schema.check_packed(piece)
    kwargs, chord = piece["kwargs"], piece["options"].get("chord")
    first, _, others = kwargs["packed"].partition(" ")
    steps = _unpacked(first)
    for template, path in kwargs.get("placed", ()):
        steps = [placed(step, template, path) for step in steps]
    schema.check_steps(steps)
    if others:
        rest.append({**piece, "kwargs": {**kwargs, "packed": others}})
    elif chord is not None:
        steps[-1] = with_chord(steps[-1], chord)
    return [*rest, *reversed(steps)]


def _piece(text: str) -> Sig:
    return signature(PACKED, {"packed": text})


def _parted(steps: Sequence[Sig], most: int) -> Iterator[list[Sig]]:
    """The steps in lists of at most so many, which begin with a step, and not with what is packed."""
    part: list[Sig] = []
    octets = 0
    for step in steps:
        size = len(strictjson.dumps(step))
        if part and (len(part) >= most or octets + size > _LARGEST_PART) and not is_packed(step):
            yield part
            part, octets = [], 0
        part.append(step)
        octets += size
    if part:
        yield part


def _packed(steps: list[Sig]) -> str | None:
    """The steps as a part; None where no reader would take that."""
    text = strictjson.dumps(steps).encode()
    part = f"{len(text) + _octets_within(steps)}:{base64.b64encode(zlib.compress(text)).decode()}"
    try:
        at_hand([_piece(part)])
    except InvalidData:
        return None
    return part


def _unpacked(part: str) -> Any:
    """The JSON value of a part."""
    try:
        octets, text = _octets(part), part.partition(":")[2]
        if octets > _MOST_TIMES * len(text):
            raise ValueError("it would be too large for its text")
        inflating = zlib.decompressobj()
        inflated = inflating.decompress(base64.b64decode(text, validate=True), octets)
        if not inflating.eof or inflating.unused_data:
            raise ValueError("it does not end where it says")
        value = strictjson.loads(inflated, _LIMITS)
        within = _octets_within(value)
    except (InvalidInput, ValueError, TypeError, LookupError, AttributeError, zlib.error):
        raise _malformed("cannot be read") from None
    if len(inflated) + within != octets:  # so what is packed within what is packed has an end
        raise _malformed("has another size than it says")
    return value


def _octets_within(value: Any) -> int:
    """How many octets there are in what is packed in a JSON value, however deep."""
    if isinstance(value, list):
        return sum(map(_octets_within, value))
    if is_packed(value):
        return sum(map(_octets, value["kwargs"]["packed"].split(" ")))
    return sum(map(_octets_within, value.values())) if isinstance(value, dict) else 0


def _octets(part: str) -> int:
    """How many octets a part says that it has."""
    number, sign, _ = part.partition(":")
    if not (sign and number.isdecimal() and int(number)):
        raise ValueError("it does not say how many octets it has")
    return int(number)


def _malformed(what: str) -> InvalidData:
    return InvalidData(f"the continuation of the message is malformed: what is packed {what}")
