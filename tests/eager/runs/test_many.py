"""Many: runs that are started together are what they would be if each had been started alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator
from redis import ConnectionError as RedisGone

from handoffs import Contract, Coordinator, Flow, Key, agent, budget, constant, delay, each, emit, parallel
from handoffs.config.settings import Settings
from handoffs.contracts.errors import CoordinationError, InvalidData, TooLarge
from handoffs.coordinator.client.started import Started
from handoffs.coordinator.errors import Conflict, Interrupted, Refused, ServerError, Unanswered, Unpublished
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runs.many import ManyStarts
from handoffs.coordinator.runs.spans import Accepted
from handoffs.coordinator.runs.start import Starts
from handoffs.coordinator.runtime.embedded.servers import EmbeddedEngine
from handoffs.coordinator.store import scripts
from tests.deliveries import RecordingPublisher
from tests.waiting import wait_until


class Line(Contract, name="many.line", version=1):
    sku: str = Key()


class Order(Contract, name="many.order", version=1):
    id: str | None = Key(default=None)
    amount: int = 0
    text: str = ""
    lines: list[Line] = Field(default_factory=list)

    @field_validator("amount")
    @classmethod
    def _amount(cls, amount: int) -> int:
        assert amount < 100
        return amount


class Both(Contract, name="many.both", version=1):
    a: Order
    b: Order


class Lines(Contract, name="many.lines", version=1):
    lines: list[Line]


@agent("many.work")
def work(order: Order) -> Order:
    return order


@agent("many.also")
def also(order: Order) -> Order:
    return order


@agent("many.pick")
def pick(line: Line) -> Line:
    return line


@agent("many.pack")
def pack(lines: Lines) -> Lines:
    return lines


@agent("many.join")
def join(both: Both) -> Order:
    return both.a


HOUR = timedelta(hours=1)
FLOWS = [
    Flow("many.chain", work >> also),
    Flow("many.parts", parallel(a=work, b=also) >> join, input=Order),
    Flow("many.list", each("lines", pick, into="lines", limit=1) >> pack, input=Order),
    Flow("many.timed", budget(work, within=HOUR, fallback=constant(Order(id="0"))) >> also),
    Flow("many.delayed", delay(HOUR) >> work, input=Order),
    Flow("many.told", emit() >> work, input=Order),
]
CHAIN = FLOWS[0]


class Marks(set[str]):
    """Which runs are published, as a starter knows it."""


class Place:
    """An installation that nobody works in."""

    def __init__(self) -> None:
        defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
        self.publisher = RecordingPublisher()
        self.engine = EmbeddedEngine(Settings.model_construct(**defaults), publisher=self.publisher)
        self.starts = Starts(self.engine.services, Marks())

    def one_by_one(self, flow: Flow, payloads: list[Any], **options: Any) -> list[Any]:
        found: list[Any] = []
        key = options.pop("idempotency_key", None)
        for payload in payloads:
            try:
                own = {"idempotency_key": key(payload)} if key else {}
                found.append(self.starts.start(flow, payload, **own, **options))
            except Exception as error:  # noqa: BLE001 - it is compared
                found.append(error)
        return found

    def together(self, flow: Flow, payloads: list[Any], at_once: int, **options: Any) -> list[Any]:
        many = ManyStarts(self.engine.services, self.starts, at_once)
        return list(many.start(flow, payloads, **options))

    def records(self) -> dict[str, Any]:
        """Everything that Redis has."""
        redis: Any = self.engine.store.redis
        found: dict[str, Any] = {}
        for key in redis.scan_iter():
            kind = redis.type(key)
            if kind == "hash":
                found[key] = sorted(redis.hgetall(key).items())
            elif kind == "zset":
                found[key] = sorted(redis.zrange(key, 0, -1))
            elif kind == "stream":
                found[key] = [fields for _, fields in redis.xrange(key)]
            else:
                found[key] = redis.get(key)
        return found

    def messages(self) -> list[Any]:
        return [[one.id, one.agent, one.headers, one.body] for one in self.publisher.messages]


def plain(value: Any) -> Any:
    """Without what time it is, as JSON."""
    text = json.dumps(value, sort_keys=True)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "THEN", text)
    return json.loads(re.sub(r"\b\d{13}\b", "MS", text))


def told(found: Any) -> Any:
    """A result, to be compared."""
    return (found.run_id, found.created) if isinstance(found, Accepted) else (type(found), str(found))


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.engine.close()


GOOD: st.SearchStrategy[Any] = st.builds(
    dict,
    id=st.sampled_from(["1", "2", "3"]),
    amount=st.sampled_from([1, 2]),
    lines=st.sampled_from([[], [{"sku": "a"}], [{"sku": "a"}, {"sku": "b"}]]),
)
ODD = st.sampled_from(
    [
        {},
        {"id": 5},
        {"id": "1", "amount": 100},
        {"id": "2", "text": "x" * 1_100_000},
        None,
        "text",
        Line(sku="x"),
        Order(id="1", amount=1),
        Order(id="4", amount=7),
    ]
)


class TestTheSame:
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
    @given(
        flow=st.sampled_from(FLOWS),
        payloads=st.lists(GOOD | ODD.filter(lambda odd: odd != {}), max_size=8),
        at_once=st.sampled_from([1, 2, 3, 500]),
        at=st.sampled_from([None, None, HOUR, -HOUR]),
        deadline=st.sampled_from([None, None, HOUR]),
    )
    def test_as_if_each_were_started_alone(
        self, flow: Flow, payloads: list[Any], at_once: int, at: Any, deadline: Any
    ) -> None:
        """Results, errors, records and messages are the same, whatever the payloads: repeated, in conflict, or bad."""
        alone, many = Place(), Place()
        try:
            options = {"at": at, "deadline": deadline}
            expected = alone.one_by_one(flow, payloads, **options)
            found = many.together(flow, payloads, at_once, **options)
            assert list(map(told, found)) == list(map(told, expected))
            assert plain(many.records()) == plain(alone.records())
            key = lambda one: (one[0], one[1])  # noqa: E731
            assert plain(sorted(many.messages(), key=key)) == plain(sorted(alone.messages(), key=key))
            again = many.together(flow, payloads, at_once, **options)
            assert [told(one) for one in again] == [
                told(one) for one in alone.one_by_one(flow, payloads, **options)
            ]
            assert plain(many.records()) == plain(alone.records())
        finally:
            alone.engine.close()
            many.engine.close()

    def test_a_payload_without_a_key_is_a_run_each_time(self, place: Place) -> None:
        """As it is with start()."""
        found = place.together(CHAIN, [{}, {}], 500)
        assert len({one.run_id for one in found}) == 2
        assert all(one.created for one in found)

    def test_a_key_may_be_given_for_each(self, place: Place) -> None:
        """An odd one is an error of its payload alone."""
        keys = {1: "a", 2: "", 3: "b", 4: "a"}
        payloads = [{"amount": number} for number in keys]
        found = place.together(CHAIN, payloads, 500, idempotency_key=lambda payload: keys[payload["amount"]])
        assert [type(one) for one in found] == [Accepted, InvalidData, Accepted, Conflict]

    def test_a_run_that_is_forgotten_begins_another_life(self, place: Place) -> None:
        """Twice in one batch it is one life."""
        first = place.starts.start(CHAIN, {"id": "1"})
        redis, keys = place.engine.store.redis, place.engine.runs._keys
        redis.delete(keys.run(first.run_id))
        redis.set(keys.ended(first.run_id), "completed", px=60_000)
        found = place.together(CHAIN, [{"id": "1"}, {"id": "2"}, {"id": "1"}], 500)
        assert [one.created for one in found] == [True, True, False]
        assert found[0].run_id == found[2].run_id == f"{first.run_id}~1"
        assert len(place.publisher.messages) == 3


class TestTogether:
    def test_a_batch_is_one_round_trip_and_one_publication(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many payloads; what a batch takes is bounded by what its runs are, too."""
        place.together(CHAIN, [{"id": "warm"}], 500)
        asked: list[int] = []
        send = scripts._send

        def counted(redis: Any, calls: Any) -> Any:
            asked.append(len(calls))
            return send(redis, calls)

        monkeypatch.setattr(scripts, "_send", counted)
        published: list[int] = []
        monkeypatch.setattr(
            place.publisher, "publish", lambda messages, **_: published.append(len(list(messages)))
        )
        assert len(place.together(CHAIN, [{"id": str(number)} for number in range(120)], 50)) == 120
        assert (asked, published) == ([50, 50, 20], [50, 50, 20])
        asked.clear()
        large = ({"id": f"large {number}", "text": "x" * 200_000} for number in range(20))
        assert len(place.together(CHAIN, list(large), 500, deadline=HOUR)) == 20
        assert len([calls for calls in asked if calls > 1]) == 2  # once more for what time it is

    def test_no_more_is_taken_than_a_batch(self, place: Place) -> None:
        """An iterable without an end is started as far as anybody asks."""
        taken: list[int] = []

        def endless() -> Iterator[dict[str, str]]:
            while True:
                taken.append(1)
                yield {"id": str(len(taken))}

        results = ManyStarts(place.engine.services, place.starts, 10).start(CHAIN, endless())
        assert taken == []
        for _ in range(11):
            next(results)
        assert len(taken) == 20

    def test_what_an_iterable_raises_comes_after_what_it_gave(self, place: Place) -> None:
        """What it gave before is started."""

        def broken() -> Iterator[dict[str, str]]:
            yield {"id": "1"}
            raise OSError("the file is gone")

        results = ManyStarts(place.engine.services, place.starts).start(CHAIN, broken())
        assert isinstance(next(results), Accepted)
        with pytest.raises(OSError, match="the file is gone"):
            next(results)
        assert len(place.publisher.messages) == 1

    def test_what_redis_holds_in_the_place_of_one_run_concerns_that_alone(self, place: Place) -> None:
        """It is an error of its payload."""
        [run] = place.together(CHAIN, [{"id": "2"}], 500)
        redis, keys = place.engine.store.redis, place.engine.runs._keys
        redis.delete(keys.run(run.run_id))
        redis.set(keys.run(run.run_id), "changed by hand")
        found = place.together(CHAIN, [{"id": "1"}, {"id": "2"}, {"id": "3"}], 500)
        assert [isinstance(one, Accepted) for one in found] == [True, False, True]
        assert isinstance(found[1], ServerError)


