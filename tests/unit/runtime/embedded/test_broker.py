"""The in-memory broker behaves like RabbitMQ."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import kombu
import pytest
from amqp.exceptions import NotAllowed, NotFound, PreconditionFailed, RecoverableConnectionError

from handoffs.coordinator.runtime.embedded.broker import QueueDepth, Transport, forget, queue_depths
from tests.waiting import wait_until

Connect = Callable[..., kombu.Connection]

_PROMPT = 0.5  # seconds within which something that waits has to notice, far below any polling interval
_LONG = 20.0  # seconds that nothing here takes, unless it fails


@pytest.fixture
def connect(namespace: str) -> Iterator[Connect]:
    """Open connections to this test's broker, or to another one; all are closed after the test."""
    names = {namespace}
    with contextlib.ExitStack() as stack:

        def open_connection(name: str = namespace, **options: Any) -> kombu.Connection:
            names.add(name)
            connection = kombu.Connection(f"memory://{name}", transport=Transport, transport_options=options)
            stack.enter_context(connection)
            return connection

        yield open_connection
    for name in names:
        forget(name)


@pytest.fixture
def channel(connect: Connect) -> Any:
    """A channel of a connection to this test's broker."""
    return connect().channel()


class Inbox:
    """A consumer of one queue that keeps what it gets."""

    def __init__(
        self, connection: kombu.Connection, queue: str, *, prefetch: int = 0, no_ack: bool = False
    ) -> None:
        self.connection = connection
        self.channel: Any = connection.channel()
        self.channel.basic_qos(0, prefetch, False)
        self.messages: list[Any] = []
        self.tag = self.channel.basic_consume(queue, no_ack, self.messages.append, uuid4().hex)

    def next(self, timeout: float = _LONG) -> Any:
        """Wait for the next message."""
        before = len(self.messages)
        self.connection.drain_events(timeout=timeout)
        assert len(self.messages) == before + 1
        return self.messages[-1]

    def drain(self) -> list[str]:
        """The bodies of all messages so far, including those that are waiting."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.connection.drain_events(timeout=0)
        return [body(message) for message in self.messages]


def publish(
    channel: Any, key: str, text: str = "", *, exchange: str = "", headers: Any = None, **properties: Any
) -> None:
    """Publish a text."""
    message = channel.prepare_message(text, headers=headers, properties=properties)
    channel.basic_publish(message, exchange, key)


def body(message: Any) -> str:
    """A message's text."""
    return str(message.body.decode())


def get(channel: Any, queue: str) -> Any:
    """Wait until a queue has a message, and take it."""
    return wait_until(lambda: channel.basic_get(queue), description=f"{queue} has a message", interval=0.002)


def texts(channel: Any, queue: str) -> list[str]:
    """Take all ready messages of a queue, and return their texts."""
    found = []
    while (message := channel.basic_get(queue, no_ack=True)) is not None:
        found.append(body(message))
    return found


def declare_dead_letters(channel: Any, name: str = "dlx", queue: str = "dead") -> None:
    """Declare a fanout exchange for dead letters with one queue."""
    channel.exchange_declare(name, "fanout")
    channel.queue_declare(queue)
    channel.queue_bind(queue, name)


def named_threads(name: str) -> list[str]:
    """The names of the live threads that contain a name."""
    return [thread.name for thread in threading.enumerate() if name in thread.name]


# -- names


def test_brokers_of_different_names_are_separate(connect: Connect, namespace: str) -> None:
    """Two brokers in a process share no exchange, queue or message."""
    one, other = connect().channel(), connect(f"{namespace}-other").channel()
    for channel in (one, other):
        channel.queue_declare("q")
    one.exchange_declare("x", "direct")
    publish(one, "q", "hello")
    assert texts(other, "q") == []
    assert texts(one, "q") == ["hello"]
    with pytest.raises(NotFound):
        other.exchange_declare("x", passive=True)


def test_connections_of_one_name_share_a_broker(connect: Connect) -> None:
    """What one connection publishes, another one of the same broker gets."""
    one, other = connect().channel(), connect().channel()
    one.queue_declare("q")
    publish(one, "q", "hello")
    assert texts(other, "q") == ["hello"]


def test_virtual_host_names_the_broker(connect: Connect, namespace: str) -> None:
    """The broker is named by the virtual host if there is one, and case does not matter."""
    connect().channel().queue_declare("q")
    url = f"memory://somewhere/{namespace.upper()}"
    with kombu.Connection(url, transport=Transport) as connection:
        assert connection.channel().queue_declare("q", passive=True).queue == "q"


def test_forget_drops_everything(connect: Connect, namespace: str) -> None:
    """A broker that was dropped is replaced by an empty one for connections made later."""
    old = connect().channel()
    old.queue_declare("q")
    forget(namespace.upper())
    assert queue_depths(namespace) == {}
    with pytest.raises(NotFound):
        connect().channel().queue_declare("q", passive=True)
    with pytest.raises(RecoverableConnectionError):
        publish(old, "q")


