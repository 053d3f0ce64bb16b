"""When a failed attempt is made again: never after the last, never for what is permanent, never too soon or too late."""

from asyncio import CancelledError
from dataclasses import replace
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
    allowance=st.just(timedelta(hours=12)) | st.integers(1, 9_999).map(lambda ms: timedelta(milliseconds=ms)),
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
    """A transient error that says when to come back goes before the backoff, up to half a day, and uses up no attempt."""
    verdict = replace(policy, allowance=HALF_DAY).verdict(attempt, Transient("busy", retry_after=after))
    assert verdict.wait == min(after, HALF_DAY)
    assert not verdict.counts


allowances = st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(days=31))
asked = st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=2))


@given(allowances, st.lists(asked, min_size=1, max_size=5))
def test_an_allowance_is_used_up(allowance: timedelta, told: list[timedelta]) -> None:
    """Whatever waits errors ask for, they come to an end: their sum is within the allowance, and they are 1,000 at most."""
    policy = Retry(attempts=1, allowance=allowance)
    waited, sum_of_waits, count = timedelta(), timedelta(), 0
    while True:
        verdict = policy.verdict(1, Transient("429", retry_after=told[count % len(told)]), waited)
        if verdict.wait is None:
            break
        assert verdict.waited > waited
        waited, sum_of_waits, count = verdict.waited, sum_of_waits + verdict.wait, count + 1
    assert verdict.spent
    assert not verdict.counts
    assert sum_of_waits <= waited <= allowance
    assert count <= 1_000


def test_an_allowance_is_for_what_is_retried() -> None:
    """A wait is only for what the policy tries again; another failure counts, and leaves the allowance as it is."""
    busy, minute = Transient("429", retry_after=60), timedelta(minutes=1)
    assert Retry(never=(Transient,)).verdict(1, busy).wait is None
    assert not Retry(never=(Transient,)).verdict(1, busy).spent
    failed = Retry(attempts=2).verdict(1, OSError(), minute)
    assert (failed.counts, failed.waited) == (True, minute)
    assert Retry(allowance=minute).verdict(1, busy, timedelta()).wait == minute
    assert Retry(allowance=minute).verdict(1, busy, timedelta(milliseconds=1)).spent


def test_a_group_counts_unless_all_ask() -> None:
    """A group of which each says when to come back uses up no attempt; with another failure in it, it does."""
    asks = [Transient("busy", retry_after=seconds) for seconds in (5, 9)]
    verdict = Retry(attempts=1).verdict(1, ExceptionGroup("two", asks))
    assert (verdict.wait, verdict.counts) == (timedelta(seconds=9), False)
    assert Retry(attempts=1).verdict(1, ExceptionGroup("three", [*asks, OSError()])).wait is None
    assert Retry(attempts=2).verdict(1, ExceptionGroup("three", [*asks, OSError()])).counts


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
        (Retry(), CancelledError(), True),
        (Retry(only=("Exception",)), CancelledError(), True),
        (Retry(never=(CancelledError,)), CancelledError(), False),
        (Retry(only=(OSError,)), CancelledError(), False),
        (Retry(), SystemExit(1), False),
        (Retry(), GeneratorExit(), False),
        (Retry(), KeyboardInterrupt(), False),
        (Retry(only=(SystemExit,)), SystemExit(1), True),
        (Retry(only=("SystemExit",)), SystemExit(1), True),
    ],
)
def test_which_errors(policy: Retry, error: BaseException, again: bool) -> None:
    """What is permanent or named as such is not tried again; where some are named as transient, only those are."""
    assert (policy.wait(1, error) is not None) is again


def _doubled(error: Exception, times: int) -> ExceptionGroup[Exception]:
    group = ExceptionGroup("several", [error])
    for _ in range(times):
        group = ExceptionGroup("several", [group, group])
    return group


