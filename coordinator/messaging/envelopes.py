"""The envelope that starts a step: what it says of where it comes from, and the data as its readers want it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from handoffs.config import clock
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.envelope import Envelope, message_id, trace_parent
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.trace_context import TraceContext, carried, current, goes_on


@dataclass(frozen=True, slots=True)
class Original:
    """What a message was before it was written for an older reader: its version, and the digest of its data."""

    schema: str
    digest: str


@dataclass(frozen=True, slots=True)
class Written:
    """Data as it goes into a message: the version it is written in, the data as JSON text, and what it was before."""

    schema: str
    data: str
    original: Original | None = None
    value: Any = field(default=None, compare=False, repr=False)
    """The data, where it has been parsed here already."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What all messages say that leave together.

    run_id
        The run that they belong to.
    source
        Who sends them, as a URI reference: ``/agents/payments.fraud``, ``/coordinator``, ``/operators``.
    cause
        The envelope that led to them, where one did: its id, its deadline and its trace go on.
    deadline
        When steps are not begun any more, where nothing led to them.
    key
        The idempotency key of what a step has put out itself; ``keys`` those of events, by the step that they are sent as.
    made
        The messages that have been made already, by step.
    """

    run_id: str
    source: str = "/coordinator"
    cause: Envelope | None = None
    deadline: datetime | None = None
    key: str | None = None
    keys: Mapping[str, str | None] = field(default_factory=dict)
    trace: TraceContext = field(default_factory=current)
    """What is current where it is made."""
    made: Mapping[str, Message] = field(default_factory=dict)

    @property
    def baggage(self) -> int:
        """How many octets the baggage takes in each envelope."""
        carried = self.trace.baggage or (self.cause.baggage if self.cause else None) or ""
        return len(json.dumps({"baggage": carried})) if carried else 0


def envelope_for(
    step: str,
    written: Written,
    sending: Sending,
    *,
    key: str | None,
    join_schemas: str | None = None,
    fallback: str = "",
) -> Envelope:
    """The envelope that starts ``step``. Its id is derived from run and step, so that making it again gives the same message.

    ``join_schemas`` says of joined data what each branch made; ``fallback`` which fallback it is, if it is one.
    """
    message, cause, original = message_id(sending.run_id, step), sending.cause, written.original
    trace = goes_on(sending.trace, carried(cause)) if cause else sending.trace
    return Envelope(
        id=message,
        source=sending.source,
        type=ContractRef.from_uri(written.schema).name,
        data_schema=written.schema,
        subject=key,
        time=clock.now(),
        correlation_id=sending.run_id,
        causation_id=cause.id if cause else None,
        idempotency_key=key or message,
        expiry_time=cause.expiry_time if cause else sending.deadline,
        trace_parent=trace.parent or trace_parent(sending.run_id, cause.id if cause else message),
        trace_state=trace.state or None,
        baggage=trace.baggage or None,
        join_schemas=join_schemas,
        fallback=fallback or None,
        original_schema=original.schema if original else None,
        original_digest=original.digest if original else None,
        data=json.loads(written.data) if written.value is None else written.value,
    )