def test_forget_ends_waiting(connect: Connect, namespace: str) -> None:
    """Dropping a broker fails the connections that wait for its messages at once."""
    connection = connect()
    connection.connect()
    timer = threading.Timer(0.05, forget, [namespace])
    timer.start()
    start = time.monotonic()
    with pytest.raises(RecoverableConnectionError):
        connection.drain_events(timeout=_LONG)
    assert time.monotonic() - start < _PROMPT + 0.05
    assert not connection.connected
    timer.join()


def test_forget_stops_the_timer_thread(channel: Any, namespace: str) -> None:
    """A broker has at most one thread, which is a daemon and ends when the broker is dropped."""
    assert named_threads(namespace) == []
    for number in range(20):
        channel.queue_declare(f"q{number}", arguments={"x-message-ttl": 60_000})
        publish(channel, f"q{number}")
    assert named_threads(namespace) == [f"embedded-broker-{namespace}"]
    assert all(thread.daemon for thread in threading.enumerate() if namespace in thread.name)
    forget(namespace)
    assert named_threads(namespace) == []
    forget(namespace)


def test_producer_reconnects_after_forget(connect: Connect, namespace: str) -> None:
    """A producer that retries finds the new broker after its own was dropped."""
    connection = connect()
    queue = kombu.Queue("q")
    producer = connection.Producer()
    producer.publish({}, routing_key="q", declare=[queue])
    forget(namespace)
    producer.publish({}, routing_key="q", declare=[queue], retry=True, retry_policy={"max_retries": 1})
    assert queue_depths(namespace)["q"].ready == 1


# -- routing


@pytest.mark.parametrize(
    ("kind", "binding", "key", "routed"),
    [
        ("direct", "a.b", "a.b", True),
        ("direct", "a.*", "a.b", False),
        ("fanout", "a", "b", True),
        ("topic", "a.b", "a.b", True),
        ("topic", "a.*", "a.b", True),
        ("topic", "a.*", "a", False),
        ("topic", "a.*", "a.b.c", False),
        ("topic", "a.#", "a", True),
        ("topic", "a.#", "a.b.c", True),
        ("topic", "#", "", True),
        ("topic", "#.c", "a.b.c", True),
        ("topic", "#.c", "a.b", False),
        ("topic", "*.b.#", "a.b", True),
        ("topic", "a.#.z", "a.z", True),
        ("topic", "a+", "aa", False),
    ],
)
def test_exchange_routes(channel: Any, kind: str, binding: str, key: str, routed: bool) -> None:
    """Direct, fanout and topic exchanges route by key as AMQP defines."""
    channel.exchange_declare("x", kind, durable=True)
    channel.queue_declare("q", durable=True)
    channel.queue_bind("q", "x", binding)
    publish(channel, key, "hello", exchange="x")
    assert texts(channel, "q") == (["hello"] if routed else [])


def test_message_goes_to_each_queue_once(channel: Any) -> None:
    """A message that matches several bindings of several queues reaches each queue once."""
    channel.exchange_declare("x", "topic")
    for name in ("q", "r"):
        channel.queue_declare(name)
        channel.queue_bind(name, "x", "a.*")
        channel.queue_bind(name, "x", "*.b")
    publish(channel, "a.b", "hello", exchange="x")
    assert texts(channel, "q") == texts(channel, "r") == ["hello"]


def test_unbound_queue_gets_nothing(channel: Any) -> None:
    """A binding that was undone, or whose queue was deleted, routes no more."""
    channel.exchange_declare("x", "direct")
    for name in ("q", "r"):
        channel.queue_declare(name)
        channel.queue_bind(name, "x", "k")
    publish(channel, "k", "one", exchange="x")
    channel.queue_unbind("q", "x", "k")
    assert channel.queue_delete("r") == 1
    publish(channel, "k", "two", exchange="x")
    assert texts(channel, "q") == ["one"]
    assert list(channel.list_bindings()) == []


def test_alternate_exchange_takes_the_unroutable(channel: Any) -> None:
    """A message that an exchange cannot route goes to its alternate exchange, and to that one's."""
    channel.exchange_declare("first", "direct", arguments={"alternate-exchange": "second"})
    channel.exchange_declare("second", "direct", arguments={"alternate-exchange": "third"})
    channel.exchange_declare("third", "fanout")
    for name, exchange in (("q", "first"), ("r", "third")):
        channel.queue_declare(name)
        channel.queue_bind(name, exchange, "k")
    publish(channel, "k", "routable", exchange="first")
    publish(channel, "other", "unroutable", exchange="first")
    assert texts(channel, "q") == ["routable"]
    message = channel.basic_get("r", no_ack=True)
    assert (body(message), message.delivery_info["exchange"]) == ("unroutable", "first")