@pytest.mark.parametrize(
    ("policy", "error", "again"),
    [
        (Retry(), ExceptionGroup("two", [OSError(), ValueError()]), True),
        (Retry(), ExceptionGroup("two", [OSError(), Permanent("no")]), False),
        (Retry(), ExceptionGroup("two", [OSError(), ExceptionGroup("in it", [Declined("no")])]), False),
        (Retry(never=(OSError,)), ExceptionGroup("two", [ValueError(), ConnectionError()]), False),
        (Retry(only=(OSError,)), ExceptionGroup("two", [ConnectionError(), OSError()]), True),
        (Retry(only=(OSError,)), ExceptionGroup("two", [ConnectionError(), ValueError()]), False),
        (Retry(only=("OSError",)), ExceptionGroup("two", [ConnectionError(), ValueError()]), False),
        (Retry(only=(ExceptionGroup,)), ExceptionGroup("one", [ValueError()]), True),
        (Retry(only=("ExceptionGroup",)), ExceptionGroup("one", [Permanent("no")]), False),
        (Retry(never=("ExceptionGroup",)), ExceptionGroup("one", [ValueError()]), False),
        (Retry(), BaseExceptionGroup("two", [OSError(), SystemExit(1)]), False),
        (Retry(), BaseExceptionGroup("two", [OSError(), CancelledError()]), True),
        (Retry(), _doubled(OSError(), 100), True),
        (Retry(), _doubled(Permanent("no"), 100), False),
    ],
)
def test_a_group_is_what_is_in_it(policy: Retry, error: BaseException, again: bool) -> None:
    """A group of exceptions is tried again where all that is in it is, however deep, and however often."""
    assert (policy.wait(1, error) is not None) is again


leaves = st.sampled_from(
    [OSError(), ValueError(), CancelledError(), SystemExit(1), Permanent("no"), Transient("busy")]
)
groups = st.recursive(
    leaves,
    lambda within: st.lists(within, min_size=1, max_size=3).map(lambda found: BaseExceptionGroup("g", found)),
    max_leaves=8,
)


@given(policies, groups)
def test_a_group_asks_all(policy: Retry, error: BaseException) -> None:
    """A group is tried again exactly where each exception in it would be."""

    def within(one: BaseException) -> list[BaseException]:
        if isinstance(one, BaseExceptionGroup):
            return [leaf for part in one.exceptions for leaf in within(part)]
        return [one]

    each = [policy.wait(1, leaf) is not None for leaf in within(error)]
    assert (policy.wait(1, error) is not None) is all(each)


def test_a_group_waits_for_the_last() -> None:
    """A group comes back after the longest wait that one in it asks for."""
    asked = [Transient("busy", retry_after=timedelta(seconds=seconds)) for seconds in (5, 90, 7)]
    assert Retry().wait(1, ExceptionGroup("three", [*asked, OSError()])) == timedelta(seconds=90)


@pytest.mark.parametrize(
    "values",
    [
        {"attempts": 0}, {"attempts": 101}, {"attempts": True}, {"attempts": 2.0}, {"attempts": "3"},
        {"backoff": timedelta()}, {"backoff": timedelta(seconds=-1)}, {"backoff": timedelta(hours=13)},
        {"longest": timedelta()}, {"longest": timedelta(days=1)}, {"factor": 0.5}, {"factor": 11},
        {"factor": float("nan")}, {"jitter": -0.1}, {"jitter": 1.1}, {"jitter": float("nan")},
        {"allowance": timedelta()}, {"allowance": timedelta(days=32)}, {"allowance": 60}, {"allowance": None},
        {"never": (5,)}, {"never": (BaseException,)}, {"never": [OSError]}, {"never": "OSError"}, {"never": ("no name",)},
        {"only": (int,)}, {"only": ("x" * 201,)}, {"never": ("Many",) * 101},
    ],
)  # fmt: skip
def test_no_policy(values: dict[str, Any]) -> None:
    """Values that make no policy are refused where they are declared."""
    with pytest.raises(AgentError, match="retry policy"):
        Retry(**values)


@pytest.mark.parametrize("given", ["30", True, float("nan"), float("inf"), 1e300, [30], object()])
def test_a_wait_is_a_duration(given: Any) -> None:
    """What is neither a duration nor a number of seconds is refused where the error is raised."""
    with pytest.raises(AgentError, match="retry_after"):
        Transient("busy", retry_after=given)


