"""Exact decimals: one spelling, the same for the schema, for the class and for older versions that have none."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs import Contract, ExactDecimal
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.numbers import EXACT_PATTERN
from handoffs.contracts.versions import Versions, known


class Price(Contract, name="numbers.price", version=1):
    amount: ExactDecimal


NEWER = type("Newer", (Price,), {"__module__": __name__}, name="numbers.price", version=2)
VERSIONS = Versions([known(Price)])
VERSIONS.know(NEWER)

spelt = st.text(alphabet="0123456789+-._eE ,xXnaNiIfF\u0661\uff11\u00b2\n\t", max_size=8)


def accepted(text: str) -> tuple[bool, bool]:
    """Whether the class reads it, and whether the published version does."""
    found = []
    for read in (Price.from_data, lambda data: VERSIONS.checked(Price.ref(), data)):
        try:
            read({"amount": text})
        except InvalidData:
            found.append(False)
        else:
            found.append(True)
    return found[0], found[1]


@given(spelt | st.from_regex(EXACT_PATTERN) | st.decimals(allow_nan=False, places=3).map(str))
def test_the_class_reads_what_the_schema_says(text: str) -> None:
    """A text is read if the schema's pattern has it, or if it has an exponent besides; by the class as by its published version."""
    plain = bool(re.search(EXACT_PATTERN.replace("$", r"\Z"), text, re.ASCII))
    exponent = bool(re.search(r"\A[-+]?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]{1,3}\Z", text))
    assert accepted(text) == (plain or exponent, plain or exponent)


@pytest.mark.parametrize(
    "text",
    [
        "1_000",
        " 1",
        "1 ",
        "1\n",
        "\u0661",
        "\uff11",
        "1\u0662",
        ".5",
        "5.",
        "1,5",
        "0x1",
        "NaN",
        "Infinity",
        "",
        "-",
        "1e1000000",
        "--1",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    """What only Python takes for a number is none."""
    assert accepted(text) == (False, False)


@given(st.decimals(allow_nan=False, allow_infinity=False).filter(lambda one: -400 < one.adjusted() < 400))
def test_it_is_written_as_the_schema_says(value: Decimal) -> None:
    """Without an exponent, to the last digit; and read again it is the same, as it is from a build that wrote one."""
    written = Price(amount=value).to_data()["amount"]
    assert re.search(EXACT_PATTERN, written)
    assert Decimal(written).as_tuple() == value.as_tuple() or Decimal(written) == value
    assert Price.from_data({"amount": written}).amount == value
    if abs(int(value.as_tuple().exponent)) < 1_000:
        older = Price.from_data({"amount": str(value)})
        assert older.to_comparable() == Price(amount=value).to_comparable()


@pytest.mark.parametrize("value", [Decimal("1e999999"), Decimal("1e-999999"), Decimal("1e1001")])
def test_no_value_is_written_without_end(value: Decimal) -> None:
    """A few characters in a program would be a million in a message."""
    with pytest.raises(ValueError, match="1,000 digits at most"):
        Price(amount=value)