def test_unroutable_is_dropped(channel: Any) -> None:
    """A message without a route is dropped in silence, also where alternate exchanges lead in a circle."""
    channel.exchange_declare("one", "direct", arguments={"alternate-exchange": "two"})
    channel.exchange_declare("two", "direct", arguments={"alternate-exchange": "one"})
    channel.exchange_declare("lost", "direct", arguments={"alternate-exchange": "nowhere"})
    for exchange in ("", "one", "lost"):
        message = channel.prepare_message("hello")
        channel.basic_publish(message, exchange, "k", mandatory=True)


def test_undeclared_is_refused(channel: Any) -> None:
    """Exchanges and queues have to be declared before they are used."""
    channel.queue_declare("q")
    for use in (
        lambda: publish(channel, "k", exchange="nowhere"),
        lambda: channel.queue_bind("q", "nowhere", "k"),
        lambda: channel.queue_bind("nowhere", "amq.direct", "k"),
        lambda: channel.basic_consume("nowhere", False, print, "tag"),
        lambda: channel.basic_get("nowhere"),
        lambda: channel.queue_purge("nowhere"),
        lambda: channel.queue_declare("nowhere", passive=True),
        lambda: channel.exchange_declare("nowhere", passive=True),
    ):
        with pytest.raises(NotFound, match="nowhere"):
            use()


def test_inequivalent_declaration_is_refused(channel: Any) -> None:
    """Declaring something again works with equal arguments only."""
    channel.exchange_declare("x", "direct")
    channel.exchange_declare("x", "direct", durable=True)
    channel.queue_declare("q", arguments={"x-message-ttl": 1000})
    channel.queue_declare("q", arguments={"x-message-ttl": 1000}, durable=True)
    with pytest.raises(PreconditionFailed, match="inequivalent"):
        channel.exchange_declare("x", "topic")
    with pytest.raises(PreconditionFailed, match="inequivalent"):
        channel.queue_declare("q", arguments={"x-message-ttl": 2000})


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-message-ttl": -1},
        {"x-message-ttl": "1"},
        {"x-delivery-limit": -2},
        {"x-dead-letter-routing-key": "k"},
    ],
)
def test_senseless_queue_arguments_are_refused(channel: Any, arguments: dict[str, Any]) -> None:
    """Queue arguments that RabbitMQ refuses are refused."""
    with pytest.raises(PreconditionFailed):
        channel.queue_declare("q", arguments=arguments)


def test_unknown_exchange_type_is_refused(channel: Any) -> None:
    """An exchange of a type that is not implemented cannot be declared."""
    with pytest.raises(PreconditionFailed, match="headers"):
        channel.exchange_declare("x", "headers")


# -- queues


def test_auto_delete_queue_goes_with_its_last_consumer(connect: Connect, namespace: str) -> None:
    """An auto-delete queue is removed when its last consumer is cancelled or closed, and not before."""
    connection = connect()
    connection.channel().queue_declare("q", auto_delete=True)
    first, second = Inbox(connection, "q"), Inbox(connection, "q")
    first.channel.basic_cancel(first.tag)
    assert "q" in queue_depths(namespace)
    second.channel.close()
    assert "q" not in queue_depths(namespace)


def test_exclusive_queue_goes_with_its_connection(connect: Connect, namespace: str) -> None:
    """An exclusive queue is removed when the connection that declared it closes."""
    with kombu.Connection(f"memory://{namespace}", transport=Transport) as connection:
        connection.channel().queue_declare("q", exclusive=True)
        assert "q" in queue_depths(namespace)
    assert "q" not in queue_depths(namespace)


def test_purge_and_delete_count_messages(channel: Any) -> None:
    """Purging and deleting a queue drop its ready messages and tell how many they were."""
    channel.queue_declare("q")
    for _ in range(3):
        publish(channel, "q")
    assert channel.queue_declare("q", passive=True).message_count == 3
    assert channel.queue_purge("q") == 3
    publish(channel, "q")
    with pytest.raises(PreconditionFailed):
        channel.queue_delete("q", if_empty=True)
    assert channel.queue_delete("q") == 1
    assert channel.queue_delete("q") == 0


