"""Properties: texts that are no text, times that are none, and whatever else fits between the flags and the body."""

from __future__ import annotations

from random import Random

from tests.hostile.case import Case, Target, token
from tests.hostile.octets import pairs
from tests.hostile.sample import TARGETS, fate, sample

_TEXTS = (
    "content_type", "content_encoding", "correlation_id", "reply_to", "message_id", "type", "app_id", "cluster_id",
)  # fmt: skip

NO_TEXT = (
    b"\xff\xfe\xfd",
    b"caf\xe9",
    b"\xc0\xaf",
    b"\xed\xa0\x80",  # half of a pair of surrogates
    b"\xed\xb0\x80\xed\xa0\x80",
    b"\xf4\x90\x80\x80",  # beyond the last character
    b"\xf8\x88\x80\x80\x80",
    b"\x80",
    b"\xe2\x82",
    "naïve".encode("utf-16"),
)
"""What is no UTF-8."""


def generate(random: Random) -> Case:
    """A message as the product makes it, but for one property or several; so what reads properties refuses it, or what reads
    messages."""
    mark = token(random)
    target = random.choice([*TARGETS, Target.CONTROL, Target.SHOWN])
    found = sample(random, mark)
    name = random.choice((*_TEXTS, "several", "timestamp", "octets"))
    more = pairs({"token": mark, "task": "hostile.absent"})
    texts: dict[str, bytes | int] = {}
    if name == "timestamp":
        texts["timestamp"] = random.choice((253_402_300_800, 2**63, 2**64 - 1, 10**15))
    elif name == "octets":
        texts = {"priority": random.randrange(256), "delivery_mode": random.randrange(3, 256)}
    else:
        chosen = random.sample(_TEXTS, 3) if name == "several" else [name]
        texts = {one: _no_text(random) for one in chosen}
    return Case(f"properties/{name}", mark, found.publication(target, more=more, others=texts), fate(target))


def _no_text(random: Random) -> bytes:
    around = random.choice((b"", b"application/json", b"utf-8", random.randbytes(random.randint(0, 100))))
    return (around + random.choice(NO_TEXT))[:255] if random.random() < 0.9 else b"\xff" * 255
