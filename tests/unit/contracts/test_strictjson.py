"""Strict JSON: what two parsers could read differently is refused, and what is too large is refused before it is parsed."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.errors import InvalidJson
from handoffs.contracts.strictjson import DEFAULT_LIMITS, Limits, canonical, dumps, loads

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


@given(values)
def test_round_trip(value: object) -> None:
    """What is written is read back as it was, as text and as bytes."""
    assert loads(dumps(value)) == value
    assert loads(canonical(value).encode()) == value


@given(st.dictionaries(texts, scalars, min_size=2))
def test_canonical_ignores_order(value: dict[str, object]) -> None:
    """Equal values give equal canonical text, in whatever order they were made."""
    turned = dict(reversed(value.items()))
    assert canonical(value) == canonical(turned)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[1,]",
        "{'a':1}",
        "01",
        "+1",
        "1 2",
        "[1]]",
        "nul",
        '"\n"',
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "[-1e999]",
        '{"a":1,"a":1}',
        '[{"a":{"b":1,"\\u0062":2}}]',
        '"\\ud800"',
        '{"\\udfff":1}',
        '"\\udc00\\ud800"',
        "\ufeff1",
        "\ud800",
        "9" * 5000,
    ],
)
def test_what_is_not_strict_is_refused(text: str) -> None:
    """Fragments, NaN, infinities, duplicate keys, lone surrogates, byte order marks and endless numbers are refused."""
    with pytest.raises(InvalidJson):
        loads(text)


@pytest.mark.parametrize("octets", [b"\xff", b'"\xed\xa0\x80"', b'"\xc0\xaf"', "1".encode("utf-16")])
def test_only_utf8_is_read(octets: bytes) -> None:
    """Bytes that are not UTF-8 are refused."""
    with pytest.raises(InvalidJson):
        loads(octets)


def test_surrogate_pairs_are_one_character() -> None:
    """A pair of escaped surrogates is the character that it stands for."""
    assert loads('"\\ud83d\\ude00"') == "😀"


@given(st.integers(1, 12), st.sampled_from([("[", "]"), ('{"a":', "}")]), st.integers(1, 12))
def test_depth_is_limited(depth: int, brackets: tuple[str, str], limit: int) -> None:
    """Values are read up to the limit of depth, and refused above it."""
    begin, end = brackets
    text = begin * depth + "1" + end * depth
    if depth <= limit:
        assert loads(text, Limits(depth=limit)) == json.loads(text)
    else:
        with pytest.raises(InvalidJson, match="nested"):
            loads(text, Limits(depth=limit))


@given(st.text(alphabet='[]{}\\"a', max_size=30))
def test_brackets_in_text_do_not_count(text: str) -> None:
    """Brackets, quotes and backslashes inside a text nest nothing."""
    assert loads(dumps([text]), Limits(depth=1)) == [text]


def test_deep_text_never_reaches_the_parser() -> None:
    """A text nested a hundred thousand deep is refused as too deep, even where it is broken further on."""
    with pytest.raises(InvalidJson, match="nested more than 64 deep"):
        loads("[" * 100_000)


def test_size_is_limited_before_parsing() -> None:
    """A text over the size limit is refused for its size, whatever it says; bytes are counted, not characters."""
    with pytest.raises(InvalidJson, match="over the limit of 4"):
        loads("not json", Limits(octets=4))
    assert loads('"é"', Limits(octets=4)) == "é"
    with pytest.raises(InvalidJson, match="5 bytes"):
        loads('"éa"', Limits(octets=4))


@pytest.mark.parametrize(
    ("text", "limits", "reason"),
    [
        ("[1,1,1]", Limits(nodes=3), "more than 3 values"),
        ('{"abc":1}', Limits(key_length=2), "3 characters"),
        ('["abc"]', Limits(text_length=2), "3 characters"),
        ('{"a":["abc"]}', Limits(text_length=2), "3 characters"),
    ],
)
def test_counts_are_limited(text: str, limits: Limits, reason: str) -> None:
    """The number of values, and the length of keys and texts, are limited."""
    with pytest.raises(InvalidJson, match=reason):
        loads(text, limits)
    assert loads(text) == json.loads(text)


def test_limits_are_generous_enough() -> None:
    """The default limits take a message of many values and a long text."""
    value = {"many": list(range(40_000)), "long": "x" * 200_000}
    assert loads(dumps(value), DEFAULT_LIMITS) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"x", {("a",): 1}])
def test_what_json_has_no_form_for_is_refused(value: object) -> None:
    """NaN, infinities and Python's own types are not written."""
    for write in (dumps, canonical):
        with pytest.raises(InvalidJson):
            write(value)