@pytest.mark.parametrize("given", [-5, -0.5, timedelta(seconds=-5), 0])
def test_what_has_passed_is_now(given: Any) -> None:
    """A time that has passed is now."""
    assert Retry().wait(1, Transient("busy", retry_after=given)) == timedelta()


def test_seconds() -> None:
    """A wait may be given in seconds, whole or not."""
    assert Transient("busy", retry_after=30).retry_after == timedelta(seconds=30)
    assert Transient("busy", retry_after=0.25).retry_after == timedelta(milliseconds=250)


class Bare(Transient):
    """It does not call what it inherits from."""

    def __init__(self) -> None:
        Exception.__init__(self, "busy")


def test_an_error_made_by_halves() -> None:
    """A transient error that never said when, or says nonsense, is one like any other."""
    assert Retry(jitter=0).wait(1, Bare()) == timedelta(seconds=1)
    error = Transient("busy", retry_after=5)
    error.retry_after = "soon"  # type: ignore[assignment]
    assert Retry(jitter=0).verdict(1, error).counts


named = st.tuples(st.sampled_from([OSError, "Declined", ValueError, "Busy", Permanent]))


@given(policies, named, named, attempts, chances)
def test_travels(policy: Retry, never: Any, only: Any, attempt: int, chance: float) -> None:
    """A policy that has been through a message decides as it did before, and is the same when it goes on."""
    policy = replace(policy, never=never, only=only)
    again = Retry.from_json(strictjson.loads(strictjson.dumps(policy.to_json())))
    assert again.to_json() == policy.to_json()
    for error in (OSError(), ValueError(), Declined("no"), ConnectionError()):
        assert again.wait(attempt, error, chance) == policy.wait(attempt, error, chance)
    asks = Transient("429", retry_after=60)
    assert again.verdict(attempt, asks, timedelta(hours=1)) == policy.verdict(
        attempt, asks, timedelta(hours=1)
    )


GOOD = Retry().to_json()


@pytest.mark.parametrize(
    "value",
    [
        None, 5, [], "x", {}, {**GOOD, "attempts": 0}, {**GOOD, "attempts": 2.5}, {**GOOD, "attempts": True},
        {**GOOD, "backoff_ms": "1"}, {**GOOD, "backoff_ms": -1}, {**GOOD, "backoff_ms": 1e300}, {**GOOD, "jitter": 2},
        {**GOOD, "jitter": True}, {**GOOD, "factor": None}, {**GOOD, "never": "OSError"}, {**GOOD, "never": [5]},
        {**GOOD, "only": [None]}, {**GOOD, "longest_ms": 0}, {name: GOOD[name] for name in list(GOOD)[1:]},
        {**GOOD, "allowance_ms": 0}, {**GOOD, "allowance_ms": "9"}, {**GOOD, "allowance_ms": True},
        {**GOOD, "allowance_ms": None}, {**GOOD, "allowance_ms": 1e300},
    ],
)  # fmt: skip
def test_malformed(value: Any) -> None:
    """What is no policy is refused with one error, whatever it is; what is not known of one is left aside."""
    with pytest.raises(InvalidData, match="retry policy"):
        Retry.from_json(value)
    assert Retry.from_json({**GOOD, "new": [1]}) == Retry(only=("Exception",))


def test_of_an_older_release() -> None:
    """A policy that was written before there were allowances has that of today."""
    older = {name: value for name, value in GOOD.items() if name != "allowance_ms"}
    assert Retry.from_json(older) == Retry(only=("Exception",))


@pytest.mark.parametrize(
    ("policy", "waits"),
    [(Retry(), (1, 2)), (Retry(attempts=2), (1, 1)), (Retry(attempts=100), (1, 600)), (ONCE, (1, 1))],
)
def test_range(policy: Retry, waits: tuple[int, int]) -> None:
    """The first wait, and the longest that its attempts come to."""
    assert tuple(wait.total_seconds() for wait in policy.range()) == waits
