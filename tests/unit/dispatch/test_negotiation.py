"""Negotiation: a message is written in the newest version that everybody who may read it accepts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from hypothesis import given
from hypothesis import strategies as st

from handoffs import Contract, Key, downcast, upcast
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.strictjson import digest
from handoffs.contracts.versions import Versions, known
from handoffs.coordinator.deployment.announcer import Announcer
from handoffs.coordinator.dispatch.negotiation import FRESH, Negotiator
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import Record
from tests.store_suite import make_settings

LIFE = timedelta(seconds=5)


class V1(Contract, name="test.score", version=1):
    id: str = Key()
    level: str


class V2(Contract, name="test.score", version=2):
    id: str = Key()
    score: int


class V3(Contract, name="test.score", version=3):
    id: str = Key()
    score: int
    why: str


@upcast(V3, 1, 2)
def to_score(data: dict[str, Any]) -> dict[str, Any]:
    return {"id": data["id"], "score": 90 if data["level"] == "high" else 10}


@upcast(V3, 2, 3)
def to_reason(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "why": ""}


@downcast(V3, 3, 2, lossy="why")
def without_reason(data: dict[str, Any]) -> dict[str, Any]:
    return {"id": data["id"], "score": data["score"]}


@downcast(V3, 2, 1, lossy="the score within its level")
def to_level(data: dict[str, Any]) -> dict[str, Any]:
    if data["score"] < 0:
        raise ValueError("no level is below nothing")
    return {"id": data["id"], "level": "high" if data["score"] >= 70 else "low"}


SCORED = V3(id="p-1", score=80, why="abroad")


class Clock:
    """Time that passes when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Side:
    """A producer, and the consumers that the test lets live."""

    def __init__(self) -> None:
        redis = FakeStrictRedis(server=FakeServer(server_type="redis", version=(7,)), decode_responses=True)
        settings = make_settings(shards=1)
        self.said = Announcements(redis, settings)
        self.keys = Keys(settings.prefix, settings.shards)
        self.redis = redis
        self.clock = Clock()
        self.negotiator = Negotiator(self.said, Versions([known(V1), known(V2)]), self.clock)

    def announce(
        self, *versions: int, instance: str = "a", agent: str = "test.taker", life: timedelta = LIFE
    ) -> None:
        manifest = {"agent": agent, "accepts": {"test.score": list(versions)}}
        self.said.announce(manifest, instance, life)
        self.clock.now += FRESH

    def deploy(self, *builds: list[int]) -> None:
        self.said.deploy(
            "test.taker",
            [{"agent": "test.taker", "accepts": {"test.score": versions}} for versions in builds],
        )

    def version(self, *agents: str) -> int:
        return self.negotiator.version(V3, agents or ("test.taker",))


@pytest.fixture
def side() -> Iterator[Side]:
    made = Side()
    yield made
    made.redis.close()