def test_endless_value_is_refused() -> None:
    """A value that contains itself is not written."""
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidJson):
        dumps(value)


@given(values, st.integers(1, 12))
def test_counting_before_parsing_refuses_nothing_else(value: object, limit: int) -> None:
    """Values are counted alike before and after parsing: the limit refuses exactly the texts that have more."""

    def count(part: object) -> int:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        return 1 + sum(map(count, inner))

    if count(value) <= limit:
        assert loads(dumps(value), Limits(nodes=limit)) == value
    else:
        with pytest.raises(InvalidJson, match="values"):
            loads(dumps(value), Limits(nodes=limit))


@pytest.mark.parametrize("text", ["[" + "1," * 200_000, "[" + "{}," * 100_000, "[" + "[]," * 100_000])
def test_many_values_never_reach_the_parser(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of very many values is refused unparsed, even where it is broken further on."""
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(InvalidJson):
        loads(text)


@pytest.mark.parametrize(
    "text", ['"' + '\\"' * 250_000, '"' * 500_001, '"' + "," * 500_000, '[",' * 200_000 + "\\"]
)
def test_broken_strings_take_linear_time(text: str) -> None:
    """Strings without end are dealt with in a moment."""
    begin = time.process_time()
    with pytest.raises(InvalidJson):
        loads(text)
    assert time.process_time() - begin < 3


escaped = st.sampled_from(
    [
        '"\\ud800"',
        '"\\u0041"',
        '"\\\\ud800"',
        '"\\ud83d\\ude00"',
        "1e400",
        "-1E309",
        "1e-400",
        "1" * 400 + ".0",
    ]
)
written = st.recursive(
    escaped | st.integers(-9, 9).map(str) | st.text("ab,[{:", max_size=6).map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.text("xyz", max_size=4), inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f"{json.dumps(name)}:{one}" for name, one in pairs) + "}"
        )
    ),
    max_leaves=8,
)


def _fits(value: Any, limits: Limits) -> bool:
    """Whether a value is within the limits, looked at piece by piece."""
    pieces, count = [value], 0
    while pieces:
        piece = pieces.pop()
        count += 1
        if isinstance(piece, str) and (
            len(piece) > limits.text_length or any("\ud800" <= c <= "\udfff" for c in piece)
        ):
            return False
        if isinstance(piece, float) and not math.isfinite(piece):
            return False
        if isinstance(piece, dict) and any(len(name) > limits.key_length for name in piece):
            return False
        pieces += piece.values() if isinstance(piece, dict) else piece if isinstance(piece, list) else []
    return count <= limits.nodes


@given(written, st.integers(0, 30), st.integers(0, 6), st.integers(0, 3))
def test_what_is_looked_at_only_where_needed(
    text: str, nodes: int, text_length: int, key_length: int
) -> None:
    """A text passes exactly where each of its values is within the limits, whether they had to be looked at one by one or not."""
    limits = Limits(nodes=nodes, text_length=text_length, key_length=key_length)
    pairs = list[int]()

    def noted(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append(len(found) - len(dict(found)))
        return dict(found)

    value = json.loads(text, object_pairs_hook=noted)
    if _fits(value, limits) and not any(pairs):
        assert loads(text, limits) == value
    else:
        with pytest.raises(InvalidJson):
            loads(text, limits)
