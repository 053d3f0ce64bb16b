"""What is asked of Redis is a value, and whoever performs it may be any driver."""

from typing import Any

import pytest
from redis import Redis

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store.asking import Asking, Call, Command, RoundTrip
from handoffs.coordinator.store.performing import answered
from handoffs.coordinator.store.store import Store
from tests.store_suite import AGENT, FIRST, ONE, claim


def _count(key: str) -> Asking[tuple[int, list[Any]]]:
    """Two round trips; the second one asks for what the first one gave."""
    added, _ = yield RoundTrip.of(Command("RPUSH", key, "a", "b"), Command("PEXPIRE", key, 60_000))
    replies = yield RoundTrip.of(Command("LRANGE", key, 0, added - 1))
    return added, replies


class TestAnswered:
    def test_each_round_trip_gets_its_replies(self, redis_server: Redis) -> None:
        """The replies to one round trip are there before the next one is asked for."""
        assert answered(redis_server, _count("list")) == (2, [["a", "b"]])

    def test_failure_is_thrown_in(self, redis_server: Redis) -> None:
        """Who asks may clean up after a round trip that failed, and ask again."""

        def asking() -> Asking[str]:
            try:
                yield RoundTrip.of(Command("HGET", "list", "field"))
            except ServerError:
                yield RoundTrip.of(Command("DEL", "list"))
                return "cleaned up"
            return "no failure"

        redis_server.rpush("list", "a")
        assert answered(redis_server, asking()) == "cleaned up"
        assert not redis_server.exists("list")

    def test_failure_that_is_not_caught(self, redis_server: Redis) -> None:
        """It reaches the caller as it is."""
        redis_server.set("list", "a text")
        with pytest.raises(ServerError, match="Redis cannot be used"):
            answered(redis_server, _count("list"))


class TestRoundTrip:
    def test_scripts_and_commands_go_together(self, store: Store) -> None:
        """Also where the server does not know the script yet: a command that ran is not sent again."""
        store.redis.script_flush()
        outcome = store.keys.outcome(AGENT, "k")

        def asking() -> Asking[list[Any]]:
            return (
                yield RoundTrip.of(
                    Command("INCR", "count"),
                    Call("release", {"outcome": outcome}, {"fence": 0, "owner": "w"}),
                    Command("HGETALL", outcome),
                )
            )

        assert answered(store.redis, asking()) == [1, 0, {}]


class TestStoreAsks:
    def test_a_claim_is_one_round_trip(self, store: Store) -> None:
        """What a claim asks is known before a Redis is there: of the run, of the key, and of what the run has used up and may."""
        asking = store.handoffs.claim(FIRST, agent=AGENT, key="k", content="c", owner="w", replays=0)
        asked = next(asking)
        scripts = [call.script for call in asked.calls if isinstance(call, Call)]
        assert scripts == ["claim_run", "claim_outcome"]
        with pytest.raises(StopIteration) as end:
            asking.send([["open", "", "9"], ["granted", "7", "", "", "", "2", ""], ["11", None, "10", None]])
        found = end.value.value
        assert (found.verdict, found.fence, found.at, found.generation) == ("granted", 7, 9, 2)
        assert found.spent.over == ("tokens",)

    def test_what_a_store_performs_is_what_it_asks(self, store: Store) -> None:
        """Its own methods give the answer at once."""
        assert claim(store).verdict == "granted"
        store.keep("key", ONE, 60_000)
        kept = answered(store.redis, store.controls.kept("key"))
        assert kept is not None
        assert kept[0] == ONE
        assert store.kept("key") is not None
