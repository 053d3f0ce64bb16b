"""When a failed attempt is made again: never after the last, never for what is permanent, never too soon or too late."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import AgentError, Permanent, Transient
from handoffs.coordinator.flow.retry import ONCE, Retry

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
        (Retry(never=("OSError",)), ConnectionError(), False),
        (Retry(never=("ConnectionError",)), OSError(), True),
        (Retry(never=("Declined", OSError)), ValueError(), True),
        (Retry(only=("OSError",)), ConnectionError(), True),
        (Retry(only=("OSError",)), ValueError(), False),
        (Retry(only=("Permanent",)), Permanent("no"), False),
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
        {"never": (5,)}, {"never": (BaseException,)}, {"never": [OSError]}, {"never": "OSError"}, {"never": ("no name",)},
        {"only": (int,)}, {"only": ("x" * 201,)}, {"never": ("Many",) * 101},
    ],
)  # fmt: skip
def test_no_policy(values: dict[str, Any]) -> None:
    """Values that make no policy are refused where they are declared."""
    with pytest.raises(AgentError, match="retry policy"):
        Retry(**values)


def test_a_wait_is_a_duration() -> None:
    """What is no duration is refused where the error is raised; a time that has passed is now."""
    with pytest.raises(AgentError, match="retry_after"):
        Transient("busy", retry_after=30)  # type: ignore[arg-type]
    assert Retry().wait(1, Transient("busy", retry_after=timedelta(seconds=-5))) == timedelta()


named = st.tuples(st.sampled_from([OSError, "Declined", ValueError, "Busy", Permanent]))


@given(policies, named, named, attempts, chances)
def test_travels(policy: Retry, never: Any, only: Any, attempt: int, chance: float) -> None:
    """A policy that has been through a message decides as it did before, and is the same when it goes on."""
    policy = Retry(policy.attempts, policy.backoff, policy.factor, policy.longest, policy.jitter, never, only)
    again = Retry.from_json(strictjson.loads(strictjson.dumps(policy.to_json())))
    assert again.to_json() == policy.to_json()
    for error in (OSError(), ValueError(), Declined("no"), ConnectionError()):
        assert again.wait(attempt, error, chance) == policy.wait(attempt, error, chance)


GOOD = Retry().to_json()


@pytest.mark.parametrize(
    "value",
    [
        None, 5, [], "x", {}, {**GOOD, "attempts": 0}, {**GOOD, "attempts": 2.5}, {**GOOD, "attempts": True},
        {**GOOD, "backoff_ms": "1"}, {**GOOD, "backoff_ms": -1}, {**GOOD, "backoff_ms": 1e300}, {**GOOD, "jitter": 2},
        {**GOOD, "jitter": True}, {**GOOD, "factor": None}, {**GOOD, "never": "OSError"}, {**GOOD, "never": [5]},
        {**GOOD, "only": [None]}, {**GOOD, "longest_ms": 0}, {name: GOOD[name] for name in list(GOOD)[1:]},
    ],
)  # fmt: skip
def test_malformed(value: Any) -> None:
    """What is no policy is refused with one error, whatever it is; what is not known of one is left aside."""
    with pytest.raises(InvalidData, match="retry policy"):
        Retry.from_json(value)
    assert Retry.from_json({**GOOD, "new": [1]}) == Retry(only=("Exception",))


@pytest.mark.parametrize(
    ("policy", "waits"),
    [(Retry(), (1, 2)), (Retry(attempts=2), (1, 1)), (Retry(attempts=100), (1, 600)), (ONCE, (1, 1))],
)
def test_range(policy: Retry, waits: tuple[int, int]) -> None:
    """The first wait, and the longest that its attempts come to."""
    assert tuple(wait.total_seconds() for wait in policy.range()) == waits
