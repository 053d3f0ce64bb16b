"""Model: what the documents tell, as plain immutable values in a fixed order. All texts are plain text, safe to print."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from handoffs.contracts.contract import ContractRef
from handoffs.coordinator.observe.handovers import FlowHandovers

UNPUBLISHED = "not published"
PUBLISHED = "published"
CHANGED = "differs from what is published"


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A field, or with dots in its ``name`` a field within one. ``kind`` and ``bounds`` are in words; ``default`` is
    JSON, or empty where there is none or it is not shown. ``contract`` is the contract that the field holds, if any."""

    name: str
    kind: str
    required: bool
    bounds: tuple[str, ...] = ()
    default: str = ""
    description: str = ""
    key: bool = False
    sensitive: bool = False
    untrusted: bool = False
    contract: ContractRef | None = None


@dataclass(frozen=True, slots=True)
class Migration:
    """A declared step to an adjacent version. ``lossy`` says what it loses; empty: nothing."""

    source: int
    target: int
    lossy: str = ""

    @property
    def word(self) -> str:
        """``upcast`` or ``downcast``."""
        return "upcast" if self.target > self.source else "downcast"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a contract. ``schema`` is the JSON Schema (2020-12) of what its readers take."""

    ref: ContractRef
    state: str
    fingerprint: str
    description: tuple[str, ...]
    fields: tuple[FieldEntry, ...]
    schema: dict[str, Any]
    migrations: tuple[Migration, ...] = ()


@dataclass(frozen=True, slots=True)
class Party:
    """Who produces or consumes a contract: the ``versions`` that it does, its own first. ``within`` is the contract
    that has this one as a part, where it is a part."""

    agent: str
    versions: tuple[int, ...]
    within: ContractRef | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionEntry:
    """What an agent subscribes to: a contract's name, or a ``pattern`` of names. ``contract`` is what such an event is read
    as, in ``versions``; both are empty for a pattern, by which any version is read. ``where`` (which of the events), and
    ``gathers`` (how they are put into sets, and in which contract) are in words."""

    agent: str
    pattern: str
    contract: ContractRef | None = None
    versions: tuple[int, ...] = ()
    where: str = ""
    gathers: str = ""
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class ContractEntry:
    """A contract, and who emits it as an event (``emitters``, and the flows ``emitting`` it) and hears that. Versions are newest first; ``starts`` and ``ends`` are the flows that begin and end with it, and
    ``joins`` those that put it together from branches."""

    name: str
    owner: str
    mode: str
    versions: tuple[Version, ...]
    producers: tuple[Party, ...]
    consumers: tuple[Party, ...]
    flows: tuple[str, ...]
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    joins: tuple[str, ...]
    emitters: tuple[Party, ...] = ()
    emitting: tuple[str, ...] = ()
    subscribers: tuple[SubscriptionEntry, ...] = ()

    @property
    def is_event(self) -> bool:
        """Whether there are events of it, as far as it is loaded."""
        return bool(self.emitters or self.emitting or any(entry.contract for entry in self.subscribers))

    @property
    def description(self) -> tuple[str, ...]:
        """What its newest version says of itself, by paragraph."""
        return self.versions[0].description


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent. ``emitted`` are the events that it emits, and ``subscriptions`` those that it subscribes to. ``reads`` and ``writes`` are versions of what it accepts and emits, its own first. ``time_limit`` is in
    seconds; None: unlimited."""

    name: str
    description: tuple[str, ...]
    queue: str
    accepts: ContractRef
    emits: ContractRef
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    attempts: int
    time_limit: float | None
    flows: tuple[str, ...]
    emitted: tuple[ContractRef, ...] = ()
    subscriptions: tuple[SubscriptionEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """A broker, without credentials. ``vhost`` has no leading slash."""

    host: str
    protocol: str
    vhost: str


@dataclass(frozen=True, slots=True)
class ExchangeEntry:
    """An exchange of the broker. ``alternate`` gets what it cannot route."""

    name: str
    kind: str
    durable: bool
    alternate: str = ""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A queue of the broker, bound to ``exchange`` by ``routing_key``. ``agent`` is empty where it is for no agent; ``purpose`` then
    says what is in it."""

    name: str
    agent: str
    exchange: str
    routing_key: str
    durable: bool
    arguments: dict[str, Any] = field(default_factory=dict)
    purpose: str = "dead letters"


@dataclass(frozen=True, slots=True)
class Landscape:
    """Everything that the documents tell, each part sorted by name."""

    contracts: tuple[ContractEntry, ...]
    agents: tuple[AgentEntry, ...]
    flows: tuple[FlowHandovers, ...]
    queues: tuple[QueueEntry, ...]
    exchanges: tuple[ExchangeEntry, ...]
    servers: tuple[Server, ...] = ()
