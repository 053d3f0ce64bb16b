"""One handoff: its six steps, and each way out of them."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from pydantic import field_validator

from handoffs.contracts import Contract, Envelope, Key, Sensitive, downcast, strictjson, upcast
from handoffs.contracts.envelope import message_id
from handoffs.contracts.versions import Versions
from handoffs.coordinator.continuation.signature import CHOICE, signature
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.errors import Permanent, Refused, ServerError, Transient
from handoffs.coordinator.flow.agent import Agent, agent
from handoffs.coordinator.flow.context import Context
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.step import compensate, parallel
from handoffs.coordinator.handoff.handoff import Handoff
from handoffs.coordinator.handoff.lease import LeaseKeeper
from handoffs.coordinator.handoff.outcome import Done, Outcome, Park, Postpone
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.claim import Claim
from handoffs.coordinator.store.history_stream import HistoryStream
from handoffs.coordinator.store.outstanding import Outstanding
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.runs import Runs
from handoffs.coordinator.store.store import Store
from tests.deliveries import RecordingPublisher, deliver, start
from tests.store_suite import make_settings

SECRET = "correct horse battery staple"


class Order(Contract, name="test.order", version=1):
    order: str = Key(max_length=40)
    pin: Sensitive
    count: int = 1


class OldPriced(Contract, name="test.priced", version=1):
    order: str = Key()
    euros: int


class Priced(Contract, name="test.priced", version=2):
    order: str = Key()
    cents: int


class Unkeyed(Contract, name="test.unkeyed", version=1):
    text: str


class Both(Contract, name="test.both", version=1):
    one: Priced
    two: Priced


@downcast(Priced, 2, 1, lossy="the cents")
def to_euros(data: dict[str, Any]) -> dict[str, Any]:
    if data["cents"] < 0:
        raise ValueError("no debts")
    return {"order": data["order"], "euros": data["cents"] // 100}


@upcast(Priced, 1, 2)
def cents_from_euros(data: dict[str, Any]) -> dict[str, Any]:
    return {"order": data["order"], "cents": data["euros"] * 100}


ORDER = Order(order="o-1", pin=SECRET)  # type: ignore[arg-type]


class Shop:
    """The handoffs of a few agents, on a Redis and a broker's twin of their own."""

    def __init__(self) -> None:
        self.redis = FakeStrictRedis(
            server=FakeServer(server_type="redis", version=(7,)), decode_responses=True
        )
        self.settings = make_settings(shards=1)
        self.store = Store(self.redis, self.settings)
        self.runs = Runs(self.redis, self.settings)
        self.announcements = Announcements(self.redis, self.settings)
        self.publisher = RecordingPublisher()
        self.leases = LeaseKeeper(self.store, self.settings.lease)
        self.negotiator = Negotiator(self.announcements, Versions())
        self.negotiator.versions.know(OldPriced)
        self.payloads: list[Any] = []
        self.contexts: list[Context] = []
        self.answer: Callable[[Any, Context], Any] = lambda order, context: Priced(
            order=order.order, cents=100
        )

    def agent(self, accepts: type[Contract] = Order, emits: type[Contract] = Priced, **options: Any) -> Agent:
        """An agent that answers as the shop is told to."""

        def run(payload: Any, context: Context) -> Any:
            self.payloads.append(payload)
            self.contexts.append(context)
            return self.answer(payload, context)

        run.__annotations__ = {"payload": accepts, "return": emits}
        name = options.pop("name", "test.price")
        return agent(name, **options)(run)

    def handle(self, which: Agent, sent: Message | Delivery) -> Outcome:
        """Handle a message as a worker would."""
        delivery = deliver(sent) if isinstance(sent, Message) else sent
        driver = Driver(self.redis, self.publisher)
        return driver.perform(self.handoff(which)(delivery))

    def handoff(self, which: Agent) -> Handoff:
        return Handoff(which, self.settings, self.store, self.leases, self.negotiator)

    def older_reader(self, name: str, *, ended: bool = False) -> None:
        """A consumer of an agent lives that reads the first version only, or ends."""
        life = timedelta(seconds=0 if ended else 30)
        self.announcements.announce({"agent": name, "accepts": {"test.priced": [1]}}, "old", life)
        if ended:
            self.announcements.announce(
                {"agent": name, "accepts": {"test.priced": [2, 1]}}, "new", timedelta(seconds=30)
            )
        self.negotiator.forget()

    def history(self) -> list[dict[str, Any]]:
        return [json.loads(text) for _, text in HistoryStream(self.redis, self.settings).oldest(0)]

    def told(self) -> list[str]:
        return [entry["kind"] for entry in self.history()]

    def claim(self, which: Agent, place: StepRef, *, key: str = "o-1", content: str = "") -> Claim:
        """Another worker claims the same key."""
        return self.store.claim(place, agent=which.name, key=key, content=content, owner="other", replays=0)

    def outcome(self, run: str) -> str | None:
        """What a run has of the outcome of its first step."""
        text: Any = self.redis.hget(self.store.keys.run(run), "s:1")
        return text if text is None else str(text)

    def record(self, run: str = "run-1") -> Any:
        return self.runs.get(run)


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop."""
    shop = Shop()
    yield shop
    shop.leases.close()


@agent("test.after")
def after(priced: Priced) -> Priced:
    """What comes after."""
    return priced


def parked(outcome: Outcome) -> Any:
    """The failure with which it was parked."""
    assert isinstance(outcome, Park), outcome
    return outcome.failure


def altered(sent: Message, **attributes: Any) -> Delivery:
    """A delivery whose envelope has other attributes; those that are None are missing."""
    delivery = deliver(sent)
    envelope = {**json.loads(delivery.envelope), **attributes}
    kept = {name: value for name, value in envelope.items() if value is not None}
    return replace(delivery, envelope=json.dumps(kept))


class TestStraightPath:
    def test_agent_gets_its_input(self, shop: Shop) -> None:
        """The agent gets a typed, validated input, and a context that names the story."""
        price = shop.agent()
        [sent] = start(Flow("test.flow", price), ORDER)
        shop.answer = lambda order, context: Priced(order="o-1", cents=1)
        shop.handle(price, sent)
        assert shop.payloads == [ORDER]
        [context] = shop.contexts
        assert (context.run_id, context.flow, context.step, context.agent) == (
            "run-1",
            "test.flow",
            "1",
            price.name,
        )
        assert (context.key, context.attempt, context.deadline) == ("o-1", 1, None)

    def test_next_step_is_published(self, shop: Shop) -> None:
        """The next envelope has the run's id, is caused by this message, and has a derived id."""
        price = shop.agent()
        [sent] = start(Flow("test.flow", price >> after), ORDER)
        outcome = shop.handle(price, sent)
        assert outcome == Done("settled test.priced/2 run=run-1 step=1")
        [following] = shop.publisher.messages
        assert (following.agent, following.id) == ("test.after", message_id("run-1", "2"))
        envelope = Envelope.decode(deliver(following).envelope)
        assert (envelope.correlation_id, envelope.causation_id) == ("run-1", sent.id)
        assert (envelope.source, envelope.data_schema) == ("/agents/test.price", "urn:contract:test.priced:2")
        assert (envelope.idempotency_key, envelope.subject) == ("o-1", "o-1")
        assert envelope.data == {"order": "o-1", "cents": 100}
        assert (
            envelope.trace_parent.split("-")[1] == deliver(sent).envelope.split('"traceparent":"00-')[1][:32]
        )

    def test_last_step_ends_the_run(self, shop: Shop) -> None:
        """The output of the last step is the run's result, and nothing is published."""
        price = shop.agent()
        shop.handle(price, *start(Flow("test.flow", price), ORDER))
        assert shop.record().status == "completed"
        result = shop.runs.result("run-1")
        assert result is not None
        assert json.loads(result.data) == {"order": "o-1", "cents": 100}
        assert shop.publisher.messages == []

    def test_older_version_is_upcast(self, shop: Shop) -> None:
        """An input of an older version is given to the agent in the version that it accepts."""
        take = shop.agent(Priced)
        [sent] = start(Flow("test.flow", take), Priced(order="o-1", cents=1))
        shop.answer = lambda priced, context: priced
        shop.handle(
            take, altered(sent, dataschema="urn:contract:test.priced:1", data={"order": "o-1", "euros": 3})
        )
        assert shop.payloads == [Priced(order="o-1", cents=300)]
        assert shop.history()[0]["read"] == "test.priced/1"

    def test_written_for_an_older_reader(self, shop: Shop) -> None:
        """The next message is in the version that its consumer accepts; what it was made as, and its digest, go along."""
        give, take = shop.agent(), shop.agent(Priced, name="test.take")
        shop.older_reader("test.take")
        [sent] = start(Flow("test.flow", give >> take), ORDER)
        shop.handle(give, sent)
        envelope = Envelope.decode(deliver(shop.publisher.messages[0]).envelope)
        assert (envelope.contract.version, envelope.data) == (1, {"order": "o-1", "euros": 1})
        assert envelope.original_schema == Priced.ref().uri
        assert shop.history()[0]["wrote"] == "test.priced/2"
        assert shop.history()[0]["sent"] == {"2": "test.priced/1"}
        assert Outstanding(shop.redis, shop.settings).counts() == {("test.take", "test.priced/1"): 1}
        shop.answer = lambda priced, context: priced
        shop.handle(take, shop.publisher.messages[0])
        assert shop.payloads[-1] == Priced(order="o-1", cents=100)
        entry = shop.history()[1]
        assert (entry["read"], entry["original"], entry["migrated"]) == (
            "test.priced/1",
            "test.priced/2",
            ["upcast test.priced 1 -> 2"],
        )

    def test_same_content_in_another_version(self, shop: Shop) -> None:
        """The same outcome, sent once for an older reader and once for a newer one, is one piece of work."""
        give, take = shop.agent(), shop.agent(Priced, name="test.take")
        shop.answer = lambda payload, context: Priced(order="o-1", cents=199)
        flow = Flow("test.flow", give >> take)
        shop.older_reader("test.take")
        for run in ("run-1", "run-2"):
            [sent] = start(flow, ORDER, run)
            shop.handle(give, sent)
            if run == "run-1":
                shop.older_reader("test.take", ended=True)
        older, newer = shop.publisher.messages
        assert isinstance(shop.handle(take, older), Done)
        assert isinstance(shop.handle(take, newer), Done)
        assert shop.told()[-1] == "deduplicated"

    def test_part_for_an_older_join(self, shop: Shop) -> None:
        """The parts of a join are written as its consumer accepts them."""
        one, two = shop.agent(name="test.one"), shop.agent(name="test.two")
        join = shop.agent(Both, Priced, name="test.join")
        shop.older_reader("test.join")
        for which, sent in zip(
            (one, two), start(Flow("test.flow", parallel(one=one, two=two) >> join), ORDER), strict=True
        ):
            shop.handle(which, sent)
        [sent] = shop.publisher.messages
        envelope = Envelope.decode(deliver(sent).envelope)
        assert envelope.join_schemas == "one=urn:contract:test.priced:1 two=urn:contract:test.priced:1"
        shop.answer = lambda both, context: both.one
        shop.handle(join, sent)
        assert shop.payloads[-1].one == Priced(order="o-1", cents=100)

    def test_failing_downcast_parks(self, shop: Shop) -> None:
        """An output that cannot be written for its reader is parked, and nothing is settled."""
        give, take = shop.agent(), shop.agent(Priced, name="test.take")
        shop.older_reader("test.take")
        shop.answer = lambda payload, context: Priced(order="o-1", cents=-1)
        [sent] = start(Flow("test.flow", give >> take), ORDER)
        parked = shop.handle(give, sent)
        assert isinstance(parked, Park)
        assert parked.failure.kind == "invalid-output"
        assert "ValueError in to_euros" in parked.failure.text
        assert shop.told() == ["parked"]

    def test_join_is_put_together(self, shop: Shop) -> None:
        """What joins branches gets all their outputs in one contract; the last branch sends it, once."""
        one, two = shop.agent(name="test.one"), shop.agent(name="test.two")
        join = shop.agent(Both, Priced, name="test.join")
        first, second = start(Flow("test.flow", parallel(one=one, two=two) >> join), ORDER)
        shop.handle(one, first)
        assert shop.publisher.messages == []
        shop.handle(two, second)
        [sent] = shop.publisher.messages
        envelope = Envelope.decode(deliver(sent).envelope)
        assert envelope.join_schemas == "one=urn:contract:test.priced:2 two=urn:contract:test.priced:2"
        shop.answer = lambda both, context: both.one
        shop.handle(join, sent)
        assert shop.payloads[2:] == [
            Both(one=Priced(order="o-1", cents=100), two=Priced(order="o-1", cents=100))
        ]

    def test_part_of_an_older_version_is_upcast(self, shop: Shop) -> None:
        """A part of a join that was written in an older version is read in the one that the join wants."""
        join = shop.agent(Both)
        [sent] = start(
            Flow("test.flow", join), Both(one=Priced(order="o", cents=1), two=Priced(order="o", cents=2))
        )
        shop.answer = lambda both, context: both.one
        data = {"one": {"order": "o", "euros": 1}, "two": {"order": "o", "cents": 2}}
        schemas = "one=urn:contract:test.priced:1 two=urn:contract:test.priced:2"
        assert isinstance(shop.handle(join, altered(sent, data=data, joinschemas=schemas)), Done)
        assert [both.one.cents for both in shop.payloads] == [100]

    def joining(self, shop: Shop) -> tuple[Agent, Agent, Message, Message]:
        """The branches of a join, each of which makes a text of 1500 characters, and the message of each."""
        one, two = shop.agent(Order, Unkeyed, name="test.one"), shop.agent(Order, Unkeyed, name="test.two")

        class Texts(Contract, name="test.texts", version=1):
            one: Unkeyed
            two: Unkeyed

        join = shop.agent(Texts, Unkeyed, name="test.join")
        shop.answer = lambda order, context: Unkeyed(text="x" * 1500)
        first, second = start(Flow("f", parallel(one=one, two=two) >> join), ORDER)
        return one, two, first, second

    def test_part_that_makes_its_join_too_large_is_parked(self, shop: Shop) -> None:
        """Parts that are small enough each may be larger together than a message may be: the one that makes it so is parked before
        its outcome is recorded, and says how much that would be."""
        shop.settings = make_settings(shards=1, max_message_bytes=4096)
        one, two, first, second = self.joining(shop)
        assert isinstance(shop.handle(one, first), Done)
        failure = parked(shop.handle(two, second))
        assert (failure.kind, failure.error) == ("too-large", "TooLarge")
        assert "3022 bytes" in failure.text
        assert "COORDINATOR_MAX_MESSAGE_BYTES" in failure.text
        assert (shop.publisher.messages, shop.record().settled) == ([], ("1.one.1",))

    def test_baggage_takes_room(self, shop: Shop) -> None:
        """What a message carries beside its data is counted where parts are joined, too."""
        shop.settings = make_settings(shards=1, max_message_bytes=8192)
        one, two, first, second = self.joining(shop)
        baggage = "k=" + "v" * 3500

        def handled(which: Agent, sent: Message | Delivery) -> Outcome:
            return copy_context().run(shop.handle, which, sent)  # as a worker does

        assert isinstance(handled(one, altered(first, baggage=baggage)), Done)
        assert parked(handled(two, altered(second, baggage=baggage))).kind == "too-large"
        assert isinstance(handled(two, second.replayed(1)), Done)

    def test_withdrawn_outcome_is_made_again(self, shop: Shop) -> None:
        """What a join had no room for is no outcome of its key either: with more room, or a smaller one, the agent runs again."""
        shop.settings = make_settings(shards=1, max_message_bytes=4096)
        one, two, first, second = self.joining(shop)
        shop.handle(one, first)
        parked(shop.handle(two, second))
        shop.answer = lambda order, context: Unkeyed(text="y")
        assert isinstance(shop.handle(two, second.replayed(1)), Done)
        [joined] = shop.publisher.messages
        assert joined.agent == "test.join"
        assert len(shop.payloads) == 3

    def test_history_tells_without_secrets(self, shop: Shop) -> None:
        """History has input and output, with sensitive values masked; the next agent still gets the value."""
        echo = shop.agent(Order, Order)
        shop.answer = lambda order, context: order
        shop.handle(echo, *start(Flow("test.flow", echo >> shop.agent(name="test.next")), ORDER))
        [entry] = shop.history()
        assert (entry["kind"], entry["input"]["pin"], entry["output"]["pin"]) == (
            "settled",
            "**********",
            "**********",
        )
        assert entry["took_ms"] >= 0
        assert SECRET not in json.dumps(shop.history())
        [sent] = shop.publisher.messages
        assert Envelope.decode(deliver(sent).envelope).data["pin"] == SECRET
        assert SECRET not in json.dumps(sent.headers)

    def test_log_lines_name_the_story(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        """What an agent logs names run, step and agent."""
        price = shop.agent()

        def answer(order: Order, context: Context) -> Priced:
            context.logger.warning("hm")
            return Priced(order=order.order, cents=1)

        shop.answer = answer
        with caplog.at_level(logging.WARNING):
            shop.handle(price, *start(Flow("test.flow", price), ORDER))
        assert caplog.messages == ["run=run-1 step=1 agent=test.price hm"]

    def test_key_function_gives_the_key(self, shop: Shop) -> None:
        """An agent's own key function goes before the contract's key; without either, the message's key counts."""
        own = shop.agent(key=lambda order: f"own-{order.order}")
        unkeyed = shop.agent(Unkeyed, Priced, name="test.unkeyed")
        shop.answer = lambda payload, context: Priced(order="o", cents=1)
        shop.handle(own, *start(Flow("f", own), ORDER))
        [sent] = start(Flow("g", unkeyed), Unkeyed(text="t"), "run-2")
        shop.handle(unkeyed, sent)
        assert [context.key for context in shop.contexts] == ["own-o-1", sent.id]

    def test_second_turn_is_other_work(self, shop: Shop) -> None:
        """Where an agent stands a second time in a flow, its idempotency keys are its own."""
        keep = shop.agent(Order, Order)
        shop.answer = lambda order, context: order
        shop.handle(keep, *start(Flow("f", keep >> keep), ORDER))
        shop.handle(keep, *shop.publisher.messages)
        assert [context.key for context in shop.contexts] == ["o-1", "o-1#2"]
        assert len({context.idempotency_key for context in shop.contexts}) == 2


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no envelope": ({"specversion": "0.3"}, "specversion"),
    "no id": ({"id": None}, "id: Field required"),
    "no data": ({"data": None}, "data: Field required"),
    "wrong type in data": (
        {"data": {"order": "o-1", "pin": "1", "count": "1"}},
        "count: Input should be a valid int",
    ),
    "missing field": ({"data": {"order": "o-1"}}, "pin: Field required"),
    "unknown version": ({"dataschema": "urn:contract:test.order:7"}, "test.order/7"),
    "another contract": ({"type": "test.other", "dataschema": "urn:contract:test.other:1"}, "test.other/1"),
    "type and schema differ": ({"type": "test.other"}, "different contracts"),
    "malformed join": ({"joinschemas": "nonsense"}, "joinschemas"),
}