class TestChoice:
    def test_newest_that_all_accept(self, side: Side) -> None:
        """With several builds alive, the newest version that all of them read is written."""
        side.announce(3, 2, instance="new")
        assert side.version() == 3
        side.announce(2, 1, instance="old")
        assert side.version() == 2
        side.announce(2, 1, instance="old", life=timedelta())
        assert side.version() == 3

    def test_several_takers(self, side: Side) -> None:
        """What joins at several consumers suits the consumers of each."""
        side.announce(3)
        side.announce(3, 2, 1, agent="test.other")
        assert side.version("test.taker", "test.other") == 3
        side.announce(1, agent="test.third")
        assert side.version("test.other", "test.third") == 1

    def test_nobody_known(self, side: Side) -> None:
        """Where nothing is known of the consumers, the producer's own version is written."""
        assert side.version() == 3

    def test_nobody_alive_goes_by_the_deployment(self, side: Side) -> None:
        """With no consumer alive, all recorded builds can read it: the oldest may come back."""
        side.announce(3, 2, 1, life=timedelta())
        side.deploy([3, 2, 1], [2, 1])
        side.negotiator.forget()
        assert side.version() == 2

    def test_alive_counts_more_than_deployed(self, side: Side) -> None:
        """Recorded builds do not matter while a consumer is alive."""
        side.deploy([1])
        side.announce(3, 2)
        assert side.version() == 3

    def test_nobody_alive_and_nothing_recorded(self, side: Side) -> None:
        """Without a recorded deployment, it is written for the workers that were seen last."""
        side.announce(2, 1, life=timedelta())
        assert side.version() == 2

    def test_no_common_version(self, side: Side) -> None:
        """Where no version suits all, the newest that suits some is written: a part of them can go on."""
        side.announce(2, instance="one")
        side.announce(1, instance="other")
        assert side.version() == 2

    def test_consumers_of_something_else(self, side: Side) -> None:
        """A consumer that names none of the versions does not change what is written."""
        side.announce(9)
        assert side.version() == 3

    def test_who_hears_a_pattern_binds_no_version(self, side: Side) -> None:
        """Who hears any event reads it in whichever version, so the newest that all the others read is written."""
        side.announce(3, 2)
        side.announce(2, 1, instance="old")
        manifest = {"agent": "test.ear", "accepts": {"coordinator.event": [1]}, "subscribes": ["test.*"]}
        side.said.announce(manifest, "ear", LIFE)
        side.clock.now += FRESH
        assert side.version("test.taker", "test.ear") == 2
        assert side.version("test.ear") == 3

    def test_asked_once_in_a_while(self, side: Side) -> None:
        """Who consumes is asked at most once in the time that a new worker waits before it takes a message."""
        assert side.version() == 3
        side.announce(1)
        side.clock.now -= FRESH / 2
        assert side.version() == 3
        side.clock.now += FRESH
        assert side.version() == 1

    def test_single_version_asks_nobody(self, side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
        """A contract with one version costs no question."""
        monkeypatch.setattr(side.said, "consumers", lambda agent: pytest.fail("it was asked"))
        assert side.negotiator.version(V1, ["test.taker"]) == 1

    @given(builds=st.lists(st.sets(st.integers(1, 3), min_size=1), min_size=1, max_size=4))
    def test_every_choice(self, builds: list[set[int]]) -> None:
        """Whatever is alive, the choice is the newest common version, if there is one."""
        side = Side()
        for number, versions in enumerate(builds):
            side.announce(*versions, instance=str(number))
        common = set.intersection(*builds)
        assert side.version() == max(common or set.union(*builds))


class TestWriting:
    RECORD = Record(V3.ref().uri, json.dumps(SCORED.to_data()))

    def test_own_version(self, side: Side) -> None:
        """What needs no change goes as it was recorded, and says nothing of another version."""
        written = side.negotiator.written(self.RECORD, SCORED, ["test.taker"])
        assert (written.schema, written.data, written.original) == (
            self.RECORD.schema,
            self.RECORD.data,
            None,
        )

    def test_older_reader(self, side: Side) -> None:
        """For an older reader it is downcast step by step; the version it was made in, and its digest, go with it."""
        side.announce(1)
        written = side.negotiator.written(self.RECORD, SCORED, ["test.taker"])
        assert written.schema == V1.ref().uri
        assert json.loads(written.data) == {"id": "p-1", "level": "high"}
        assert written.original is not None
        assert written.original.schema == V3.ref().uri
        assert written.original.digest == digest(SCORED.to_data())

    def test_record_of_a_newer_build(self, side: Side) -> None:
        """An outcome that this build cannot read goes as it is."""
        side.announce(1)
        newer = Record("urn:contract:test.score:4", "{}")
        assert side.negotiator.written(newer, None, ["test.taker"]).schema == newer.schema

    def test_failing_downcast(self, side: Side) -> None:
        """A downcast that fails is refused as invalid data."""
        side.announce(1)
        output = V3(id="p", score=-1, why="")
        record = Record(V3.ref().uri, json.dumps(output.to_data()))
        with pytest.raises(InvalidData, match="ValueError in to_level"):
            side.negotiator.written(record, output, ["test.taker"])


class TestAnnouncer:
    def test_alive_until_the_goodbye(self, side: Side) -> None:
        """A worker is known from its start to its end, and remembered as one that may come back."""
        manifest = {"agent": "test.taker", "accepts": {"test.score": [2]}}
        announcer = Announcer(side.said, [manifest], "w1", LIFE)
        announcer.start()
        [alive] = side.said.live()
        assert (alive["instance"], alive["manifest"], alive["live"]) == ("w1", manifest, True)
        announcer.stop()
        assert side.said.live() == []
        assert side.said.consumers("test.taker") == [manifest]

    def test_nothing_said_no_goodbye(self, side: Side) -> None:
        """A worker that never began is not one that was seen, and one that fell silent can begin again."""
        announcer = Announcer(side.said, [{"agent": "test.taker"}], "w1", LIFE)
        announcer.silence()
        assert side.said.consumers("test.taker") == []
        announcer.start()
        announcer.silence()
        assert side.said.live() == []
        announcer.start()
        assert len(side.said.live()) == 1
        announcer.stop()

    def test_keeps_announcing(self, side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
        """As long as it lives it says so again, before what it said has ended."""
        heard: list[int] = []
        said = side.said.announce
        again = threading.Event()

        def announce(manifest: dict[str, Any], instance: str, ttl: timedelta, *more: Any) -> None:
            heard.append(1)
            said(manifest, instance, ttl, *more)
            if len(heard) >= 3:
                again.set()

        monkeypatch.setattr(side.said, "announce", announce)
        announcer = Announcer(side.said, [{"agent": "test.taker"}], "w1", timedelta(milliseconds=30))
        announcer.start()
        assert again.wait(5)
        announcer.stop()


class TestMalformed:
    """Redis holds what somebody else wrote."""

    @pytest.mark.parametrize(
        "said",
        ["", "{", "[]", "1", '{"until": "soon"}', '{"until": 1e999}', "[" * 100_000, '{"manifest": {}}'],
    )
    def test_an_announcement_that_is_none(self, side: Side, said: str) -> None:
        """It is forgotten, and what others announce holds."""
        side.announce(1)
        side.redis.hset(side.keys.consumers("test.taker"), "odd", said)
        assert side.version() == 1
        assert [one["instance"] for one in side.said.live()] == ["a"]
        assert not side.redis.hexists(side.keys.consumers("test.taker"), "odd")

    @pytest.mark.parametrize(
        "manifest",
        [
            "[]",
            "null",
            "{}",
            '{"accepts": 1}',
            '{"accepts": {"test.score": 1}}',
            '{"accepts": {"test.score": [[]]}}',
        ],
    )
    def test_a_manifest_that_is_none(self, side: Side, manifest: str) -> None:
        """A producer goes by the others; whoever looks at the live workers sees that this one says nothing."""
        side.announce(1)
        said = f'{{"instance": "odd", "until": 99999999999999, "manifest": {manifest}}}'
        side.redis.hset(side.keys.consumers("test.taker"), "odd", said)
        assert side.version() == 1
        assert {one["instance"] for one in side.said.live()} == {"a", "odd"}

    @pytest.mark.parametrize("said", ["{", "{}", "1", "[1]"])
    def test_deployments_that_are_none(self, side: Side, said: str) -> None:
        """They count as not recorded."""
        side.redis.set(side.keys.deployed("test.taker"), said)
        assert side.version() == 3


def test_one_that_goes_hides_no_other(side: Side) -> None:
    """While one worker of an agent says goodbye, the others are still seen as alive."""
    side.announce(1, instance="stays")
    side.announce(1, instance="goes")
    side.announce(1, instance="goes", life=timedelta())
    assert [one["instance"] for one in side.said.live()] == ["stays"]
