"""Commands that leave together over one connection are answered as a pipeline of the client would answer them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import DataError, Redis, ResponseError

from handoffs.coordinator.store.direct import DirectRedis
from handoffs.coordinator.store.server import connect
from tests.servers import Servers

_KEYS = st.sampled_from(["direct:a", "direct:b", "direct:c"])
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_COMMANDS = st.one_of(
    st.tuples(st.just("SET"), _KEYS, _TEXTS | st.integers(-(2**62), 2**62)),
    st.tuples(st.just("GET"), _KEYS),
    st.tuples(st.just("HSET"), _KEYS, _TEXTS, _TEXTS),
    st.tuples(st.just("HGETALL"), _KEYS),
    st.tuples(st.just("HMGET"), _KEYS, _TEXTS, _TEXTS),
    st.tuples(st.just("ZADD"), _KEYS, st.integers(0, 9), _TEXTS),
    st.tuples(st.just("ZRANGE"), _KEYS, st.just(0), st.just(-1)),
    st.tuples(st.just("XADD"), _KEYS, st.just("*"), _TEXTS, _TEXTS),
    st.tuples(st.just("XLEN"), _KEYS),
    st.tuples(st.just("DEL"), _KEYS),
    st.tuples(st.just("EXISTS"), _KEYS),
    st.tuples(st.just("EXPIRE"), _KEYS, st.just(60)),
    st.tuples(st.just("EVALSHA"), st.just("0" * 40), st.just(0)),
    st.tuples(st.just("NO-SUCH-COMMAND"), _TEXTS),
)


@pytest.fixture
def redis(servers: Servers) -> Iterator[DirectRedis]:
    client: Redis = connect(servers.redis_url)
    assert isinstance(client, DirectRedis)
    yield client
    client.delete("direct:a", "direct:b", "direct:c")
    client.close()


def _comparable(reply: Any) -> Any:
    return (type(reply), str(reply)) if isinstance(reply, Exception) else reply


@given(commands=st.lists(_COMMANDS, min_size=1, max_size=12))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_as_a_pipeline(redis: DirectRedis, commands: list[tuple[str | int, ...]]) -> None:
    """Each command's answer, and what the server refuses in its place, are those of a pipeline; but for ids that the server draws."""
    answers = []
    for ask in (redis.together, _by_pipeline(redis)):
        redis.delete("direct:a", "direct:b", "direct:c")
        answers.append([_comparable(reply) for reply in ask(commands)])
    drawn = [number for number, words in enumerate(commands) if words[0] == "XADD"]
    for one in answers:
        for number in drawn:
            one[number] = type(one[number])
    assert answers[0] == answers[1]


def _by_pipeline(redis: Redis) -> Any:
    def ask(commands: list[tuple[str | int, ...]]) -> list[Any]:
        pipeline: Any = redis.pipeline(transaction=False)
        for words in commands:
            pipeline.execute_command(*words)
        found: list[Any] = pipeline.execute(raise_on_error=False)
        return found

    return ask


def test_a_connection_that_was_lost(redis: DirectRedis, servers: Servers) -> None:
    """Where its connection was cut, all is asked again over another."""
    _, own = redis.together([("SET", "direct:a", "1"), ("CLIENT", "ID")])
    other: Any = Redis.from_url(servers.redis_url)
    other.client_kill_filter(_id=own)
    other.close()
    assert redis.together([("GET", "direct:a"), ("INCR", "direct:a")]) == ["1", 2]


@pytest.mark.parametrize(
    ("words", "error"),
    [(("SET", "direct:a", "\ud800"), UnicodeEncodeError), (("SET", "direct:a", object()), DataError)],
)
def test_what_cannot_be_sent(redis: DirectRedis, words: tuple[Any, ...], error: type[Exception]) -> None:
    """Nothing is sent where one of the commands cannot be written, and the client works on."""
    redis.together([("SET", "direct:a", "1")])
    with pytest.raises(error):
        redis.together([("SET", "direct:a", "2"), words])
    assert redis.together([("GET", "direct:a")]) == ["1"]


def test_refused_in_between(redis: DirectRedis) -> None:
    """What follows a refusal is answered all the same, and nothing of it is left for who asks next."""
    found = redis.together([("SET", "direct:a", "x"), ("INCR", "direct:a"), ("GET", "direct:a")])
    assert [type(one) for one in found] == [bool, ResponseError, str]
    assert redis.together([("GET", "direct:a")]) == ["x"]