class TestInvalidInput:
    @pytest.mark.parametrize(("attributes", "reason"), MALFORMED.values(), ids=MALFORMED)
    def test_is_parked(self, shop: Shop, attributes: dict[str, Any], reason: str) -> None:
        """Input that is not what its contract says never reaches the agent, is never retried, and is parked with why."""
        price = shop.agent(retry=Retry(attempts=5))
        [sent] = start(Flow("f", price), ORDER)
        failure = parked(shop.handle(price, altered(sent, **attributes)))
        assert (failure.kind, failure.attempt) == ("invalid-input", 1)
        assert reason in failure.text
        assert shop.contexts == []
        assert shop.record().parked["1"]["message"] == sent.id

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", '{"a":1,"a":2}', '{"a":NaN}', "[" * 100, '{"id":"\\ud800"}']
    )
    def test_no_strict_json_is_parked(self, shop: Shop, text: str) -> None:
        """What is no strict JSON is parked."""
        price = shop.agent()
        [sent] = start(Flow("f", price), ORDER)
        assert parked(shop.handle(price, replace(deliver(sent), envelope=text))).kind == "invalid-input"

    def test_too_large_is_parked(self, shop: Shop) -> None:
        """A message over the size limit is parked unread."""
        shop.settings = make_settings(shards=1, max_message_bytes=1024)
        price = shop.agent()
        [sent] = start(Flow("f", price), Order(order="o", pin="x" * 2000))  # type: ignore[arg-type]
        assert "over the limit" in parked(shop.handle(price, sent)).text

    @pytest.mark.parametrize("policy", [None, 5, [], {}, {"attempts": 3}, {**Retry().to_json(), "only": 7}])
    def test_malformed_retry_policy(self, shop: Shop, policy: Any) -> None:
        """A message whose retry policy is none is parked as invalid input, and the agent is not called."""
        price = shop.agent()
        [sent] = start(Flow("test.flow", price), ORDER)
        delivery = deliver(sent)
        wrong = replace(delivery, kwargs={**delivery.kwargs, "retry": policy})
        failure = parked(shop.handle(price, wrong))
        assert (failure.kind, failure.text) == (
            "invalid-input",
            "the retry policy in the message is malformed",
        )
        assert shop.payloads == []

    @pytest.mark.parametrize(
        "part", [{"chord": {}}, {"chain": [{}]}, {"chord": {"kwargs": 3}}, {"chain": ["x"]}]
    )
    def test_malformed_continuation_is_parked(self, shop: Shop, part: dict[str, Any]) -> None:
        """A message whose continuation cannot be followed is parked before the agent runs."""
        price = shop.agent()
        [sent] = start(Flow("f", price), ORDER)
        assert parked(shop.handle(price, replace(deliver(sent), **part))).kind == "invalid-input"
        assert shop.contexts == []

    def test_without_step_is_parked(self, shop: Shop) -> None:
        """A message that names no step is parked."""
        price = shop.agent()
        [sent] = start(Flow("f", price), ORDER)
        assert "which step" in parked(shop.handle(price, replace(deliver(sent), kwargs={}))).text

    def test_failing_key_function_is_parked(self, shop: Shop) -> None:
        """A key function that fails, or gives no text, parks the step."""
        for key in (lambda order: 1 / 0, lambda order: "", lambda order: 7):
            price = shop.agent(key=key)
            assert parked(shop.handle(price, *start(Flow("f", price), ORDER))).kind == "error"
        assert shop.contexts == []

    def test_expired_is_parked(self, shop: Shop) -> None:
        """After the deadline, a step is not begun but parked; its key stays free."""
        price = shop.agent()
        [sent] = start(Flow("f", price), ORDER, deadline=timedelta(seconds=-1))
        assert parked(shop.handle(price, sent)).kind == "expired"
        assert shop.contexts == []
        assert shop.claim(price, StepRef("run-2", "f", "1"), content=_content(sent)).verdict == "granted"

    def test_deadline_travels(self, shop: Shop) -> None:
        """A deadline holds for all that follows."""
        price = shop.agent()
        [sent] = start(Flow("f", price >> after), ORDER, deadline=timedelta(hours=1))
        shop.handle(price, sent)
        [following] = shop.publisher.messages
        given, passed_on = (Envelope.decode(deliver(each).envelope).expiry_time for each in (sent, following))
        assert given == passed_on is not None

    def test_what_the_broker_refuses_is_parked(self, shop: Shop) -> None:
        """A broker that refuses what follows is not waited for: the step has its outcome, and waits as not passed on; once the
        broker takes it, the same message sends it."""
        price = shop.agent()
        [sent] = start(Flow("f", price >> after), ORDER)
        shop.publisher.before = _refused
        failure = parked(shop.handle(price, sent))
        assert (failure.kind, failure.error) == ("not-passed-on", "Refused")
        shop.publisher.before = lambda: None
        shop.handle(price, replace(deliver(sent), replays=1))
        assert len(shop.publisher.messages) == 1
        assert len(shop.contexts) == 1

    def test_settled_step_is_passed_on_after_the_deadline(self, shop: Shop) -> None:
        """A step that was settled in time and not passed on is passed on, so that the next one can say that time is up."""
        price = shop.agent()
        [sent] = start(Flow("f", price >> after), ORDER)
        shop.publisher.before = _broken
        with pytest.raises(ServerError):
            shop.handle(price, sent)
        shop.publisher.before = lambda: None
        shop.handle(price, altered(sent, expirytime="2020-01-01T00:00:00Z"))
        [following] = shop.publisher.messages
        assert parked(shop.handle(after, following)).kind == "expired"


