"""RabbitMQ: what the doctor says of it, by what it answers and by what its management API says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.doctor.check import Check, failed, ok, unknown, warning
from handoffs.coordinator.observe.doctor.versions import parsed, version_check
from handoffs.coordinator.observe.served import UNSERVED

_SLOW = 0.25
"""Seconds for a confirmed message there and back from which on it is worth a word."""
_MOST = 10
"""How many names are told of that are missing."""
_LARGEST = {3: 134_217_728, 4: 16_777_216}
"""The ``max_message_size`` of a RabbitMQ that is not told another, by its major version."""
_DIFFERENCE = re.compile(
    r"inequivalent arg '(?P<name>[^']+)' for (?:queue|exchange) '[^']*' in vhost '[^']*': received (?P<ours>.+?) but current is (?P<theirs>.+)"
)


@dataclass(frozen=True, slots=True)
class DeclaredFacts:
    """A queue or an exchange that this release declares.

    ``there``; how many messages are ``ready`` in it, and how many ``consumers`` it has; ``difference``, what the broker says where it is
    declared otherwise; ``refused``, what it says where this user may not declare it.
    """

    there: bool
    ready: int = 0
    consumers: int = 0
    difference: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class RabbitFacts:
    """What RabbitMQ answers.

    server, cluster
        Its name and version, and what it calls its cluster.
    frame_max
        The largest frame of this connection, in octets.
    connected, took
        How long it took to connect, and then for a confirmed message there and back, in seconds; None where none came back.
    refused
        What this user was refused of declaring, binding, publishing and consuming, by what it was; ``blocked`` is why it takes no messages.
    """

    server: str
    cluster: str = ""
    frame_max: int = 0
    connected: float = 0.0
    took: float | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    blocked: str = ""


def rabbitmq_checks(facts: RabbitFacts, message_bytes: int) -> Iterator[Check]:
    """What there is to say of the server; messages are up to ``message_bytes`` long."""
    yield version_check("rabbitmq", facts.server, "COORDINATOR_BROKER_URL")
    yield ok("rabbitmq", "connection", f"made in {facts.connected * 1000:.0f} ms{_of_cluster(facts)}")
    yield _permissions(facts)
    yield _flow(facts)
    yield from _sizes(facts, message_bytes)


def _of_cluster(facts: RabbitFacts) -> str:
    return f", to {printable(facts.cluster, 80)}" if facts.cluster else ""


def _permissions(facts: RabbitFacts) -> Check:
    if facts.refused:
        said = "; ".join(f"{what}: {printable(text, 200)}" for what, text in facts.refused.items())
        return failed(
            "rabbitmq", "permissions", said,
            'rabbitmqctl set_permissions -p VHOST USER "^PREFIX.*" "^PREFIX.*" "^PREFIX.*", with the prefix of COORDINATOR_NAMESPACE',
        )  # fmt: skip
    return ok("rabbitmq", "permissions", "it may declare, bind, publish and consume")


def _flow(facts: RabbitFacts) -> Check:
    if facts.blocked:
        return failed(
            "rabbitmq", "publishing", facts.blocked,
            "give it memory and disk: rabbitmq-diagnostics alarms",
        )  # fmt: skip
    if facts.took is None:
        return failed(
            "rabbitmq",
            "publishing",
            "a message did not come back",
            "look at its log, and at its permissions above",
        )
    told = f"a confirmed message was back after {facts.took * 1000:.1f} ms"
    if facts.took > _SLOW:
        return warning(
            "rabbitmq",
            "publishing",
            told,
            "look at its disk, and at how far it is away: each handoff waits for a confirm",
        )
    return ok("rabbitmq", "publishing", told)


def _sizes(facts: RabbitFacts, message_bytes: int) -> Iterator[Check]:
    yield ok("rabbitmq", "frame size", f"{facts.frame_max:,} bytes" if facts.frame_max else "any")
    found = parsed(facts.server)
    largest = _LARGEST.get(found[1][0]) if found else None
    told = f"COORDINATOR_BROKER_MESSAGE_BYTES is {message_bytes:,}"
    if largest is None or message_bytes > largest:
        yield unknown(
            "rabbitmq", "message size", f"{told}, and it may take less",
            "rabbitmqctl eval 'application:get_env(rabbit, max_message_size).'",
        )  # fmt: skip
    else:
        yield ok(
            "rabbitmq", "message size", f"{told}; this version takes {largest:,} where nobody has set less"
        )
    yield unknown(
        "rabbitmq", "consumer timeout", "it is not told over AMQP; it must be above the longest step",
        "rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).'",
    )  # fmt: skip


def exchange_checks(found: Mapping[str, DeclaredFacts]) -> Iterator[Check]:
    """Whether exchanges are as this release declares them, alternate exchanges included."""
    yield from _declared(
        "exchange", "exchanges", found, "as this release declares them, alternate exchanges included"
    )


def queue_checks(found: Mapping[str, DeclaredFacts], what: str = "queues") -> Iterator[Check]:
    """Whether queues are as this release declares them; ``what`` they are together."""
    sound = "quorum queues, at-least-once dead-lettering, full ones refuse"
    yield from _declared("queue", what, found, f"as this release declares them: {sound}")


def _declared(kind: str, what: str, found: Mapping[str, DeclaredFacts], told: str) -> Iterator[Check]:
    sound = [facts for facts in found.values() if facts.there and not facts.difference and not facts.refused]
    if sound:
        yield ok("rabbitmq", what, f"{len(sound)} {told}")
    missing = sorted(name for name, facts in found.items() if not facts.there)
    if missing:
        more = f" and {len(missing) - _MOST} more" if len(missing) > _MOST else ""
        named = ", ".join(printable(name, 120) for name in missing[:_MOST]) + more
        remedy = "coordinator serve declares its own, and coordinator worker those of its agents"
        yield warning("rabbitmq", f"missing {what}", f"there is none yet that is called {named}", remedy)
    for name, facts in found.items():
        if facts.refused:
            remedy = "rabbitmqctl set_permissions: configure, write and read of it"
            yield failed("rabbitmq", f"{kind} {name}", facts.refused, remedy)
        elif facts.difference:
            remedy = _otherwise(kind, facts.difference)
            yield failed("rabbitmq", f"{kind} {name}", difference(facts.difference), remedy)


def difference(said: str) -> str:
    """In words, what the broker says of a queue that is declared otherwise."""
    found = _DIFFERENCE.search(said)
    if found is None:
        return printable(said, 300)
    ours, theirs = (_plain(found[name]) for name in ("ours", "theirs"))
    return f"its {found['name']} is {theirs}, and this release and these settings declare {ours}"


def _plain(text: str) -> str:
    value = re.match(r"the value '([^']*)' of type '[^']*'", text)
    return value[1] if value else printable(text.strip("'"), 80)


def _otherwise(what: str, said: str) -> str:
    name = match["name"] if (match := _DIFFERENCE.search(said)) else ""
    settings = {"x-delivery-limit": "COORDINATOR_DELIVERY_LIMIT", "x-max-length": "COORDINATOR_QUEUE_LIMITS"}
    back = f"set back {settings[name]}, or " if name in settings else ""
    return f"{back}let it run empty and delete it, with its workers stopped: rabbitmqctl delete_{what} NAME; or choose a COORDINATOR_NAMESPACE"


def serving_checks(letters: DeclaredFacts | None, timers: DeclaredFacts | None) -> Iterator[Check]:
    """Whether a coordinator process is at work: it takes dead letters and timers from their queues."""
    serving = letters.consumers if letters else 0
    if not serving:
        yield failed(
            "workers", "coordinator process", UNSERVED, "start one, two for a spare: coordinator serve"
        )
        return
    waiting = letters.ready if letters else 0
    more = f", {waiting} dead letters are on their way to the journal" if waiting else ""
    yield ok("workers", "coordinator process", f"{serving} at work{more}")
    if timers is None or not timers.consumers:
        yield failed(
            "workers",
            "timers",
            "nobody takes them: budgets do not end",
            "look at the log of coordinator serve",
        )
