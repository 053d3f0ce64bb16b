"""Messages as a worker gets them, and a broker's twin that keeps what is published."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Self

from fakeredis import FakeServer, FakeStrictRedis

from handoffs.config.intake import Intake
from handoffs.contracts.contract import Contract
from handoffs.contracts.strictjson import Limits
from handoffs.contracts.versions import Versions
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.delivery import Delivery, delivery_of
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.messaging.wire import read_body
from handoffs.coordinator.payloads.payloads import Payloads
from handoffs.coordinator.runs.first_messages import Starter
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.store import Store
from tests.store_suite import make_settings


class RecordingPublisher:
    """Keeps what is published, and calls ``before`` each time, which may raise."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.messages: list[Message] = []
        self.declared: set[str] = set()
        self.before = before
        self.payloads = Payloads()

    def publish(
        self, messages: Iterable[Message], *, delay: timedelta | None = None, exact: bool = False
    ) -> None:
        self.before()
        self.messages.extend(messages)

    def overlaps(self, messages: Iterable[Message]) -> bool:
        return True

    def subscribe(self, agent: str, intake: Intake) -> None:
        """Nobody hears events here."""

    def impatient(self) -> Self:
        return self

    def know(self, agent: str, patterns: Iterable[str]) -> None:
        """Nobody hears events here."""

    def has_waiting(self, agents: Iterable[str]) -> bool:
        """Nothing waits here."""
        return False

    def probe(self, within: float) -> None:
        """It takes everything."""

    def close(self) -> None:
        """There are no connections."""

    def declare(self, agents: Iterable[str], *, again: bool = False) -> None:
        self.declared.update(agents)


def start(
    flow: Flow, payload: Contract, run: str = "run-1", deadline: timedelta | None = None
) -> list[Message]:
    """The messages that start a run."""
    expiry = datetime.now(UTC) + deadline if deadline else None
    with FakeStrictRedis(
        server=FakeServer(server_type="redis", version=(7,)), decode_responses=True
    ) as redis:
        settings = make_settings(shards=1)
        store = Store(redis, settings)
        starter = Starter(
            Router(store, Negotiator(Announcements(redis, settings), Versions()), Room.of(settings))
        )
        return list(starter.first(flow, payload, run, expiry).messages)


def deliver(sent: Message, worker: str = "w@1") -> Delivery:
    """A message as a worker gets it."""
    envelope, kwargs, continuation = read_body(sent.body, "application/json", Limits())
    return delivery_of({**sent.headers, **continuation, "hostname": worker}, envelope, kwargs)


def given_up(message: Message, queue: str) -> RawLetter:
    """A message as the broker dead-letters it when it has delivered it too often."""
    death = [{"reason": "delivery_limit", "queue": queue}]
    return RawLetter({**message.headers, "x-death": death}, message.body.encode(), "application/json")