def test_message_of_deleted_queue_may_be_settled(channel: Any) -> None:
    """A message of a queue that is gone can be acknowledged, requeued or rejected, all to no effect."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "dlx"})
    for _ in range(3):
        publish(channel, "q")
    first, second, third = (channel.basic_get("q") for _ in range(3))
    channel.queue_delete("q")
    first.ack()
    second.requeue()
    third.reject()
    channel.queue_declare("q")
    assert texts(channel, "q") == texts(channel, "dead") == []


def test_queue_settings_of_kombu_apply(channel: Any) -> None:
    """kombu's own queue settings, which are in seconds, become RabbitMQ's arguments."""
    declare_dead_letters(channel)
    queue = kombu.Queue("q", message_ttl=0.02, queue_arguments={"x-dead-letter-exchange": "dlx"})
    queue(channel).declare()
    publish(channel, "q", "hello")
    assert body(get(channel, "dead")) == "hello"


# -- deliveries


def test_message_arrives_as_published(channel: Any) -> None:
    """A consumer gets body, headers and properties as they were when the message was published."""
    channel.queue_declare("q")
    headers: dict[str, Any] = {"nested": {"list": [1]}, "none": None}
    publish(channel, "q", "grüße", headers=headers, correlation_id="c", reply_to="r")
    headers["nested"]["list"].append(2)
    first = channel.basic_get("q")
    first.headers["nested"]["list"].append(3)
    first.requeue()
    message = channel.basic_get("q")
    assert body(message) == "grüße"
    assert message.headers == {"nested": {"list": [1]}, "none": None}
    assert (message.properties["correlation_id"], message.properties["reply_to"]) == ("c", "r")


def test_confirm_publish_is_accepted(connect: Connect) -> None:
    """The option for publisher confirms is accepted: a published message is in its queue anyway."""
    connection = connect(confirm_publish=True)
    channel = connection.channel()
    channel.queue_declare("q")
    connection.Producer(channel).publish({"a": 1}, routing_key="q", confirm_timeout=1, timeout=1)
    assert channel.basic_get("q").payload == {"a": 1}


def test_acknowledged_message_is_gone(connect: Connect, namespace: str) -> None:
    """An acknowledged message is not requeued when its channel closes."""
    channel = connect().channel()
    channel.queue_declare("q")
    publish(channel, "q")
    channel.basic_get("q").ack()
    channel.close()
    assert queue_depths(namespace)["q"] == QueueDepth(0, 0, 0)


def test_acknowledging_several(channel: Any, namespace: str) -> None:
    """An acknowledgement may cover all earlier messages of its channel."""
    channel.queue_declare("q")
    for _ in range(4):
        publish(channel, "q")
    _, _, third, _ = (channel.basic_get("q") for _ in range(4))
    third.ack(multiple=True)
    assert queue_depths(namespace)["q"].unacked == 1
    channel.basic_ack(0, multiple=True)
    assert queue_depths(namespace)["q"].unacked == 0


def test_settling_twice_is_refused(channel: Any) -> None:
    """A channel cannot settle a message that it does not hold."""
    channel.queue_declare("q")
    publish(channel, "q")
    tag = channel.basic_get("q").delivery_tag
    channel.basic_ack(tag)
    for settle in (channel.basic_ack, channel.basic_reject):
        with pytest.raises(PreconditionFailed, match="unknown delivery tag"):
            settle(tag)


def test_no_ack_consumer_acknowledges_on_delivery(connect: Connect, namespace: str) -> None:
    """A consumer without acknowledgements holds nothing, is not limited, and may acknowledge to no effect."""
    connection = connect()
    publisher = connection.channel()
    publisher.queue_declare("q")
    inbox = Inbox(connection, "q", prefetch=1, no_ack=True)
    for text in "abc":
        publish(publisher, "q", text)
    assert inbox.drain() == ["a", "b", "c"]
    assert queue_depths(namespace)["q"] == QueueDepth(0, 0, 1)
    inbox.messages[0].ack()


def test_consumer_tag_is_used_once(channel: Any) -> None:
    """A channel cannot have two consumers with one tag."""
    channel.queue_declare("q")
    channel.basic_consume("q", False, print, "tag")
    with pytest.raises(NotAllowed):
        channel.basic_consume("q", False, print, "tag")


# -- redelivery


def test_requeued_message_returns_to_its_place(channel: Any) -> None:
    """A requeued message comes before later ones, whatever the order in which they are requeued."""
    channel.queue_declare("q")
    for text in "abcd":
        publish(channel, "q", text)
    a, b, c = (channel.basic_get("q") for _ in range(3))
    for message in (b, a, c):
        message.requeue()
    assert texts(channel, "q") == ["a", "b", "c", "d"]


def test_redelivered_message_is_marked(channel: Any) -> None:
    """A message is marked as redelivered from its second delivery on."""
    channel.queue_declare("q")
    publish(channel, "q")
    first = channel.basic_get("q")
    assert first.delivery_info["redelivered"] is False
    first.requeue()
    second = channel.basic_get("q")
    assert second.delivery_info["redelivered"] is True
    assert "x-delivery-count" not in second.headers


@pytest.mark.parametrize("close", ["channel", "connection"])
def test_unacknowledged_message_is_requeued_on_close(connect: Connect, channel: Any, close: str) -> None:
    """What a channel or connection holds returns to the front, in order, when it closes."""
    channel.queue_declare("q")
    for text in "abc":
        publish(channel, "q", text)
    inbox = Inbox(connect(), "q", prefetch=2)
    inbox.next()
    inbox.next()
    if close == "channel":
        inbox.channel.close()
    else:
        inbox.connection.close()
    messages = [channel.basic_get("q") for _ in range(3)]
    assert [body(message) for message in messages] == ["a", "b", "c"]
    assert [message.delivery_info["redelivered"] for message in messages] == [True, True, False]


def test_settling_on_closed_channel_fails(connect: Connect, channel: Any) -> None:
    """A message that was requeued because its channel closed can no longer be acknowledged there."""
    channel.queue_declare("q")
    publish(channel, "q", "hello")
    other = connect().channel()
    message = other.basic_get("q")
    other.close()
    with pytest.raises(RecoverableConnectionError):
        message.ack()
    assert texts(channel, "q") == ["hello"]


def test_closed_consumer_hands_over_to_another(connect: Connect, channel: Any) -> None:
    """What a closing connection holds goes to another consumer at once."""
    channel.queue_declare("q")
    publish(channel, "q", "hello")
    first = Inbox(connect(), "q")
    second = Inbox(connect(), "q")
    first.next()
    first.connection.close()
    assert body(second.next(timeout=_PROMPT)) == "hello"


def test_untaken_message_returns_unmarked(connect: Connect, channel: Any) -> None:
    """A message that its consumer was never given returns as if it had not been delivered."""
    channel.queue_declare("q", arguments={"x-delivery-limit": 0})
    publish(channel, "q")
    cancelled, closed = Inbox(connect(), "q"), Inbox(connect(), "q")
    cancelled.channel.basic_cancel(cancelled.tag)
    closed.connection.close()
    message = channel.basic_get("q")
    assert message.delivery_info["redelivered"] is False
    assert "x-delivery-count" not in message.headers


def test_cancelled_consumer_keeps_what_it_holds(connect: Connect, namespace: str) -> None:
    """Cancelling a consumer ends its deliveries, and what it was given can still be acknowledged."""
    connection = connect()
    publisher = connection.channel()
    publisher.queue_declare("q")
    inbox = Inbox(connection, "q")
    publish(publisher, "q")
    message = inbox.next()
    inbox.channel.basic_cancel(inbox.tag)
    publish(publisher, "q")
    assert len(inbox.drain()) == 1
    assert queue_depths(namespace)["q"] == QueueDepth(1, 1, 0)
    message.ack()
    assert queue_depths(namespace)["q"] == QueueDepth(1, 0, 0)


def test_recover_requeues_all(channel: Any) -> None:
    """Recovering a channel requeues all that it holds."""
    channel.queue_declare("q")
    for text in "ab":
        publish(channel, "q", text)
        channel.basic_get("q")
    channel.basic_recover(requeue=True)
    assert texts(channel, "q") == ["a", "b"]
    with pytest.raises(NotImplementedError):
        channel.basic_recover()


# -- delivery limit


def test_delivery_limit_dead_letters(channel: Any) -> None:
    """A message returned more often than the delivery limit is dead-lettered for that reason."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-delivery-limit": 2, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "hello")
    counts = []
    while (message := channel.basic_get("q")) is not None:
        counts.append(message.headers.get("x-delivery-count"))
        message.requeue()
    assert counts == [None, 1, 2]
    dead = channel.basic_get("dead")
    assert dead.headers["x-death"][0]["reason"] == "delivery_limit"
    assert "x-delivery-count" not in dead.headers
    assert dead.delivery_info["redelivered"] is False


