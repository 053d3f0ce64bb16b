"""Frames: what stands between the method and the body of a message is cut, changed or made up."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.hostile.case import Case, Publication, Target, token
from tests.hostile.octets import long, properties
from tests.hostile.sample import TARGETS, Sample, fate, sample


def generate(random: Random) -> Case:
    """One of the kinds below: most often those that every broker takes, for a refusal takes RabbitMQ about a second."""
    name = random.choices(list(_KINDS), [1, 1, 1, 1, 200, 200])[0]
    mark = token(random)
    target = random.choice([*TARGETS, Target.CONTROL, Target.SHOWN])
    found = sample(random, mark)
    publication = _KINDS[name](random, found, mark, target)
    return Case(f"frames/{name}", mark, publication, fate(target))


def _flipped(random: Random, found: Sample, mark: str, target: Target) -> Publication:
    """A property says that it is longer than it is, or some bits are others: the token stands in the body."""
    octets = bytearray(found.publication().properties)
    for _ in range(random.randint(1, 3)):
        octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
    return Publication(target, bytes(octets) + b"", _unread(mark))


def _cut(random: Random, found: Sample, mark: str, target: Target) -> Publication:
    """The properties end in the middle."""
    octets = found.publication().properties
    return Publication(target, octets[: random.randrange(2, len(octets))], _unread(mark))


def _trailing(random: Random, found: Sample, mark: str, target: Target) -> Publication:
    """Something follows the last property."""
    octets = found.publication().properties + random.randbytes(random.randint(1, 40))
    return Publication(target, octets, _unread(mark))


def _noise(random: Random, found: Sample, mark: str, target: Target) -> Publication:
    """The table of headers is noise of the right length."""
    octets = properties(long(random.randbytes(random.randint(0, 300))), **found.texts)
    return Publication(target, octets, _unread(mark))


def _key(random: Random, found: Sample, mark: str, target: Target) -> Publication:
    """The routing key is no text; an exchange that sends to all takes it."""
    target = random.choice((Target.DEAD, Target.UNHEARD, Target.NOBODY))
    key = random.randbytes(random.randint(1, 255))
    return Publication(target, found.publication().properties, _unread(mark), key)


def _many(random: Random, found: Sample, mark: str, target: Target) -> Publication:
    """The body is empty, and so is everything else but a name."""
    return Publication(target, properties(app_id=mark.encode()), b"")


def _unread(mark: str) -> bytes:
    return f'{{"no": "message", "of": "ours", "token": "{mark}"}}'.encode()


_KINDS: dict[str, Callable[[Random, Sample, str, Target], Publication]] = {
    "flipped": _flipped,
    "cut": _cut,
    "trailing": _trailing,
    "noise": _noise,
    "key": _key,
    "empty": _many,
}
