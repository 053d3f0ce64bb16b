"""The topology: every name has the prefix, every queue is durable and dead-letters, every wait has a queue."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.config.delays import delay_ms
from handoffs.config.topology import Topology

LONGEST = timedelta(milliseconds=delay_ms(timedelta(days=999)))


@pytest.mark.parametrize("prefix", ["", "shop."])
def test_names_have_the_prefix(prefix: str) -> None:
    """Every queue and exchange begins with the prefix, so that installations share a broker without meeting."""
    topology = Topology(prefix)
    queues: list[Any] = [
        topology.queue("test.price"),
        topology.delay(timedelta(seconds=1)),
        topology.dead_letters,
        topology.unroutable_letters,
    ]
    exchanges: list[Any] = [
        topology.agents,
        topology.unroutable,
        topology.dead,
        *(queue.exchange for queue in queues),
    ]
    names = [named.name for named in (*queues, *exchanges)]
    assert all(name.startswith(prefix) and name != prefix for name in names)
    assert topology.agent_of(topology.queue_name("test.price")) == "test.price"


def test_installations_do_not_meet() -> None:
    """Two prefixes have no name in common."""
    names = [
        {Topology(prefix).queue("a").name, Topology(prefix).dead_letters.name} for prefix in ("x.", "y.")
    ]
    assert not names[0] & names[1]


def test_agent_queue() -> None:
    """An agent's queue is replicated, refuses rather than drops, and dead-letters what was delivered too often."""
    topology = Topology("p.", delivery_limit=7)
    queue: Any = topology.queue("test.price")
    assert queue.routing_key == queue.name == "p.test.price"
    assert queue.exchange.name == topology.agents.name
    assert queue.durable
    assert queue.queue_arguments == {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": topology.dead.name,
        "x-dead-letter-routing-key": queue.name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-delivery-limit": 7,
    }


def test_nothing_is_lost_on_the_way() -> None:
    """What cannot be routed goes to the dead letters, and they go nowhere else."""
    topology: Any = Topology()
    assert topology.agents.arguments == {"alternate-exchange": topology.unroutable.name}
    assert topology.unroutable_letters.exchange.name == topology.unroutable.name
    assert topology.unroutable_letters.name == topology.dead_letters.name
    assert topology.dead_letters.exchange.name == topology.dead.name
    assert topology.dead_letters.queue_arguments == topology.unroutable_letters.queue_arguments
    assert "x-dead-letter-exchange" not in topology.dead_letters.queue_arguments
    assert {topology.dead.type, topology.unroutable.type} == {"fanout"}


def test_delay_leads_back() -> None:
    """A message that waits goes back to the agents when its time is over, keeping its routing key."""
    topology = Topology("p.")
    queue: Any = topology.delay(timedelta(milliseconds=250))
    assert queue.queue_arguments["x-message-ttl"] == delay_ms(timedelta(milliseconds=250))
    assert queue.queue_arguments["x-dead-letter-exchange"] == topology.agents.name
    assert "x-dead-letter-routing-key" not in queue.queue_arguments
    assert queue.exchange.type == "fanout"


@given(st.timedeltas(min_value=timedelta(), max_value=LONGEST))
def test_waits_are_rounded_up(wait: timedelta) -> None:
    """A wait is never shorter than asked for, and at most half as long again and 10 ms."""
    chosen = timedelta(milliseconds=delay_ms(wait))
    assert wait <= chosen <= 1.5 * wait + timedelta(milliseconds=10)


@given(st.timedeltas(min_value=LONGEST, max_value=timedelta(days=999)))
def test_longest_wait(wait: timedelta) -> None:
    """A longer wait than there are queues for is cut to the longest: 19 hours."""
    assert timedelta(hours=19) < timedelta(milliseconds=delay_ms(wait)) < timedelta(hours=20)


def test_waits_need_few_queues() -> None:
    """All waits together need a few dozen queues."""
    lengths = {delay_ms(timedelta(milliseconds=1.01**power)) for power in range(2000)}
    assert len(lengths) < 60
