"""Management: what the doctor says by what RabbitMQ's management API knows: policies, delay queues, nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.doctor.check import Check, failed, ok, unknown, warning

_WITHOUT = "set FLOWER_BROKER_API to its management API (http://USER:PASSWORD@HOST:15672/api/), with a user that has the tag monitoring"
_CHANGES = frozenset(
    {"message-ttl", "expires", "max-length", "max-length-bytes", "overflow", "delivery-limit", "dead-letter-exchange", "dead-letter-strategy"}
)  # fmt: skip
"""What a policy must leave alone of our queues."""
_DELAY = re.compile(r"handoff\.delay(?:-events)?\.(?:.+\.)?(?P<ms>[0-9]+)\Z")
_OF_A_DELAY = {
    "x-queue-type": "quorum",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
_MOST = 5
"""How many names are told of, of queues that have the same fault."""


@dataclass(frozen=True, slots=True)
class ManagementFacts:
    """What the management API says: of ``nodes`` and ``queues`` (``name``, ``arguments``, ``policy``, ``effective_policy_definition``,
    ``members``, ``online``) of the installation's virtual host."""

    nodes: Sequence[Mapping[str, Any]] = field(default=())
    queues: Sequence[Mapping[str, Any]] = field(default=())


def without_management(why: str = "the URL of the management API is not known") -> Iterator[Check]:
    """That none of it could be found out."""
    for name in ("policies", "delay queues", "nodes"):
        yield unknown("rabbitmq", name, why, _WITHOUT)


def management_checks(facts: ManagementFacts, prefix: str, own: Sequence[str]) -> Iterator[Check]:
    """What there is to say; ``prefix`` begins our names, ``own`` are the queues of agents and of the coordinator process."""
    yield _nodes(facts.nodes)
    ours = {
        str(queue.get("name", "")): queue
        for queue in facts.queues
        if queue.get("name") in own or _is_delay(str(queue.get("name", "")), prefix)
    }
    yield _policies(ours)
    yield _delays({name: queue for name, queue in ours.items() if _is_delay(name, prefix)}, prefix)
    short = [
        name
        for name, queue in ours.items()
        if len(queue.get("online") or ()) < len(queue.get("members") or ())
    ]
    if short:
        yield warning(
            "rabbitmq", "members", f"a member of {_some(short)} is not online",
            "start its node; rabbitmq-queues check_if_node_is_quorum_critical says whether another may stop",
        )  # fmt: skip


def _nodes(nodes: Sequence[Mapping[str, Any]]) -> Check:
    down = [_name(node) for node in nodes if not node.get("running", True)]
    alarmed = [_name(node) for node in nodes if node.get("mem_alarm") or node.get("disk_free_alarm")]
    apart = [_name(node) for node in nodes if node.get("partitions")]
    if alarmed or apart:
        told = "; ".join(
            f"{what}: {', '.join(names)}"
            for what, names in (("too little memory or disk", alarmed), ("apart from others", apart))
            if names
        )
        return failed("rabbitmq", "nodes", told, "rabbitmq-diagnostics cluster_status")
    if down:
        return warning(
            "rabbitmq", "nodes", f"down: {', '.join(down)}", "start them: rabbitmq-diagnostics cluster_status"
        )
    return ok("rabbitmq", "nodes", f"{len(nodes)} running, without an alarm")


def _policies(ours: Mapping[str, Mapping[str, Any]]) -> Check:
    changed: dict[str, list[str]] = {}
    for name, queue in ours.items():
        definition = queue.get("effective_policy_definition") or {}
        words = sorted(_CHANGES & set(definition)) if isinstance(definition, Mapping) else []
        if words:
            policy = printable(queue.get("policy") or queue.get("operator_policy") or "?", 80)
            changed.setdefault(f"{policy} ({', '.join(words)})", []).append(name)
    if changed:
        told = "; ".join(f"{policy} changes {_some(names)}" for policy, names in changed.items())
        return warning(
            "rabbitmq", "policies", told,
            "rabbitmqctl clear_policy NAME, or give it a pattern that leaves our queues alone: what they are declared with keeps the promises",
        )  # fmt: skip
    return ok("rabbitmq", "policies", f"none changes one of {len(ours)} queues")


def _delays(delays: Mapping[str, Mapping[str, Any]], prefix: str) -> Check:
    wrong = [
        name for name, queue in delays.items() if _differs(name.removeprefix(prefix), queue.get("arguments"))
    ]
    if wrong:
        return failed(
            "rabbitmq", "delay queues", f"{_some(wrong)} is declared otherwise",
            "let it run empty and delete it: rabbitmqctl delete_queue --if-empty NAME",
        )  # fmt: skip
    return ok("rabbitmq", "delay queues", f"{len(delays)}, each as this release declares it")


def _differs(name: str, arguments: Any) -> bool:
    found, given = _DELAY.fullmatch(name), arguments if isinstance(arguments, Mapping) else {}
    expected = {**_OF_A_DELAY, "x-message-ttl": int(found["ms"]) if found else None}
    return any(given.get(key) != value for key, value in expected.items())


def _is_delay(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and _DELAY.fullmatch(name.removeprefix(prefix)) is not None


def _name(node: Mapping[str, Any]) -> str:
    return printable(node.get("name", "?"), 80)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(printable(name, 120) for name in sorted(names)[:_MOST]) + more