class TestInvalidOutput:
    @pytest.mark.parametrize(
        "output",
        [
            None,
            {"order": "o", "cents": 1},
            OldPriced(order="o", euros=1),
            Priced.model_construct(order="o", cents="x"),  # type: ignore[arg-type]
        ],
        ids=["nothing", "a dict", "another version", "unvalidated"],
    )
    def test_is_parked(self, shop: Shop, output: Any) -> None:
        """What an agent may not emit goes no further: the step is parked, not settled, and its key is free."""
        price = shop.agent(retry=Retry(attempts=5))
        shop.answer = lambda order, context: output
        [sent] = start(Flow("f", price >> after), ORDER)
        assert parked(shop.handle(price, sent)).kind == "invalid-output"
        assert shop.publisher.messages == []
        assert shop.record().settled == ()
        shop.answer = lambda order, context: Priced(order="o", cents=1)
        assert isinstance(shop.handle(price, sent.replayed(1)), Done)

    def test_too_large_is_parked(self, shop: Shop) -> None:
        """An output over the size limit is parked at the agent that made it."""
        shop.settings = make_settings(shards=1, max_message_bytes=4096)
        talk = shop.agent(Order, Unkeyed)
        shop.answer = lambda order, context: Unkeyed(text="x" * 5000)
        assert parked(shop.handle(talk, *start(Flow("f", talk), ORDER))).kind == "too-large"

    @pytest.mark.parametrize("beyond", [False, True])
    def test_whole_message_counts(self, shop: Shop, beyond: bool) -> None:
        """What counts is the envelope of the next message, and not only its data: what is within the limit is read, and what is one
        octet over it is parked before it is settled."""
        shop.settings = make_settings(shards=1, max_message_bytes=8192)
        talk, hear = (
            shop.agent(Order, Unkeyed, name="test.talk"),
            shop.agent(Unkeyed, Unkeyed, name="test.hear"),
        )
        flow = Flow("f", talk >> hear)
        shop.answer = lambda order, context: Unkeyed(text="")
        shop.handle(talk, *start(flow, ORDER, run="r-1"))
        envelope = deliver(shop.publisher.messages.pop()).envelope
        room = 8192 - len(envelope.encode())
        shop.answer = lambda order, context: Unkeyed(text="x" * (room + beyond))
        outcome = shop.handle(talk, *start(flow, ORDER.model_copy(update={"order": "o-2"}), run="r-2"))
        assert isinstance(outcome, Park if beyond else Done)
        assert len(shop.publisher.messages) == (not beyond)
        for sent in shop.publisher.messages:
            assert isinstance(shop.handle(hear, sent), Done)

    @pytest.mark.parametrize("size", [300_000, 1_500_000])
    def test_limit_can_be_raised(self, shop: Shop, size: int) -> None:
        """With a higher limit, a large output is settled and passed on."""
        shop.settings = make_settings(shards=1, max_message_bytes=4_000_000)

        class Lines(Contract, name="test.lines", version=1):
            lines: list[str]

        def take(lines: Lines) -> Lines:
            return lines

        talk = shop.agent(Order, Lines)
        shop.answer = lambda order, context: Lines(lines=["x" * 100_000] * (size // 100_000))
        assert isinstance(shop.handle(talk, *start(Flow("f", talk >> agent("test.take")(take)), ORDER)), Done)
        assert len(shop.publisher.messages) == 1

    def test_empty_key_is_passed_on(self, shop: Shop) -> None:
        """An output whose key field is empty is passed on like any other."""
        price = shop.agent()
        shop.answer = lambda order, context: Priced(order="", cents=1)
        assert isinstance(shop.handle(price, *start(Flow("f", price >> after), ORDER)), Done)
        [sent] = shop.publisher.messages
        assert isinstance(shop.handle(after, sent), Done)


class TestFailure:
    def fail(self, shop: Shop, error: BaseException) -> None:
        def answer(order: Order, context: Context) -> Priced:
            raise error

        shop.answer = answer

    def test_transient_is_retried(self, shop: Shop) -> None:
        """A failed attempt that the policy wants again is told, and comes back as the next attempt after the wait."""
        price = shop.agent(retry=Retry(attempts=2, backoff=timedelta(seconds=7), jitter=0))
        [sent] = start(Flow("f", price), ORDER)
        self.fail(shop, OSError("gone"))
        outcome = shop.handle(price, sent)
        assert isinstance(outcome, Postpone)
        assert outcome.wait == timedelta(seconds=7)
        assert isinstance(outcome.error, OSError)
        assert (outcome.message.id, outcome.message.body) == (sent.id, sent.body)
        assert deliver(outcome.message).attempt == 2
        assert shop.told() == ["retried"]
        failure = parked(shop.handle(price, outcome.message))
        assert (failure.kind, failure.error, failure.text, failure.attempt) == ("error", "OSError", "gone", 2)
        assert shop.told() == ["retried", "parked"]

    def test_retry_after_overrides(self, shop: Shop) -> None:
        """A transient error may say itself when to come back: that is told as waiting, and the attempt does not count."""
        price = shop.agent(retry=Retry(attempts=1, allowance=timedelta(minutes=7)))
        self.fail(shop, Transient("busy", retry_after=timedelta(minutes=3)))
        [sent] = start(Flow("f", price), ORDER)
        for waited in (180_000, 360_000):
            outcome = shop.handle(price, sent)
            assert isinstance(outcome, Postpone)
            assert (outcome.wait, outcome.attempt, outcome.waited) == (timedelta(minutes=3), 1, waited)
            sent = outcome.message
        assert shop.told() == ["waits", "waits"]
        failure = parked(shop.handle(price, sent))
        assert (failure.kind, failure.error, failure.attempt) == ("allowance-spent", "Transient", 1)
        assert deliver(sent.replayed(1)).waited == 0

    def test_what_was_waited_is_kept(self, shop: Shop) -> None:
        """A failed attempt between two waits counts, and the allowance goes on from where it was."""
        price = shop.agent(retry=Retry(attempts=3, allowance=timedelta(minutes=7)))
        [sent] = start(Flow("f", price), ORDER)
        self.fail(shop, Transient("busy", retry_after=timedelta(minutes=4)))
        first = shop.handle(price, sent)
        assert isinstance(first, Postpone)
        self.fail(shop, OSError("gone"))
        second = shop.handle(price, first.message)
        assert isinstance(second, Postpone)
        assert (second.attempt, second.waited) == (2, 240_000)
        self.fail(shop, Transient("busy", retry_after=timedelta(minutes=4)))
        assert parked(shop.handle(price, second.message)).kind == "allowance-spent"

    @pytest.mark.parametrize("error", [Permanent("no"), SystemExit("out of here")], ids=["permanent", "exit"])
    def test_permanent_is_parked(self, shop: Shop, error: BaseException) -> None:
        """A permanent error, and an agent that wants to exit, parks at once."""
        price = shop.agent(retry=Retry(attempts=9))
        [sent] = start(Flow("f", price >> after), ORDER)
        self.fail(shop, error)
        failure = parked(shop.handle(price, sent))
        assert (failure.kind, failure.error, failure.text) == ("error", type(error).__name__, str(error))
        assert failure.payload == {"order": "o-1", "pin": "**********", "count": 1}
        assert (failure.contract, failure.agent, failure.worker) == ("test.order/1", "test.price", "w@1")
        assert shop.record().status == "parked"
        assert shop.publisher.messages == []

    def test_a_copy_of_what_is_parked_does_not_run(self, shop: Shop) -> None:
        """What is parked waits to be replayed: the same message once more is parked for the same reason, and the agent is not asked;
        so it is where the process died before the message was rejected."""
        price = shop.agent()
        self.fail(shop, Permanent("no"))
        [sent] = start(Flow("f", price), ORDER)
        first = shop.handle(price, sent)
        assert parked(first).kind == "error"
        assert parked(shop.handle(price, sent)) == parked(first)
        assert (len(shop.contexts), shop.told()) == (1, ["parked"])
        shop.runs.unpark(StepRef("run-1", "f", "1"), {"run": "run-1", "kind": "replayed"})
        shop.handle(price, sent)
        assert len(shop.contexts) == 2

    def test_interrupt_is_not_the_agents(self, shop: Shop) -> None:
        """An interrupt of the process is no failure of the agent: the message comes again."""
        price = shop.agent()
        self.fail(shop, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            shop.handle(price, *start(Flow("f", price), ORDER))
        assert shop.record().parked == {}

    def test_parked_step_runs_when_it_comes_again(self, shop: Shop) -> None:
        """A parked step that comes again runs, and the run goes on from there."""
        price = shop.agent(retry=Retry(attempts=1))
        [sent] = start(Flow("f", price >> after), ORDER)
        self.fail(shop, ValueError("no"))
        parked(shop.handle(price, sent))
        shop.answer = lambda order, context: Priced(order="o-1", cents=1)
        assert isinstance(shop.handle(price, sent.replayed(1)), Done)
        assert shop.record().status == "running"
        assert [each.agent for each in shop.publisher.messages] == ["test.after"]

    def test_error_texts_are_printable(self, shop: Shop) -> None:
        """An error's text is bounded, escaped, and shows no card number."""
        price = shop.agent(retry=Retry(attempts=1))
        self.fail(shop, ValueError("\x1b[31m card 4111 1111 1111 1111 123\n" + "x" * 5000))
        failure = parked(shop.handle(price, *start(Flow("f", price), ORDER)))
        assert "4111" not in failure.text
        assert failure.text.isprintable()
        assert len(failure.text) <= 500

    def test_raising_validator_is_invalid_input(self, shop: Shop) -> None:
        """A contract whose own validator fails in an unexpected way refuses the input, no more."""

        class Fussy(Contract, name="test.fussy", version=1):
            text: str

            @field_validator("text")
            @classmethod
            def _check(cls, text: str) -> str:
                return {"good": text}[text]

        fuss = shop.agent(Fussy)
        [sent] = start(Flow("f", fuss), Fussy(text="good"))
        failure = parked(shop.handle(fuss, altered(sent, data={"text": "bad"})))
        assert (failure.kind, "KeyError" in failure.text) == ("invalid-input", True)

    @pytest.mark.parametrize("known", [False, True], ids=["new outcome", "known outcome"])
    def test_a_way_on_that_cannot_be_read_parks(self, shop: Shop, known: bool) -> None:
        """Where the rest of the flow cannot be followed with an outcome, the step is parked, also where its key had the outcome:
        that is not taken for one of a newer build, and no error leaves the handoff."""
        price = shop.agent()
        if known:
            shop.handle(price, *start(Flow("f", price), ORDER, "run-0"))
        [sent] = start(Flow("f", price >> after), ORDER)
        malformed = signature(CHOICE, {"flow": "f", "step": "2", "cases": 7, "otherwise": None})
        failure = parked(shop.handle(price, replace(deliver(sent), chain=[malformed])))
        assert (failure.kind, failure.error) == ("invalid-output", "InvalidData")
        assert shop.record().settled == ()


class TestOnce:
    def test_redelivery_sends_the_same(self, shop: Shop) -> None:
        """A message that comes again after its step was settled sends what follows again, under the same id."""
        price = shop.agent()
        [sent] = start(Flow("f", price >> after), ORDER)
        assert shop.handle(price, sent) == Done("settled test.priced/2 run=run-1 step=1")
        assert shop.handle(price, sent) == Done("again test.priced/2 run=run-1 step=1")
        first, second = shop.publisher.messages
        assert first.id == second.id
        assert json.loads(deliver(first).envelope)["data"] == json.loads(deliver(second).envelope)["data"]
        assert len(shop.contexts) == 1
        assert shop.told() == ["settled"]

    def test_crash_before_publishing_is_healed(self, shop: Shop) -> None:
        """A crash between settling and passing on loses nothing: the redelivery passes on, and the agent is not run again."""
        price = shop.agent()
        [sent] = start(Flow("f", price >> after), ORDER)
        shop.publisher.before = _broken
        with pytest.raises(ServerError):
            shop.handle(price, sent)
        shop.publisher.before = lambda: None
        assert isinstance(shop.handle(price, sent), Done)
        assert [each.id for each in shop.publisher.messages] == [message_id("run-1", "2")]
        assert len(shop.contexts) == 1

    def test_outcome_that_was_passed_on_is_let_go(self, shop: Shop) -> None:
        """Once what follows is published, the run has no copy of what its key has: with the next message. The message that
        comes again still sends what follows, as long as the key is known."""
        shop.store.handoffs.worth_letting_go = 0
        price = shop.agent()
        flow = Flow("f", price >> after)
        [sent], [other] = start(flow, ORDER), start(flow, ORDER, "run-2")
        shop.handle(price, sent)
        assert shop.outcome("run-1")
        shop.handle(price, other)
        assert (shop.outcome("run-1"), bool(shop.outcome("run-2"))) == ("", True)
        assert shop.handle(price, sent) == Done("again test.priced/2 run=run-1 step=1")
        assert shop.outcome("run-2") == ""  # which found it under the key, as the first one left it
        shop.redis.delete(shop.store.keys.outcome("test.price", "o-1"))
        assert shop.handle(price, sent) == Done("settled run=run-1 step=1")
        assert [deliver(each).run for each in shop.publisher.messages] == ["run-1", "run-2", "run-1"]
        assert len(shop.contexts) == 1

    def test_outcome_that_is_needed_is_not_let_go(self, shop: Shop) -> None:
        """Before what follows is published, and where something undoes the step, its outcome stays in the run."""
        shop.store.handoffs.worth_letting_go = 0
        price = shop.agent()
        undone = shop.agent(Priced, Priced, name="test.undo")
        shop.publisher.before = _broken
        [sent] = start(Flow("f", price >> after), ORDER)
        with pytest.raises(ServerError):
            shop.handle(price, sent)
        shop.publisher.before = lambda: None
        other = Order(order="o-2", pin=SECRET)  # type: ignore[arg-type]
        [undoable] = start(Flow("g", compensate(price, by=undone) >> after), other, "run-2")
        shop.handle(price, undoable)
        shop.handle(price, *start(Flow("f", price >> after), ORDER, "run-3"))
        assert shop.outcome("run-1")
        assert shop.outcome("run-2")
        status, undo = shop.runs.cancel("run-2", {}, compensate=True)
        assert undo is not None
        assert (status, undo.record.parsed()) == ("compensating", {"order": "o-2", "cents": 100})

    @pytest.mark.parametrize("cancelled", [False, True])
    def test_known_by_its_key_and_undone(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, cancelled: bool
    ) -> None:
        """A process that died after its outcome was known by its key, and before its run knew it, leaves a step that is undone like
        any other: by the redelivery, also where the run was cancelled before that."""
        first, price = shop.agent(Order, Order, name="test.first"), shop.agent()
        undo = (shop.agent(Order, Order, name="test.unfirst"), shop.agent(Priced, Priced, name="test.undo"))
        [sent] = start(
            Flow("f", compensate(first, by=undo[0]) >> compensate(price, by=undo[1]) >> after), ORDER
        )
        shop.answer = lambda payload, context: (
            ORDER if context.agent == first.name else Priced(order="o-1", cents=1)
        )
        shop.handle(first, sent)
        [second] = shop.publisher.messages
        whole = scripts.run

        def half(redis: Any, *calls: Any) -> list[Any]:
            if calls[0].script != "settle_outcome":
                return whole(redis, *calls)
            monkeypatch.undo()
            whole(redis, calls[0])
            raise ServerError("the node of the run went away")

        monkeypatch.setattr(scripts, "run", half)
        with pytest.raises(ServerError):
            shop.handle(price, second)
        if cancelled:
            shop.runs.cancel("run-1", {}, compensate=True)
        assert isinstance(shop.handle(price, second), Done)
        assert len(shop.contexts) == 2
        _, next_one = shop.runs.cancel("run-1", {}, compensate=True)
        assert next_one is not None
        assert next_one.undo.step == ("1" if cancelled else "2")
        sent_to = [message.headers["handoff_step"] for message in shop.publisher.messages]
        assert ("2.undo" in sent_to) == cancelled

    def test_crash_between_branches_is_healed(self, shop: Shop) -> None:
        """The last branch of a join that crashed before passing on passes the whole join on when it comes again."""
        one, two = shop.agent(name="test.one"), shop.agent(name="test.two")
        join = shop.agent(Both, Priced, name="test.join")
        first, second = start(Flow("f", parallel(one=one, two=two) >> join), ORDER)
        shop.handle(one, first)
        shop.publisher.before = _broken
        with pytest.raises(ServerError):
            shop.handle(two, second)
        shop.publisher.before = lambda: None
        shop.handle(two, second)
        shop.handle(one, first)
        assert {each.id for each in shop.publisher.messages} == {message_id("run-1", "2")}
        assert len(shop.contexts) == 2

    def test_same_key_in_another_run(self, shop: Shop) -> None:
        """Another run with the same key takes over the outcome, and goes on with it."""
        price = shop.agent()
        flow = Flow("f", price >> after)
        for run in ("run-1", "run-2"):
            shop.handle(price, *start(flow, ORDER, run))
        assert len(shop.contexts) == 1
        assert shop.told() == ["settled", "deduplicated"]
        assert [deliver(each).run for each in shop.publisher.messages] == ["run-1", "run-2"]

    def test_same_key_with_other_content(self, shop: Shop) -> None:
        """The same key with another content is a conflict: parked, no second effect."""
        price = shop.agent()
        flow = Flow("f", price)
        shop.handle(price, *start(flow, ORDER))
        [sent] = start(flow, Order(order="o-1", pin="9", count=2), "run-2")  # type: ignore[arg-type]
        assert parked(shop.handle(price, sent)).kind == "conflict"
        assert len(shop.contexts) == 1

    def test_busy_comes_later(self, shop: Shop) -> None:
        """While another worker has the step, its message comes back ever later, in the same attempt, until the lease ends."""
        price = shop.agent()
        [sent] = start(Flow("f", price), ORDER)
        shop.claim(price, StepRef("run-1", "f", "1"), content=_content(sent))
        waits = []
        for _ in range(12):
            outcome = shop.handle(price, sent)
            assert isinstance(outcome, Postpone)
            assert (deliver(outcome.message).attempt, outcome.error) == (1, None)
            waits.append(outcome.wait)
            sent = outcome.message
        assert waits[:3] == [
            timedelta(milliseconds=50),
            timedelta(milliseconds=100),
            timedelta(milliseconds=200),
        ]
        assert timedelta(seconds=10) < waits[-1] <= timedelta(seconds=15)
        assert shop.told() == []

    def test_late_outcome_counts_for_nothing(self, shop: Shop) -> None:
        """A worker that wakes up after another has settled its step is late: its outcome is told and goes no further."""
        price = shop.agent()
        [sent] = start(Flow("f", price >> after), ORDER)

        def frozen(order: Order, context: Context) -> Priced:
            shop.redis.hset(shop.store.keys.outcome(price.name, "o-1"), "until", 0)
            shop.answer = lambda order, context: Priced(order="o-1", cents=2)
            assert isinstance(shop.handle(price, sent), Done)
            return Priced(order="o-1", cents=1)

        shop.answer = frozen
        assert shop.handle(price, sent) == Done("late test.priced/2 run=run-1 step=1")
        [following] = shop.publisher.messages
        assert Envelope.decode(deliver(following).envelope).data["cents"] == 2
        assert shop.told() == ["settled", "late"]

    def test_shut_out_by_another_run(self, shop: Shop) -> None:
        """A worker whose key another run took over comes back, and its run goes on with the other's outcome."""
        price = shop.agent()
        flow = Flow("f", price >> after)
        [sent], [other] = start(flow, ORDER), start(flow, ORDER, "run-2")

        def frozen(order: Order, context: Context) -> Priced:
            shop.redis.hset(shop.store.keys.outcome(price.name, "o-1"), "until", 0)
            shop.answer = lambda order, context: Priced(order="o-1", cents=2)
            shop.handle(price, other)
            return Priced(order="o-1", cents=1)

        shop.answer = frozen
        outcome = shop.handle(price, sent)
        assert isinstance(outcome, Postpone)
        assert isinstance(shop.handle(price, outcome.message), Done)
        data = {
            deliver(each).run: Envelope.decode(deliver(each).envelope).data["cents"]
            for each in shop.publisher.messages
        }
        assert data == {"run-1": 2, "run-2": 2}
        assert shop.told() == ["settled", "late", "deduplicated"]

    def test_poison_is_parked(self, shop: Shop) -> None:
        """A step that has lost its worker too often is parked, until it is replayed."""
        price = shop.agent()
        [sent] = start(Flow("f", price), ORDER)
        for _ in range(3):
            shop.claim(price, StepRef("run-1", "f", "1"), content=_content(sent))
            shop.redis.hset(shop.store.keys.outcome(price.name, "o-1"), "until", 0)
        assert parked(shop.handle(price, sent)).kind == "poison"
        assert shop.contexts == []
        assert isinstance(shop.handle(price, sent.replayed(1)), Done)

    def test_cancelled_run_does_nothing(self, shop: Shop) -> None:
        """A step of a cancelled run is not begun; one that was running is recorded, and nothing follows."""
        price = shop.agent()
        [sent] = start(Flow("f", price >> after), ORDER)

        def cancelling(order: Order, context: Context) -> Priced:
            shop.runs.cancel("run-1", {"kind": "cancelled"})
            return Priced(order="o-1", cents=1)

        shop.answer = cancelling
        assert shop.handle(price, sent) == Done("cancelled test.priced/2 run=run-1 step=1")
        assert shop.handle(price, sent) == Done("cancelled run=run-1 step=1")
        assert shop.publisher.messages == []
        assert shop.told() == ["cancelled", "settled"]

    def test_nothing_is_parked_after_the_end(self, shop: Shop) -> None:
        """A message that fails when its run has ended is dropped."""
        price = shop.agent()
        [sent] = start(Flow("f", price), ORDER)
        shop.handle(price, sent)
        assert shop.handle(price, altered(sent, data={})) == Done("completed run=run-1 step=1")

    def test_child_gives_its_lease_back(self, shop: Shop) -> None:
        """A parent process gives back the lease of a child that died; the next delivery runs at once."""
        price = shop.agent()
        [sent] = start(Flow("f", price), ORDER)
        delivery = deliver(sent)
        shop.store.claim(
            StepRef("run-1", "f", "1"),
            agent=price.name,
            key="o-1",
            content=_content(sent),
            owner=delivery.owner,
            replays=0,
        )
        assert isinstance(shop.handle(price, sent), Postpone)
        Driver(shop.redis, shop.publisher).perform(shop.handoff(price).parking.release(delivery))
        assert isinstance(shop.handle(price, sent), Done)


def _refused() -> None:
    raise Refused("the message is larger than the broker takes")


def _broken() -> None:
    raise ServerError("the broker is gone")


def _content(sent: Message) -> str:
    """What tells the content of a message apart from another's."""

    return hashlib.sha256(
        strictjson.canonical(json.loads(deliver(sent).envelope)["data"]).encode()
    ).hexdigest()
