"""The topology: every name has the prefix, every queue is durable and dead-letters, every wait has a queue."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.config.delays import close_ms, delay_ms, is_usual
from handoffs.config.topology import TIMERS, Topology

LONGEST = timedelta(milliseconds=delay_ms(timedelta(days=999)))


@pytest.mark.parametrize("prefix", ["", "shop."])
def test_names_have_the_prefix(prefix: str) -> None:
    """Every queue and exchange begins with the prefix, so that installations share a broker without meeting."""
    topology = Topology(prefix)
    queues: list[Any] = [
        topology.queue("test.price"),
        topology.delay(timedelta(seconds=1), "test.price"),
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
    queue: Any = topology.delay(timedelta(milliseconds=250), "test.price")
    assert queue.queue_arguments["x-message-ttl"] == delay_ms(timedelta(milliseconds=250))
    assert queue.queue_arguments["x-dead-letter-exchange"] == topology.agents.name
    assert "x-dead-letter-routing-key" not in queue.queue_arguments
    assert queue.exchange.type == "fanout"


def test_who_waits_behind_whom() -> None:
    """What is held up where a queue with a bound is full is that agent's alone: it, timers and, where there are bounds, each
    event have delay queues of their own. Agents without a bound share theirs."""
    topology, wait = Topology("p.", limits={"test.narrow": 3}), timedelta(milliseconds=300)
    narrow = topology.delay(wait, "test.narrow", exact=True)
    timers = topology.delay(wait, TIMERS, exact=True)
    shared = topology.delay(wait, "test.wide", exact=True)
    event: Any = topology.delay(wait, "coordinator.event", exact=True, event="test.told")
    other = topology.delay(wait, "coordinator.event", exact=True, event="test.heard")
    assert shared.name == topology.delay(wait, "test.price", exact=True).name
    assert len({narrow.name, timers.name, shared.name, event.name, other.name}) == 5
    assert timers.name == Topology("p.").delay(wait, TIMERS, exact=True).name
    assert {event.queue_arguments["x-dead-letter-exchange"]} == {topology.events.name}


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


@given(st.timedeltas(min_value=timedelta(), max_value=LONGEST))
def test_close_waits(wait: timedelta) -> None:
    """A step's delay is never shorter than asked for, and at most a sixth longer and 10 ms."""
    chosen = timedelta(milliseconds=close_ms(wait))
    assert wait <= chosen <= wait * 7 / 6 + timedelta(milliseconds=10)
    assert is_usual(chosen)


@pytest.mark.parametrize(
    "wait",
    [
        *(
            timedelta(milliseconds=number)
            for number in (10, 50, 100, 120, 200, 250, 300, 400, 500, 600, 750, 800)
        ),
        *(
            timedelta(seconds=number)
            for number in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45, 90)
        ),
        *(timedelta(minutes=number) for number in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 45, 90)),
        *(timedelta(hours=number) for number in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12)),
    ],
)
def test_round_numbers_stay(wait: timedelta) -> None:
    """What people say is kept to the millisecond."""
    assert timedelta(milliseconds=close_ms(wait)) == wait
    assert is_usual(wait)


def test_no_delay_makes_a_queue_of_its_own() -> None:
    """Whatever lengths messages ask for, their delays need less than 200 queues, and those of a size with the 42 of retries share
    them."""
    topology = Topology()
    waits = [
        timedelta(milliseconds=number) for number in (*range(20_000), *(7**power for power in range(12)))
    ]
    names = {topology.delay(wait, TIMERS, exact=True).name for wait in waits}
    longest = topology.delay(timedelta(days=36_525), TIMERS, exact=True)
    assert len({*names, longest.name}) < 200
    assert {topology.delay(wait, TIMERS).name for wait in waits[::100]} <= names
