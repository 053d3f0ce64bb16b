"""When a failed attempt is made again: never after the last, never for what is permanent, never too soon or too late."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import AgentError, Permanent, Transient
from coordinator.retry import ONCE, Retry

HALF_DAY = timedelta(hours=12)
waits = st.timedeltas(min_value=timedelta(microseconds=1), max_value=HALF_DAY)
policies = st.builds(
    Retry,
    attempts=st.integers(1, 100),
    backoff=waits,
    factor=st.floats(1, 10),
    longest=waits,
    jitter=st.floats(0, 1),
)
chances = st.floats(0, 1)
attempts = st.integers(1, 100)


@given(policies, attempts, chances)
def test_bounds(policy: Retry, attempt: int, chance: float) -> None:
    """There are as many attempts as the policy says, and no wait is negative or longer than its longest."""
    wait = policy.wait(attempt, OSError(), chance)
    if attempt >= policy.attempts:
        assert wait is None
    else:
        assert wait is not None
        assert timedelta() <= wait <= policy.longest


@given(policies, chances)
def test_backoff_grows(policy: Retry, chance: float) -> None:
    """The first wait is the backoff, and no wait is shorter than the one before it."""
    found = [policy.wait(attempt, OSError(), chance) for attempt in range(1, policy.attempts)]
    waited = [wait for wait in found if wait is not None]
    assert waited == sorted(waited)
    first = min(policy.backoff, policy.longest)
    assert not waited or waited[0] == first * (1 - policy.jitter * chance)


@given(policies, attempts, chances)
def test_jitter_shortens(policy: Retry, attempt: int, chance: float) -> None:
    """Jitter takes at most its share of the wait, and adds nothing."""
    wait, longest = policy.wait(attempt, OSError(), chance), policy.wait(attempt, OSError(), 0)
    if wait is not None and longest is not None:
        assert longest * (1 - policy.jitter) - timedelta(microseconds=1) <= wait <= longest


@given(st.lists(st.none(), min_size=30, max_size=30))
def test_chance_is_drawn(nothing: list[None]) -> None:
    """Without a chance given, waits lie between what jitter leaves and the whole."""
    policy = Retry(backoff=timedelta(seconds=100), jitter=0.5)
    for _ in nothing:
        assert timedelta(seconds=50) <= (policy.wait(1, OSError()) or timedelta()) <= timedelta(seconds=100)


@given(policies, attempts, st.timedeltas(min_value=timedelta(), max_value=timedelta(days=99)))
def test_error_may_say_when(policy: Retry, attempt: int, after: timedelta) -> None:
    """A transient error that says when to come back goes before the backoff, up to half a day, within the attempts."""
    wait = policy.wait(attempt, Transient("busy", retry_after=after))
    assert wait == (None if attempt >= policy.attempts else min(after, HALF_DAY))


class Declined(Permanent):
    """A permanent error of an agent's own."""


@pytest.mark.parametrize(
    ("policy", "error", "again"),
    [
        (Retry(), OSError(), True),
        (Retry(), Transient("busy"), True),
        (Retry(), Permanent("no"), False),
        (Retry(), Declined("no"), False),
        (Retry(never=(OSError,)), OSError(), False),
        (Retry(never=(OSError,)), ConnectionError(), False),
        (Retry(never=(OSError,)), ValueError(), True),
        (Retry(only=(OSError,)), ConnectionError(), True),
        (Retry(only=(OSError,)), ValueError(), False),
        (Retry(only=(OSError,), never=(ConnectionError,)), ConnectionError(), False),
        (Retry(only=(Permanent,)), Permanent("no"), False),
        (ONCE, OSError(), False),
    ],
)
def test_which_errors(policy: Retry, error: Exception, again: bool) -> None:
    """What is permanent or named as such is not tried again; where some are named as transient, only those are."""
    assert (policy.wait(1, error) is not None) is again


@pytest.mark.parametrize(
    "values",
    [
        {"attempts": 0}, {"attempts": 101}, {"attempts": True}, {"attempts": 2.0}, {"attempts": "3"},
        {"backoff": timedelta()}, {"backoff": timedelta(seconds=-1)}, {"backoff": timedelta(hours=13)},
        {"longest": timedelta()}, {"longest": timedelta(days=1)}, {"factor": 0.5}, {"factor": 11},
        {"factor": float("nan")}, {"jitter": -0.1}, {"jitter": 1.1}, {"jitter": float("nan")},
    ],
)  # fmt: skip
def test_no_policy(values: dict[str, Any]) -> None:
    """Values that make no policy are refused where they are declared."""
    with pytest.raises(AgentError, match="retry policy"):
        Retry(**values)
