"""Headers: names and values that are no text, times beyond the calendar, tables in tables, odd types, thousands of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from struct import pack

from tests.hostile.case import Case, Fate, Target, token
from tests.hostile.generators.properties import NO_TEXT
from tests.hostile.octets import Pairs, item, long, nested, pairs, table
from tests.hostile.sample import TARGETS, fate, sample


def generate(random: Random) -> Case:
    """A message as the product makes it, with headers that nobody should have to read. What RabbitMQ refuses is seldom: it takes some
    seconds for it."""
    mark = token(random)
    target = random.choice([*TARGETS, Target.CONTROL, Target.SHOWN])
    name = random.choices(list(_KINDS), [1 if kind in _REFUSED else 100 for kind in _KINDS])[0]
    found = sample(random, mark)
    found.headers["token"] = mark
    publication = found.publication(target, more=_KINDS[name](random), twice=name == "twice")
    maybe = (
        Fate.EITHER if name == "twice" and fate(target) is Fate.LETTER else fate(target)
    )  # RabbitMQ 4 keeps one
    return Case(f"headers/{name}", mark, publication, maybe)


def _name(random: Random) -> Pairs:
    return [(random.choice(NO_TEXT), item("a value"))]


def _value(random: Random) -> Pairs:
    return [
        (random.choice((b"task", b"id", b"handoff_run", b"argsrepr", b"other")), item(random.choice(NO_TEXT)))
    ]


def _inner(random: Random) -> Pairs:
    inner = b"F" + table([(random.choice(NO_TEXT), item(random.choice(NO_TEXT)))])
    return [(random.choice((b"stamps", b"other")), nested(random.randint(0, 5), inner))]


def _time(random: Random) -> Pairs:
    seconds = random.choice((253_402_300_800, 2**63, 2**64 - 1, 10**14))
    return [(random.choice((b"eta", b"expires", b"other")), b"T" + pack(">Q", seconds))]


def _deep(random: Random) -> Pairs:
    depth = random.choice((20, 100, 700, 1_000, 3_000, 9_000))
    return [(b"deep", nested(depth, item(1), arrays=random.random() < 0.5))]


def _odd(random: Random) -> Pairs:
    odd = random.choice(b"ZzQqXpyYaceghjkmnopqrvw0\x00\xff")
    return [(b"odd", bytes([odd]) + random.randbytes(random.choice((0, 1, 2, 4, 8))))]


def _many(random: Random) -> Pairs:
    return _headers(random.choice((1_500, 3_000, 9_000)))


@cache
def _headers(number: int) -> Pairs:
    return [(f"h{one}".encode(), item(one % 2 == 0)) for one in range(number)]


def _long_array(random: Random) -> Pairs:
    return [(b"list", b"A" + long(item(True) * random.choice((5_000, 30_000))))]


def _number(random: Random) -> Pairs:
    value = random.choice(
        (b"d" + pack(">Q", 0x7FF8 << 48), b"d" + pack(">Q", 0x7FF0 << 48), b"f\x7f\xc0\0\0")
    )
    return [(b"number", value)]


def _twice(random: Random) -> Pairs:
    return [(b"task", item("hostile.absent")), (b"handoff_step", item("9"))]


def _wrong(random: Random) -> Pairs:
    """A header that the product knows, of another type."""
    name = random.choice(
        (
            "task",
            "id",
            "handoff_run",
            "handoff_flow",
            "handoff_step",
            "retries",
            "eta",
            "argsrepr",
            "timelimit",
        )
    )
    values: tuple[object, ...] = (
        None,
        True,
        2**40,
        1.5,
        [],
        {},
        {"a": [1]},
        "",
        "\x1b[31m",
        "\u202e",
        "a" * 3_000,
        b"\xff",
        [[[]]],
    )
    chosen = random.choice(values)
    if name in {"eta", "argsrepr", "timelimit"} and chosen in (None, ""):
        chosen = {"of": "another type"}
    return pairs({name: chosen})


_KINDS: dict[str, Callable[[Random], Pairs]] = {
    "name-no-text": _name,
    "value-no-text": _value,
    "inner-no-text": _inner,
    "time": _time,
    "deep": _deep,
    "odd-type": _odd,
    "many": _many,
    "long-array": _long_array,
    "number": _number,
    "twice": _twice,
    "wrong-type": _wrong,
}
_REFUSED = frozenset({"odd-type", "number"})
