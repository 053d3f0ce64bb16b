"""What an agent says of how far it is: fit to be shown, whatever it says, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.text import is_plain
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.progress import LONGEST_TEXT, progress_of


@given(st.text(), st.none() | st.floats(0, 1) | st.integers(0, 1))
def test_fit_to_be_shown(text: str, share: float | None) -> None:
    """Any text is shown in a line of bounded length that no terminal obeys."""
    found = progress_of(text, share)
    assert len(found.text) <= LONGEST_TEXT
    assert is_plain(str(found))
    assert found.share == share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (5, None),
        (None, None),
        (b"x", 0.5),
        ("x", -0.1),
        ("x", 1.1),
        ("x", float("nan")),
        ("x", True),
        ("x", "0.5"),
    ],
)
def test_refused(text: Any, share: Any) -> None:
    """What is no text or no share is an error that says what to give."""
    with pytest.raises(AgentError, match=r"progress\(\) is given"):
        progress_of(text, share)


def test_whole_hundredths() -> None:
    """A share is shown in whole hundredths, and as done only where it is."""
    assert [str(progress_of("x", share)) for share in (0, 0.999, 1)] == ["0 %: x", "99 %: x", "100 %: x"]