def away() -> None:
    raise ServerError("the broker is away")


class TestOutages:
    def test_without_a_broker_runs_are_accepted(self, place: Place) -> None:
        """Each result of the batch says so; then it is said how many there are. Started again, all are published, once each."""
        place.publisher.before = away
        payloads = [{"id": str(number)} for number in range(5)] + [{"id": 5}]
        results = ManyStarts(place.engine.services, place.starts, 6).start(
            CHAIN, iter([*payloads, {"id": "6"}])
        )
        found = [next(results) for _ in payloads]
        assert [type(one) for one in found] == [Unpublished] * 5 + [InvalidData]
        with pytest.raises(Interrupted, match="of 6 payloads that were taken 5 are accepted") as caught:
            next(results)
        assert (caught.value.taken, caught.value.accepted) == (6, 5)
        place.publisher.before = lambda: None
        again = place.together(CHAIN, payloads, 500)
        assert [one.run_id for one in again[:5]] == [one.run_id for one in found[:5]]  # type: ignore[union-attr]
        assert len(place.publisher.messages) == 5

    def test_without_redis_nothing_is_known(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """Perhaps it was all accepted, and only the answer was lost: each result says which run that is, and started again all
        of them are accepted once."""
        place.starts.start(CHAIN, {"id": "warm"})
        place.publisher.messages.clear()
        send = scripts._send

        def lost(redis: Any, calls: Any) -> Any:
            send(redis, calls)
            raise RedisGone("gone")

        payloads = [{"id": str(number)} for number in range(5)]
        results = ManyStarts(place.engine.services, place.starts).start(CHAIN, payloads)
        with monkeypatch.context() as patched:
            patched.setattr(scripts, "_send", lost)
            found = [next(results) for _ in payloads]
        assert [type(one) for one in found] == [Unanswered] * 5
        with pytest.raises(Interrupted, match="of 5 payloads that were taken 0 are accepted for certain"):
            next(results)
        assert place.publisher.messages == []
        again = place.together(CHAIN, payloads, 500)
        assert [(one.run_id, one.created) for one in again] == [(one.run_id, False) for one in found]  # type: ignore[union-attr]
        assert len(place.publisher.messages) == 5

    def test_a_server_that_is_away_is_waited_for_once(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not with each payload: where nothing can be declared, or nobody says what time it is, no other is taken."""
        many = ManyStarts(place.engine.services, place.starts)
        for name, where in {"declare": place.publisher, "now": place.engine.server}.items():
            with monkeypatch.context() as patched:
                patched.setattr(where, name, lambda *_: away())
                results = many.start(CHAIN, [{"id": str(number)} for number in range(5)], deadline=HOUR)
                assert type(next(results)) is ServerError
                with pytest.raises(Interrupted, match="of 1 payloads that were taken 0 are accepted"):
                    next(results)

    def test_a_message_that_the_broker_refuses_is_alone(self, place: Place) -> None:
        """The others of its batch are published, and nothing is interrupted."""
        publish = place.publisher.publish

        def refusing(messages: Iterable[Message], **options: Any) -> None:
            given = list(messages)
            if any("refuse me" in message.body for message in given):
                raise Refused("the broker does not take the message")
            publish(given, **options)

        place.publisher.publish = refusing  # type: ignore[method-assign]
        found = place.together(CHAIN, [{"id": "1"}, {"id": "2", "text": "refuse me"}, {"id": "3"}], 500)
        assert [type(one) for one in found] == [Accepted, Unpublished, Accepted]
        assert len(place.publisher.messages) == 2


class TestACoordinator:
    def test_gives_a_run_or_an_error_for_each(self, anywhere: Coordinator) -> None:
        """In order, and the runs go on to their ends."""
        payloads: list[Any] = [{"id": "1"}, {"id": 2}, Order(id="3"), {"id": "1"}, {"id": "1", "amount": 5}]
        found = list(anywhere.start_many(CHAIN, payloads))
        assert [type(one.error) for one in found] == [
            type(None),
            InvalidData,
            type(None),
            type(None),
            Conflict,
        ]
        assert [one.run.created for one in found if one.run] == [True, True, False]
        assert {one.run.wait(20) for one in found if one.run} == {"completed"}
        assert found[2].get().result(20) == Order(id="3")
        with pytest.raises(InvalidData):
            found[1].get()
        assert found[0].get().id == anywhere.start(CHAIN, Order(id="1")).id

    def test_all_of_many_are_completed(self, live_coordinator: Coordinator) -> None:
        """More than a batch of them."""
        found = list(live_coordinator.start_many(CHAIN, ({"id": str(number)} for number in range(700))))
        assert all(one.run is not None for one in found)
        runs = [one.get() for one in found]
        wait_until(
            lambda: set(live_coordinator.statuses(runs)) == {"completed"},
            description="all are completed",
            timeout=60,
        )

    @pytest.mark.parametrize(
        ("flow", "payloads", "options"),
        [
            (CHAIN, {"id": "1"}, {}),
            (CHAIN, Order(id="1"), {}),
            (CHAIN, "text", {}),
            (CHAIN, None, {}),
            ("many.unknown", [], {}),
            (work, [], {}),
            (CHAIN, [], {"deadline": 5}),
            (CHAIN, [], {"at": datetime(2030, 1, 1)}),  # noqa: DTZ001 - that is what is wrong with it
            (CHAIN, [], {"at": timedelta(days=400)}),
        ],
    )
    def test_what_concerns_all_is_raised_at_once(
        self, coordinator: Coordinator, flow: Any, payloads: Any, options: Any
    ) -> None:
        """In one line, and nothing is started."""
        with pytest.raises(CoordinationError):
            coordinator.start_many(flow, payloads, **options)

    def test_nothing_is_nothing(self, coordinator: Coordinator) -> None:
        """No payload, no result."""
        assert list(coordinator.start_many(CHAIN, [])) == []

    def test_later(self, anywhere: Coordinator) -> None:
        """Runs may be accepted for later; in eager mode nothing is waited for."""
        [found] = anywhere.start_many(CHAIN, [{"id": "1"}], at=datetime.now(UTC) + HOUR)
        expected = "completed" if anywhere.settings.eager else "scheduled"
        assert found.get().status() == expected

    def test_one_that_is_too_large(self, coordinator: Coordinator) -> None:
        """Its neighbours are started."""
        found = list(
            coordinator.start_many(CHAIN, [{"id": "1"}, {"id": "2", "text": "x" * 1_100_000}, {"id": "3"}])
        )
        assert [type(one.error) for one in found] == [type(None), TooLarge, type(None)]


def test_a_result_is_one_of_the_two() -> None:
    """get() gives the run, or raises the error."""
    with pytest.raises(Conflict):
        Started(error=Conflict("no")).get()


def test_of_a_file(tmp_path: Path, live_coordinator: Coordinator) -> None:
    """Lines that are no JSON, lines that are no payload and lines that are repeated keep their numbers; progress is told after each."""
    from handoffs.coordinator.client.batch import start_batch  # noqa: PLC0415 - tested beside what it uses

    lines = [b'{"id": "1"}', b"", b"{", b'{"id": 2}', b'{"id": "3"}', b'{"id": "1"}', b"nothing"]
    seen: list[int] = []
    batch = start_batch(live_coordinator, CHAIN, lines, progress=lambda batch: seen.append(batch.lines))
    assert (batch.lines, len(batch.runs), batch.repeated) == (6, 2, 1)
    assert [one.line for one in batch.refused] == [3, 4, 7]
    assert seen == [1, 2, 3, 4, 5, 6]
