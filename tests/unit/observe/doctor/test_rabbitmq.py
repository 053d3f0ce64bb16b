"""What the doctor says of RabbitMQ, by what it answers and what its management API says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.doctor.ask_management import management_facts, virtual_host
from handoffs.coordinator.observe.doctor.management import (
    ManagementFacts,
    management_checks,
    without_management,
)
from handoffs.coordinator.observe.doctor.rabbitmq import (
    DeclaredFacts,
    RabbitFacts,
    difference,
    exchange_checks,
    queue_checks,
    rabbitmq_checks,
    serving_checks,
)
from tests.unit.observe.doctor.found import by_name

GOOD = RabbitFacts("RabbitMQ 4.1.0", "rabbit@mq1", 131_072, 0.01, 0.003)
MIB = 2**20
PRECONDITION = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'a.b' in vhost '/': received '20' but current is '5'"
LONG = (
    "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-strategy' for queue 'a.b' in vhost '/': received the value 'at-least-once' "
    "of type 'longstr' but current is none"
)


def test_a_broker_that_is_in_order() -> None:
    """All is ok but what AMQP does not tell: how it is found out is said."""
    found = by_name(rabbitmq_checks(GOOD, 16 * MIB))
    assert {name for name, check in found.items() if check.state != "ok"} == {"consumer timeout"}
    assert "consumer_timeout" in found["consumer timeout"].remedy


@pytest.mark.parametrize(
    ("facts", "octets", "name", "state", "told", "remedy"),
    [
        (replace(GOOD, server="RabbitMQ 3.9.1"), MIB, "version", "failed", "too old", "3.10 or newer"),
        (replace(GOOD, server="LavinMQ 1.0.0"), MIB, "version", "warning", "not tried", "COORDINATOR_BROKER_URL"),
        (replace(GOOD, refused={"a private queue": "ACCESS_REFUSED"}, took=None), MIB, "permissions", "failed", "ACCESS_REFUSED", "set_permissions"),
        (replace(GOOD, blocked="it takes no messages", took=None), MIB, "publishing", "failed", "takes no messages", "alarms"),
        (replace(GOOD, took=None), MIB, "publishing", "failed", "did not come back", "log"),
        (replace(GOOD, took=1.0), MIB, "publishing", "warning", "1000.0 ms", "disk"),
        (GOOD, 17 * MIB, "message size", "unknown", "17,825,792", "max_message_size"),
    ],
)  # fmt: skip
def test_what_is_not_in_order_is_named_with_its_remedy(
    facts: RabbitFacts, octets: int, name: str, state: str, told: str, remedy: str
) -> None:
    """By what the broker has answered."""
    found = by_name(rabbitmq_checks(facts, octets))[name]
    assert found.state == state
    assert told in found.told
    assert remedy in found.remedy


def test_the_message_size_is_that_of_the_version() -> None:
    """3.x takes 128 MiB by default, and 4.x takes 16."""
    assert (
        by_name(rabbitmq_checks(replace(GOOD, server="RabbitMQ 3.13.0"), 17 * MIB))["message size"].state
        == "ok"
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (PRECONDITION, "its x-delivery-limit is 5, and this release and these settings declare 20"),
        (
            LONG,
            "its x-dead-letter-strategy is none, and this release and these settings declare at-least-once",
        ),
        ("something else", "something else"),
    ],
)
def test_a_difference_is_told_in_words(said: str, told: str) -> None:
    """Which argument, what it is, and what it should be."""
    assert difference(said) == told


def test_queues_are_told_apart_by_what_is_wrong_with_them() -> None:
    """Sound ones are one line, missing ones another; each that differs or is refused has its own."""
    found = by_name(
        queue_checks(
            {
                "sound": DeclaredFacts(True, 3, 1),
                "sound-too": DeclaredFacts(True),
                "new": DeclaredFacts(False),
                "other": DeclaredFacts(True, difference=PRECONDITION),
                "refused": DeclaredFacts(True, refused="ACCESS_REFUSED"),
            }
        )
    )
    assert found["queues"].told.startswith("2 as this release declares them")
    assert (found["missing queues"].state, found["missing queues"].told) == (
        "warning",
        "there is none yet that is called new",
    )
    assert found["queue other"].state == "failed"
    assert found["queue other"].remedy.startswith("set back COORDINATOR_DELIVERY_LIMIT, or ")
    assert found["queue refused"].told == "ACCESS_REFUSED"
    assert by_name(exchange_checks({"x": DeclaredFacts(True)}))["exchanges"].state == "ok"


def test_many_that_are_missing_are_counted() -> None:
    """Not all of them are named."""
    found = by_name(queue_checks({f"q{number:02}": DeclaredFacts(False) for number in range(30)}))
    assert found["missing queues"].told.endswith("q09 and 20 more")


@pytest.mark.parametrize(
    ("letters", "timers", "states"),
    [
        (None, None, {"coordinator process": "failed"}),
        (DeclaredFacts(True, 5, 0), DeclaredFacts(True), {"coordinator process": "failed"}),
        (DeclaredFacts(True, 0, 2), DeclaredFacts(True, 0, 8), {"coordinator process": "ok"}),
        (
            DeclaredFacts(True, 0, 2),
            DeclaredFacts(True, 9, 0),
            {"coordinator process": "ok", "timers": "failed"},
        ),
    ],
)
def test_who_takes_letters_and_timers_is_a_coordinator_process(
    letters: Any, timers: Any, states: dict[str, str]
) -> None:
    """Where nobody does, it is said what waits for one, and how it is started."""
    found = by_name(serving_checks(letters, timers))
    assert {name: check.state for name, check in found.items()} == states


DELAY = {
    "name": "t.handoff.delay.shop.one.2000",
    "arguments": {
        "x-queue-type": "quorum", "x-message-ttl": 2000, "x-dead-letter-exchange": "t.handoff.agents",
        "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
    },
}  # fmt: skip
QUEUE = {"name": "t.shop.one", "arguments": {}, "members": ["a", "b"], "online": ["a", "b"]}
NODE = {"name": "rabbit@a", "running": True}


def _managed(nodes: Any = (NODE,), queues: Any = (QUEUE, DELAY)) -> dict[str, Any]:
    return by_name(management_checks(ManagementFacts(nodes, queues), "t.", ["t.shop.one"]))


def test_management_has_nothing_to_say_where_all_is_in_order() -> None:
    """Policies, delay queues, nodes."""
    assert {name: check.state for name, check in _managed().items()} == {
        "nodes": "ok", "policies": "ok", "delay queues": "ok",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "name", "state", "told"),
    [
        ({"nodes": [NODE, {"name": "rabbit@b", "running": False}]}, "nodes", "warning", "down: rabbit@b"),
        ({"nodes": [{**NODE, "mem_alarm": True}]}, "nodes", "failed", "too little memory or disk: rabbit@a"),
        ({"nodes": [{**NODE, "partitions": ["rabbit@b"]}]}, "nodes", "failed", "apart from others: rabbit@a"),
        (
            {"queues": [{**QUEUE, "policy": "short", "effective_policy_definition": {"message-ttl": 5, "ha-mode": "all"}}]},
            "policies", "warning", "short (message-ttl) changes t.shop.one",
        ),
        ({"queues": [{**DELAY, "arguments": {**DELAY["arguments"], "x-message-ttl": 3000}}]}, "delay queues", "failed", "t.handoff.delay.shop.one.2000"),  # type: ignore[dict-item]
        ({"queues": [{**DELAY, "arguments": None}]}, "delay queues", "failed", "is declared otherwise"),
        ({"queues": [{**QUEUE, "online": ["a"]}]}, "members", "warning", "t.shop.one is not online"),
    ],
)  # fmt: skip
def test_what_management_finds_is_named(given: dict[str, Any], name: str, state: str, told: str) -> None:
    """With the queues, policies or nodes that it is about."""
    found = _managed(**given)[name]
    assert found.state == state
    assert told in found.told


def test_queues_of_others_are_left_alone() -> None:
    """Another installation's, and whatever else is there."""
    others = [
        {"name": "handoff.delay.2000", "arguments": {}},
        {"name": "mail", "policy": "p", "effective_policy_definition": {"message-ttl": 5}},
    ]
    assert {check.state for check in _managed(queues=others).values()} == {"ok"}


def test_without_management_it_is_said_how() -> None:
    """What it would say is unknown."""
    found = by_name(without_management())
    assert {check.state for check in found.values()} == {"unknown"}
    assert all("FLOWER_BROKER_API" in check.remedy for check in found.values())


@pytest.mark.parametrize(
    ("url", "vhost"), [("amqp://u:p@h:5672//", "/"), ("amqp://h", "/"), ("amqp://h/shop", "shop"), ("amqp://h/a%2Fb;amqp://g/", "a/b")]
)  # fmt: skip
def test_the_virtual_host_is_that_of_the_url(url: str, vhost: str) -> None:
    """With what stands for it as it is."""
    assert virtual_host(url) == vhost


def test_an_api_that_cannot_be_asked_is_told_without_its_password() -> None:
    """The URL has one in it."""
    for url in ("ftp://ada:secret@host/", "http://ada:secret/word@host/", "secret"):
        with pytest.raises(ServerError) as refused:
            management_facts(url, "/", 1.0)
        assert "secret" not in str(refused.value)
