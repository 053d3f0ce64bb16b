"""Fingerprints: what differs from one letter to the next is no part of them, and what is another cause is."""

from __future__ import annotations

import subprocess
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.journal.fingerprint import fingerprint, plain_step, plain_text
from tests.journal_suite import letter

WORDS = st.sampled_from(
    [
        "no",
        "price",
        "for",
        "the",
        "order",
        "of",
        "timed out after",
        "refused:",
        "see",
        "isn't",
        "can't",
        "application/json",
    ]
)
NUMBERS = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.integers(1000, 10**9).map("{:,}".format),
)
IDS = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda one: str(one).upper()),
    st.binary(min_size=8, max_size=32).map(bytes.hex),
    st.integers(0, 2**64).map(hex),
)
QUOTED = st.one_of(
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30).map(repr),
    st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cc", "Cs"]), max_size=30).map(
        '"{}"'.format
    ),
    st.text("abc d1.", max_size=10).map("`{}`".format),
)
DATES = st.datetimes().map(lambda one: one.isoformat(timespec="milliseconds") + "+00:00")
PATHS = st.lists(st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
KINDS = st.sampled_from([NUMBERS, IDS, QUOTED, DATES, PATHS])
PLACE = ("shop.order", "1", "shop.price")


@st.composite
def told_twice(draw: st.DrawFn) -> tuple[str, str]:
    """Two texts of the same words, with other values of the same kinds in the same places."""
    parts: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(1, 5))):
        word = draw(WORDS)
        parts.append((word, word))
        if draw(st.booleans()):
            values = draw(KINDS)
            parts.append((draw(values), draw(values)))
    return " ".join(one for one, _ in parts), " ".join(other for _, other in parts)


def named(text: str, error: str = "ValueError", **others: Any) -> str:
    values: dict[str, Any] = {"kind": "error", "place": PLACE, "contract": "shop.order/1", **others}
    return fingerprint(values["kind"], values["place"], values["contract"], error, text)


@given(told_twice())
def test_texts_that_differ_in_values_are_one_cause(texts: tuple[str, str]) -> None:
    """Numbers, ids, dates, paths and quoted texts are what a letter is about, and not why it waits."""
    assert plain_text(texts[0]) == plain_text(texts[1])
    assert named(texts[0]) == named(texts[1])


@given(
    st.text(max_size=80),
    st.lists(st.from_regex(r"[A-Z][A-Za-z]{0,20}", fullmatch=True), min_size=2, unique=True),
)
def test_errors_of_other_classes_are_other_causes(text: str, errors: list[str]) -> None:
    """Whatever their texts say."""
    assert len({named(text, error) for error in errors}) == len(errors)


@given(st.text(max_size=200))
def test_any_text_has_a_short_name(text: str) -> None:
    """Also one that nobody thought of; what is plain stays as it is."""
    assert len(named(text)) == 16
    assert len(plain_text(text)) <= 300
    assert plain_text(text).isascii() or not text.isascii()


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "conflict"},
        {"contract": "shop.order/2"},
        {"place": ("shop.order", "2", "shop.price")},
        {"place": ("shop.order", "1", "shop.ship")},
    ],
    ids=["kind", "version", "step", "agent"],
)
def test_what_is_not_the_text_counts_too(other: dict[str, Any]) -> None:
    """The same error at another step, of another version or another kind, is another cause."""
    assert named("no", **other) != named("no")


@pytest.mark.parametrize(
    ("told", "plain"),
    [
        ("there is no price for 900", "there is no price for #"),
        ("no price for o-17, at 12:00", "no price for o-#, at #"),
        ("[Errno 2] No such file or directory: '/var/x/1.csv'", "[Errno #] No such file or directory: #"),
        ("db-3.internal:5432 refused [1, 2, 3] within 2.5s", "db-#.internal:# refused [#] within #s"),
        ("https://api.example.com/v1/x?id=7 said 503", "# said #"),
        ("ann@example.com isn't known", "# isn't known"),
        ("charge ch_3MtwBwLkdIwHu7ix28a3tqPa failed", "charge ch_# failed"),
        ("content type application/json", "content type application/json"),
        ("card ********** was refused", "card # was refused"),
        ("KeyError: 'cut in the mid", "KeyError: #"),
        ("of 2026-12-01T03:04:05.678+00:00 and later", "of # and later"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_text(told: str, plain: str) -> None:
    """The words, for people to read and for other languages to make the same of."""
    assert plain_text(told) == plain


@pytest.mark.parametrize(
    ("step", "plain"),
    [
        ("3.i7.1", "3.i*.1"), ("3.r12.i0", "3.r*.i*"), ("3.stock.1", "3.stock.1"), ("shop.hear@0123456789abcdef", "shop.hear@*"),
        ("shop.hear@+0123456789abcdef.2", "shop.hear@+*.2"), ("item.1", "item.1"), ("", ""),
    ],
)  # fmt: skip
def test_items_rounds_and_events_are_one_step(step: str, plain: str) -> None:
    """Which item it was, or which event, is not why it waits."""
    assert plain_step(step) == plain


def test_the_names_of_the_rule() -> None:
    """These are the vectors of decision 54: who changes the rule gives it another number."""
    assert named("there is no price for 900") == "101bad50c67e0a2b"
    assert fingerprint("error", ("", "", ""), "", "", "") == "10246cd55541bacf"


def test_the_same_in_another_process() -> None:
    """Whatever seed its hashes have."""
    program = (
        "from handoffs.coordinator.journal.fingerprint import fingerprint\n"
        f"print(fingerprint('error', {PLACE!r}, 'shop.order/1', 'ValueError', 'no price for {uuid.uuid4()}'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == named("no price for 5")


def test_a_letter_names_its_group() -> None:
    """The letter in hand has the name that its row has."""
    assert letter("1", text="no 5").fingerprint == letter("2", text="no 7", run="other").fingerprint


@pytest.mark.parametrize(
    "text",
    [
        "'" * 9_000,
        "'a'b" * 3_000,
        "a/" * 5_000,
        "a." * 5_000 + "@",
        "x-" * 5_000,
        "1," * 5_000,
        "'\\" * 5_000,
    ],
)
def test_a_text_made_to_take_long(text: str) -> None:
    """Little of it is looked at: it is named about as fast as any other."""
    for _ in range(20):
        plain_text(text)
