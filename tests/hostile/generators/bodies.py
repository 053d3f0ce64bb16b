"""Bodies: too large, too deep, packed, in other encodings, with keys that come twice, or just noise."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import zlib
from collections.abc import Callable
from functools import cache
from random import Random

from tests.hostile.case import Case, Target, token
from tests.hostile.octets import pairs
from tests.hostile.sample import TARGETS, fate, sample

_DEEP, _LARGE = 100_000, 3_000_000

Made = tuple[bytes, dict[str, bytes], dict[str, str]]
"""A body, and the properties and headers that go with it."""


def generate(random: Random) -> Case:
    """A message whose headers are right, and whose body is not."""
    mark = token(random)
    target = random.choice([*TARGETS, Target.CONTROL, Target.SHOWN])
    found = sample(random, mark)
    name = random.choice(list(_KINDS))
    body, texts, more = _KINDS[name](random, found.body)
    publication = found.publication(target, more=pairs({"token": mark, **more}), body=body, others=texts)
    return Case(f"bodies/{name}", mark, publication, fate(target))


def _noise(random: Random, body: str) -> Made:
    return random.randbytes(random.choice((0, 1, 3, 100, 5_000))), {}, {}


def _cut(random: Random, body: str) -> Made:
    return body.encode()[: random.randrange(len(body) - 1)], {}, {}


def _deep(random: Random, body: str) -> Made:
    opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
    return (opening * _DEEP + "1" + closing * _DEEP).encode(), {}, {}


def _large(random: Random, body: str) -> Made:
    """Over every limit: an envelope of blanks, or of very many values."""
    filling = random.choice((b" ", b"[],", b'"a",', b"\\u0000", b"1e9,"))
    return (b"[[" + filling * (_LARGE // len(filling)) + b"0]]")[: _LARGE + 4], {}, {}


def _twice(random: Random, body: str) -> Made:
    envelope, kwargs, continuation = json.loads(body)
    texts = [json.dumps(part) for part in (envelope, kwargs, continuation)]
    which = random.choice((1, 2))
    again = random.choice(('"step":"9",', '"flow":"other",')) if which == 1 else '"chain":null,'
    texts[which] = "{" + again + texts[which][1:]
    return f"[{','.join(texts)}]".encode(), {}, {}


def _packed(random: Random, body: str) -> Made:
    """A bomb: a little that becomes much."""
    octets = random.choice((1_000_000, 50_000_000))
    if random.random() < 0.5:
        return _bomb(octets, zipped=False), {}, {"compression": "application/x-gzip"}
    return _bomb(octets, zipped=True), {"content_encoding": b"gzip"}, {}


@cache
def _bomb(octets: int, *, zipped: bool) -> bytes:
    much = b"[" + b" " * octets + b"]"
    return gzip.compress(much, mtime=0) if zipped else zlib.compress(much, 9)


def _encoded(random: Random, body: str) -> Made:
    encoding = random.choice(("utf-16", "utf-32", "utf-7", "cp037"))
    return body.encode(encoding), {"content_encoding": encoding.encode()}, {}


def _codec(random: Random, body: str) -> Made:
    """Names of codecs that Python knows, and others that it does not."""
    name = random.choice(
        (
            b"base64",
            b"zlib",
            b"bz2",
            b"rot13",
            b"unicode_escape",
            b"idna",
            b"punycode",
            b"binary",
            b"no-such",
            b"../x",
            b"\0",
        )
    )
    return base64.b64encode(body.encode()), {"content_encoding": name}, {}


def _slow(random: Random, body: str) -> Made:
    """A codec of Python's that takes minutes for this; Kombu takes this type for harmless, and decodes it."""
    return b"-" + b"b" * 500_000, {"content_type": b"application/data", "content_encoding": b"punycode"}, {}


def _typed(random: Random, body: str) -> Made:
    kind = random.choice(
        (
            "application/x-python-serialize",
            "application/x-yaml",
            "application/x-msgpack",
            "text/plain",
            "",
            "json",
            "application/json; charset=utf-16",
        )
    )
    other = pickle.dumps({"a": 1}) if "python" in kind else body.encode()
    return other, {"content_type": kind.encode()}, {}


def _values(random: Random, body: str) -> Made:
    """JSON that is none, or means something to who reads it."""
    value = random.choice(
        (
            "NaN",
            "-Infinity",
            "1e999",
            '"\\ud800"',
            '{"__type__":"datetime","__value__":"x"}',
            "01",
            "'a'",
            "[1,]",
            "\ufeff1",
            "1 2",
            "9" * 5_000,
        )
    )
    envelope, kwargs, continuation = (json.dumps(part) for part in json.loads(body))
    return f'[{envelope},{{"x":{value},{kwargs[1:]},{continuation}]'.encode(), {}, {}


def _another(random: Random, body: str) -> Made:
    """JSON, but no message."""
    value: object = random.choice(
        (
            None,
            True,
            0,
            "",
            [],
            {},
            [[]],
            [[], {}, {}],
            [[1], {}, {}],
            [["x"], [], {}],
            [["x", "y"], {}, {}],
            {"a": {}},
        )
    )
    return json.dumps(value).encode(), {}, {}


_KINDS: dict[str, Callable[[Random, str], Made]] = {
    "noise": _noise,
    "cut": _cut,
    "deep": _deep,
    "large": _large,
    "key-twice": _twice,
    "packed": _packed,
    "encoded": _encoded,
    "codec": _codec,
    "slow-codec": _slow,
    "typed": _typed,
    "values": _values,
    "no-message": _another,
}
