"""Once: a call within a step is made once under its name, and what it gave is the same in every attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.errors import AgentError, Permanent
from handoffs.coordinator.flow.once import LONGEST_NAME, InMemory, Unrecordable, once, once_async
from tests.examples import examples

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


class Calls:
    """A call that counts itself."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.made = 0

    def __call__(self) -> Any:
        self.made += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    async def awaited(self) -> Any:
        await asyncio.sleep(0)
        return self()


@examples(100)
@given(value=_JSON, asynchronous=st.booleans())
def test_made_once(value: Any, asynchronous: bool) -> None:
    """Whatever JSON it gives, null as well, it is given back each time, and the call is made once; async and not alike."""
    subresults, calls = InMemory(), Calls(value)
    for _ in range(3):
        if asynchronous:
            found = asyncio.run(once_async(subresults, "x", calls.awaited, asyncio.to_thread))
        else:
            found = once(subresults, "x", calls)
        assert found == value
    assert calls.made == 1


def test_the_same_in_the_first_attempt() -> None:
    """What JSON reads otherwise than Python had it is read so at once, and not only after a crash."""
    subresults = InMemory()
    first: Any = once(subresults, "x", lambda: {"pair": (1, 2)})
    second: Any = once(subresults, "x", lambda: {"pair": (3, 4)})
    assert first == second == {"pair": [1, 2]}


def test_names_are_apart() -> None:
    """Each name has a call of its own."""
    subresults, calls = InMemory(), {number: Calls(number) for number in (1, 2)}
    assert [once(subresults, f"page {number}", calls[number]) for number in (1, 2, 1)] == [1, 2, 1]
    assert [one.made for one in calls.values()] == [1, 1]


def test_what_it_raises_is_not_recorded() -> None:
    """The next attempt makes the call again."""
    subresults, calls = InMemory(), Calls(ValueError("429"))
    for _ in range(2):
        with pytest.raises(ValueError, match="429"):
            once(subresults, "x", calls)
    assert calls.made == 2
    assert once(subresults, "x", lambda: "better") == "better"


@pytest.mark.parametrize("name", ["", "x" * (LONGEST_NAME + 1), "a\nb", "\x1b[2J", "\ud800", None, 7, b"x"])
def test_no_name(name: Any) -> None:
    """The call is not made under what is no name."""
    calls = Calls("paid")
    with pytest.raises(AgentError, match="a name is 1 to 200 plain characters"):
        once(InMemory(), name, calls)
    assert calls.made == 0


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, float("nan"), "\ud800", b"octets", {"a": [object()]}, "x" * 300_000]
)
def test_no_json(value: Any) -> None:
    """A value that could not be read again is refused for good: a further attempt would pay once more."""
    with pytest.raises(Unrecordable, match="cannot be recorded"):
        once(InMemory(), "x", lambda: value)
    assert issubclass(Unrecordable, Permanent)


def test_too_large() -> None:
    """So is one that is larger than a message may be."""
    subresults = InMemory()
    subresults.limits = Limits(octets=100)
    with pytest.raises(Unrecordable, match="over the limit of 100"):
        once(subresults, "x", lambda: "y" * 200)


def test_another_came_first() -> None:
    """Where another attempt has recorded the call meanwhile, both go on with that."""
    subresults = InMemory()

    def call() -> str:
        subresults.record("x", '"theirs"')
        return "ours"

    assert once(subresults, "x", call) == "theirs"