def test_lost_connections_count_towards_the_delivery_limit(connect: Connect, channel: Any) -> None:
    """A message whose consumers' connections close again and again is dead-lettered."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-delivery-limit": 1, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "poison")
    for _ in range(2):
        inbox = Inbox(connect(), "q")
        inbox.next()
        inbox.connection.close()
    assert texts(channel, "q") == []
    assert texts(channel, "dead") == ["poison"]


@pytest.mark.parametrize("arguments", [{}, {"x-delivery-limit": -1}])
def test_without_delivery_limit_a_message_returns_for_ever(channel: Any, arguments: dict[str, int]) -> None:
    """A queue without a delivery limit takes a message back however often it is returned."""
    channel.queue_declare("q", arguments=arguments)
    publish(channel, "q")
    for _ in range(50):
        channel.basic_get("q").requeue()
    assert channel.basic_get("q") is not None


# -- dead letters


def test_rejected_message_is_dead_lettered(channel: Any) -> None:
    """A rejected message is dead-lettered with the reason, and tells where it came from and when."""
    channel.exchange_declare("x", "direct")
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "dlx"})
    channel.queue_bind("q", "x", "k")
    publish(channel, "k", "hello", exchange="x", headers={"mine": 1})
    channel.basic_get("q").reject()
    dead = channel.basic_get("dead")
    (death,) = dead.headers["x-death"]
    assert abs(death.pop("time").timestamp() - time.mktime(time.gmtime())) < 5
    assert death == {"queue": "q", "reason": "rejected", "count": 1, "exchange": "x", "routing-keys": ["k"]}
    assert {name: value for name, value in dead.headers.items() if name != "x-death"} == {
        "mine": 1,
        "x-first-death-queue": "q",
        "x-first-death-reason": "rejected",
        "x-first-death-exchange": "x",
        "x-last-death-queue": "q",
        "x-last-death-reason": "rejected",
        "x-last-death-exchange": "x",
    }
    assert body(dead) == "hello"
    assert (dead.delivery_info["exchange"], dead.delivery_info["routing_key"]) == ("dlx", "k")


def test_dead_letter_routing_key(channel: Any) -> None:
    """A dead letter gets the routing key that its queue states, also for the default exchange."""
    channel.queue_declare("dead")
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    channel.queue_declare("q", arguments=arguments)
    publish(channel, "q", "hello")
    channel.basic_get("q").reject()
    message = channel.basic_get("dead")
    assert (body(message), message.delivery_info["routing_key"]) == ("hello", "dead")


@pytest.mark.parametrize("arguments", [{}, {"x-dead-letter-exchange": "nowhere"}])
def test_dead_letter_without_a_way_is_dropped(
    channel: Any, namespace: str, arguments: dict[str, str]
) -> None:
    """A rejected message without a dead-letter exchange, or with one that is not there, is dropped."""
    channel.queue_declare("q", arguments=arguments)
    publish(channel, "q")
    channel.basic_get("q").reject()
    assert queue_depths(namespace)["q"] == QueueDepth(0, 0, 0)


def test_deaths_are_counted(channel: Any) -> None:
    """Deaths are counted by queue and reason, the latest first; the first one stays on record."""
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "r"})
    channel.queue_declare("r", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q"})
    publish(channel, "q")
    for queue in ("q", "r", "q"):
        channel.basic_get(queue).reject()
    headers = channel.basic_get("r").headers
    assert [(death["queue"], death["count"]) for death in headers["x-death"]] == [("q", 2), ("r", 1)]
    assert (headers["x-first-death-queue"], headers["x-first-death-exchange"]) == ("q", "")
    assert headers["x-last-death-queue"] == "q"


def test_deaths_from_clients_do_not_count(channel: Any) -> None:
    """An x-death header that a client published is passed on, and replaced at the first real death."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "dlx"})
    claimed = [{"queue": "q", "reason": "rejected", "count": 7}]
    publish(channel, "q", headers={"x-death": claimed})
    message = channel.basic_get("q")
    assert message.headers["x-death"] == claimed
    message.reject()
    assert [death["count"] for death in channel.basic_get("dead").headers["x-death"]] == [1]


