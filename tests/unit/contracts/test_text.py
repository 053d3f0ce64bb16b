"""Text that people see: no control characters, no card numbers, no more than fits; and values that nobody sees."""

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from handoffs.contracts.text import MASK, REVEAL, Sensitive, escaped_json, is_plain, luhn, printable, quoted

CARDS = ("4111111111111111", "5500005555555559", "340000000000009", "6011000000000004", "4222222222222")
_separators = st.sampled_from(["", " ", "-"])


def cards_in(text: str) -> list[str]:
    """Every stretch of 13 to 19 digits, whole groups with a space or dash between, that has a right check digit."""
    found = []
    for run in re.finditer(r"\d(?:[ -]?\d)*", text):
        groups = [group.span() for group in re.finditer(r"\d+", run.group())]
        for number, (start, _) in enumerate(groups):
            for _, end in groups[number:]:
                digits = re.sub(r"\D", "", run.group()[start:end])
                if 13 <= len(digits) <= 19 and luhn(digits):
                    found.append(run.group()[start:end])
    return found


@st.composite
def grouped_cards(draw: st.DrawFn) -> str:
    """A card number as people write it, among other digits."""
    number = draw(st.sampled_from(CARDS))
    sign = draw(_separators)
    grouped = sign.join(number[start : start + 4] for start in range(0, len(number), 4))
    before, after = (
        draw(st.sampled_from(["", "12/27 ", "99 ", "x", " 123", "-7", " 4111 1111"])) for _ in "ab"
    )
    return f"{before}{grouped}{after}"


@given(st.text(max_size=300), st.integers(20, 200))
def test_what_is_quoted_is_escaped_once(text: str, limit: int) -> None:
    """Between two marks, which are double ones where the text has single ones alone, stands what is printed without them."""
    shown = quoted(text, limit)
    assert shown[1:-1] == printable(text, limit)
    assert shown[0] == shown[-1] == ('"' if "'" in shown[1:-1] and '"' not in shown[1:-1] else "'")


@given(st.text(max_size=300), st.integers(20, 200))
def test_nothing_controls(text: str, limit: int) -> None:
    """No control, format, bidi or zero-width character is left, and the length is bounded."""
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert not [sign for sign in shown if unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not re.search("[\u00ad\u061c\u200b-\u200f\u2060-\u206f\ufeff\U000e0000-\U000e007f]", shown)


@given(
    st.lists(grouped_cards() | st.text(alphabet="0123456789 -x", max_size=30)).map(" ".join),
    st.integers(20, 200),
)
def test_no_card_number_is_left(text: str, limit: int) -> None:
    """No card number is left, however it is grouped, whatever digits stand beside it, and wherever the text is cut."""
    assert cards_in(printable(text, limit)) == []


@pytest.mark.parametrize("number", CARDS)
def test_card_number_is_masked(number: str) -> None:
    """A card number is masked, and the rest stands."""
    assert printable(f"card {number}, declined") == f"card {MASK}, declined"
    assert printable(f"{number[:4]} {number[4:8]} {number[8:]} 123") == f"{MASK} 123"
    assert printable(f"12 27 {number}").endswith(MASK)


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "order 12345678901234567890",
        "2026-11-21 06:33:20",
        "Grüße, 世界, 👨‍👩‍👧"[:12],
        "9" * 30,
    ],
)
def test_other_text_stands(text: str) -> None:
    """Numbers that are no card numbers, and text in every script, stand as they are."""
    assert printable(text) == text


def test_line_breaks_are_escaped() -> None:
    """A text of several lines becomes one line that forges none."""
    assert printable("a\nERROR b\x1b[31m\u202e") == "a\\u000aERROR b\\u001b[31m\\u202e"


def test_anything_can_be_shown() -> None:
    """What is no text is shown as its text, and a long one says that it was cut."""
    assert printable(ValueError("no")) == "no"
    assert printable("x" * 100, 10) == "x" * 9 + "…"


@given(st.from_regex(r"[0-9]{12,18}", fullmatch=True))
def test_one_check_digit_is_right(number: str) -> None:
    """For every number exactly one check digit is right, and a single wrong digit is found."""
    [right] = [digit for digit in "0123456789" if luhn(number + digit)]
    wrong = str((int(number[0]) + 1) % 10) + number[1:] + right
    assert not luhn(wrong)


def test_signs_are_no_digits() -> None:
    """Only decimal digits count."""
    assert luhn("4111-1111 1111²1111")


def test_sensitive_value_is_shown_on_demand_only() -> None:
    """A sensitive value is masked in JSON unless it is asked for, and never in its representation."""
    adapter: TypeAdapter[Sensitive] = TypeAdapter(Sensitive)
    secret = adapter.validate_python("hush")
    assert adapter.dump_json(secret) == f'"{MASK}"'.encode()
    assert adapter.dump_json(secret, context={"reveal": False}) == f'"{MASK}"'.encode()
    assert adapter.dump_json(secret, context=REVEAL) == b'"hush"'
    assert "hush" not in repr(secret) + str(secret)


HIDDEN = (
    "\u202e\u2066\u2069\u061c\u200b\u200d\ufeff\u00ad\u034f\u3164\u115f\u180e\u2028\x9b\x85\ufe00\ufdd0\uffff"
    + "".join(map(chr, (0xE0041, 0xE007F, 0xE0100, 0xE01EF, 0x1D173, 0x1BCA0, 0x1FFFE, 0x10FFFF)))
)


@given(st.text(st.sampled_from(HIDDEN + "a😀\ufe0f1"), max_size=30))
def test_nothing_hides_in_what_people_see(text: str) -> None:
    """Bidi, tags, fillers, joiners, noncharacters and variation selectors are escaped, each so that it can be told."""
    shown = printable(text, 1000)
    assert not set(HIDDEN) & set(shown)
    assert is_plain(shown)
    assert (shown == text) == is_plain(text)
    assert "\ufe0f\ufe0f" not in shown


def test_escapes_are_unambiguous() -> None:
    """A character beyond the basic plane is escaped with eight digits; an emoji keeps its selector."""
    assert printable("\U000e00411") == "\\U000e00411"
    assert printable("❤\ufe0f a\ufe0f") == "❤\ufe0f a\\ufe0f"


@given(st.recursive(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(HIDDEN), st.lists))
def test_escaped_json_is_the_same_json(value: object) -> None:
    """JSON for a terminal hides nothing, keeps its lines, and has the value that it had."""
    shown = escaped_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(shown) == value
    assert is_plain(shown.replace("\n", ""))