def test_dead_letter_goes_to_all_queues(channel: Any) -> None:
    """Dead letters go through the dead-letter exchange like other messages, its alternate included."""
    declare_dead_letters(channel)
    channel.queue_declare("also-dead")
    channel.queue_bind("also-dead", "dlx")
    channel.exchange_declare("narrow", "direct", arguments={"alternate-exchange": "dlx"})
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "narrow"})
    publish(channel, "q", "hello")
    channel.basic_get("q").reject()
    assert texts(channel, "dead") == texts(channel, "also-dead") == ["hello"]


# -- expiry


def test_message_expires_without_a_consumer(channel: Any) -> None:
    """A message that outlives its queue's time to live is dead-lettered, though nobody looks at the queue."""
    declare_dead_letters(channel)
    channel.queue_declare("delay", arguments={"x-message-ttl": 50, "x-dead-letter-exchange": "dlx"})
    start = time.monotonic()
    publish(channel, "delay", "hello")
    dead = get(channel, "dead")
    assert 0.05 <= time.monotonic() - start < 0.05 + _PROMPT
    assert dead.headers["x-death"][0]["reason"] == dead.headers["x-first-death-reason"] == "expired"


def test_expiry_wakes_a_waiting_consumer(connect: Connect, channel: Any) -> None:
    """A consumer that waits is woken at once when a message expires into its queue."""
    channel.queue_declare("work")
    arguments = {
        "x-message-ttl": 100,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "work",
    }
    channel.queue_declare("delay", arguments=arguments)
    inbox = Inbox(connect(), "work")
    start = time.monotonic()
    publish(channel, "delay", "hello")
    assert body(inbox.next()) == "hello"
    assert 0.1 <= time.monotonic() - start < 0.1 + _PROMPT


def test_shorter_delay_overtakes_longer(connect: Connect, channel: Any) -> None:
    """Queues with different times to live do not hold each other up, and each keeps its order."""
    channel.queue_declare("work")
    for milliseconds in (150, 30):
        arguments = {
            "x-message-ttl": milliseconds,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "work",
        }
        channel.queue_declare(f"delay{milliseconds}", arguments=arguments)
        for text in "ab":
            publish(channel, f"delay{milliseconds}", f"{text}{milliseconds}")
    inbox = Inbox(connect(), "work")
    assert [body(inbox.next()) for _ in range(4)] == ["a30", "b30", "a150", "b150"]


def test_held_message_does_not_expire(channel: Any) -> None:
    """A message that a consumer holds does not expire, but does as soon as it is requeued too late."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-message-ttl": 30, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "held")
    message = channel.basic_get("q")
    publish(channel, "q", "marker")
    assert body(get(channel, "dead")) == "marker"
    message.requeue()
    assert body(get(channel, "dead")) == "held"


def test_expired_message_is_not_delivered(connect: Connect, channel: Any) -> None:
    """A message that waits behind a full consumer expires, and is not delivered afterwards."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-message-ttl": 30, "x-dead-letter-exchange": "dlx"})
    inbox = Inbox(connect(), "q", prefetch=1)
    for text in ("held", "expiring"):
        publish(channel, "q", text)
    held = inbox.next()
    assert body(get(channel, "dead")) == "expiring"
    held.ack()
    assert inbox.drain() == ["held"]


def test_zero_time_to_live(connect: Connect, channel: Any) -> None:
    """With a time to live of 0, a message reaches a consumer that is there, or expires."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-message-ttl": 0, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "early")
    assert body(get(channel, "dead")) == "early"
    inbox = Inbox(connect(), "q")
    publish(channel, "q", "in time")
    assert body(inbox.next()) == "in time"


def test_own_expiration_counts(channel: Any) -> None:
    """A message's own expiration holds where it is shorter, is recorded, and ends with its death."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-message-ttl": 60_000, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", expiration="20")
    dead = get(channel, "dead")
    assert dead.headers["x-death"][0]["original-expiration"] == "20"
    assert "expiration" not in dead.properties


def test_own_expiration_waits_for_the_front(channel: Any) -> None:
    """A message with its own expiration stays behind an earlier one, and expires once that one is gone."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "first")
    publish(channel, "q", "second", expiration="10")
    channel.queue_declare("marker", arguments={"x-message-ttl": 40, "x-dead-letter-exchange": "dlx"})
    publish(channel, "marker", "marker")
    assert body(get(channel, "dead")) == "marker"
    assert body(channel.basic_get("q")) == "first"
    assert body(get(channel, "dead")) == "second"


def test_cycle_of_automatic_deaths_is_broken(channel: Any, namespace: str) -> None:
    """A message that would return to a queue where it expired before is dropped."""
    for name, target in (("a", "b"), ("b", "a")):
        arguments = {
            "x-message-ttl": 5,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": target,
        }
        channel.queue_declare(name, arguments=arguments)
    publish(channel, "a")
    wait_until(
        lambda: not any(depth.ready for depth in queue_depths(namespace).values()),
        description="the message is gone",
    )


def test_cycle_with_a_rejection_goes_on(connect: Connect, channel: Any) -> None:
    """A message that is rejected on the way may go round for ever: that is how delayed retries work."""
    channel.queue_declare(
        "work", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "wait"}
    )
    channel.queue_declare(
        "wait",
        arguments={"x-message-ttl": 5, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"},
    )
    inbox = Inbox(connect(), "work")
    publish(channel, "work")
    for _ in range(5):
        inbox.next().reject()
    deaths = inbox.next().headers["x-death"]
    assert [(death["queue"], death["reason"], death["count"]) for death in deaths] == [
        ("wait", "expired", 5),
        ("work", "rejected", 5),
    ]


def test_many_messages_expire(channel: Any, namespace: str) -> None:
    """Thousands of messages expire in order, all by one thread."""
    declare_dead_letters(channel)
    channel.queue_declare("delay", arguments={"x-message-ttl": 20, "x-dead-letter-exchange": "dlx"})
    for number in range(3000):
        publish(channel, "delay", str(number))
    assert len(named_threads(namespace)) == 1
    wait_until(lambda: queue_depths(namespace)["dead"].ready == 3000, description="all have expired")
    assert texts(channel, "dead") == [str(number) for number in range(3000)]


# -- waiting


def test_publishing_wakes_a_waiting_consumer(connect: Connect, channel: Any) -> None:
    """A consumer that waits gets a message from another thread at once."""
    channel.queue_declare("q")
    inbox = Inbox(connect(), "q")
    timer = threading.Timer(0.05, publish, [channel, "q", "hello"])
    timer.start()
    start = time.monotonic()
    assert body(inbox.next()) == "hello"
    assert time.monotonic() - start < 0.05 + _PROMPT
    timer.join()


def test_acknowledging_wakes_a_waiting_consumer(connect: Connect, channel: Any) -> None:
    """A consumer at its limit that waits gets the next message as soon as another thread acknowledges."""
    channel.queue_declare("q")
    for text in "ab":
        publish(channel, "q", text)
    inbox = Inbox(connect(), "q", prefetch=1)
    timer = threading.Timer(0.05, inbox.next().ack)
    timer.start()
    start = time.monotonic()
    assert body(inbox.next()) == "b"
    assert time.monotonic() - start < 0.05 + _PROMPT
    timer.join()


@pytest.mark.parametrize("timeout", [0, 0.03])
def test_waiting_ends_with_the_timeout(connect: Connect, timeout: float) -> None:
    """Waiting for a message that does not come ends when the time is up."""
    connection = connect()
    connection.connect()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=timeout)
    assert timeout <= time.monotonic() - start < timeout + _PROMPT


def test_waiting_can_be_interrupted(connect: Connect) -> None:
    """A connection that waits, or the next one that would, times out at once when it is interrupted."""
    connection = connect()
    connection.connect()
    transport: Any = connection.transport
    timer = threading.Timer(0.05, transport.interrupt)
    timer.start()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=_LONG)
    timer.join()
    transport.interrupt()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=_LONG)
    assert time.monotonic() - start < 0.05 + _PROMPT


# -- prefetch and fairness


def test_prefetch_count_limits_deliveries(connect: Connect, channel: Any) -> None:
    """A channel is given as many unacknowledged messages as its prefetch count allows, and no more."""
    channel.queue_declare("q")
    for number in range(10):
        publish(channel, "q", str(number))
    inbox = Inbox(connect(), "q", prefetch=3)
    assert inbox.drain() == ["0", "1", "2"]
    inbox.messages[0].ack()
    inbox.messages[1].reject()
    assert inbox.drain() == ["0", "1", "2", "3", "4"]
    inbox.channel.basic_qos(0, 4, False)
    assert len(inbox.drain()) == 6
    inbox.channel.basic_qos(0, 0, False)
    assert len(inbox.drain()) == 10


def test_prefetch_count_is_shared_by_the_queues_of_a_channel(connect: Connect, channel: Any) -> None:
    """A channel that consumes from several queues serves them in turn when its prefetch count is small."""
    inbox = Inbox(connect(), channel.queue_declare("q").queue, prefetch=1)
    for name in ("r", "s"):
        channel.queue_declare(name)
        inbox.channel.basic_consume(name, False, inbox.messages.append, name)
    for name in ("q", "r", "s"):
        for number in range(4):
            publish(channel, name, f"{name}{number}")
    for _ in range(12):
        inbox.next().ack()
    order = [body(message) for message in inbox.messages]
    assert all(len({text[0] for text in order[start : start + 3]}) == 3 for start in range(0, 12, 3))
    assert sorted(order) == [f"{name}{number}" for name in "qrs" for number in range(4)]


def test_consumers_share_a_queue_in_turn(connect: Connect, channel: Any) -> None:
    """Consumers of one queue get equal shares, on one connection or on several."""
    channel.queue_declare("q")
    shared = connect()
    inboxes = [Inbox(shared, "q"), Inbox(shared, "q"), Inbox(connect(), "q")]
    for number in range(30):
        publish(channel, "q", str(number))
    for inbox in inboxes:
        inbox.drain()
    assert [len(inbox.messages) for inbox in inboxes] == [10, 10, 10]


def test_busy_consumer_is_passed_over(connect: Connect, channel: Any) -> None:
    """A consumer at its limit leaves its turn to those that have room."""
    channel.queue_declare("q")
    busy, idle = Inbox(connect(), "q", prefetch=1), Inbox(connect(), "q")
    for number in range(10):
        publish(channel, "q", str(number))
    assert len(busy.drain()) == 1
    assert len(idle.drain()) == 9


def test_many_threads_lose_and_double_nothing(connect: Connect, namespace: str) -> None:
    """Messages published and consumed by many threads at once are each delivered exactly once."""
    publishers, consumers, each = 4, 4, 500
    connect().channel().queue_declare("q")
    received: list[list[str]] = [[] for _ in range(consumers)]
    left = threading.Semaphore(0)

    def produce(number: int) -> None:
        channel = connect().channel()
        for index in range(each):
            publish(channel, "q", f"{number}-{index}")

    def consume(number: int) -> None:
        inbox = Inbox(connect(), "q", prefetch=5)
        while sum(map(len, received)) < publishers * each:
            with contextlib.suppress(TimeoutError):
                message = inbox.next(timeout=0.05)
                received[number].append(body(message))
                message.ack()
        left.release()

    threads = [threading.Thread(target=consume, args=[number]) for number in range(consumers)]
    threads += [threading.Thread(target=produce, args=[number]) for number in range(publishers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    counts = Counter(text for texts in received for text in texts)
    assert set(counts.values()) == {1}
    assert len(counts) == publishers * each
    assert queue_depths(namespace)["q"][:2] == (0, 0)


def test_connection_closes_while_another_thread_waits(connect: Connect) -> None:
    """A thread that waits on a connection fails at once when another thread closes it."""
    connection = connect()
    connection.connect()
    transport, established = connection.transport, connection.connection
    timer = threading.Timer(0.05, connection.close)
    timer.start()
    start = time.monotonic()
    with pytest.raises(RecoverableConnectionError):
        transport.drain_events(established, timeout=_LONG)
    assert time.monotonic() - start < 0.05 + _PROMPT
    timer.join()
