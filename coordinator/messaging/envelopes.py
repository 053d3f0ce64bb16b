"""Composing: the envelope that starts a step, and what the history says of what was sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.envelope import Envelope, message_id, trace_parent
from handoffs.coordinator.dispatch.negotiation import Written
from handoffs.coordinator.dispatch.routing import Onward, emission


def compose(
    *,
    run: str,
    step: str,
    written: Written,
    key: str | None,
    source: str,
    cause: Envelope | None = None,
    join_schemas: str | None = None,
    fallback: str = "",
    deadline: datetime | None = None,
) -> Envelope:
    """Make the envelope that starts ``step`` of ``run``. Its id is derived from the two; all the rest it is given."""
    number = message_id(run, step)
    original = written.original
    return Envelope(
        id=number,
        source=source,
        type=ContractRef.from_uri(written.schema).name,
        data_schema=written.schema,
        subject=key,
        time=datetime.now(UTC),
        correlation_id=run,
        causation_id=cause.id if cause else None,
        idempotency_key=key or number,
        expiry_time=cause.expiry_time if cause else deadline,
        trace_parent=trace_parent(run, cause.id if cause else number),
        trace_state=cause.trace_state if cause else None,
        join_schemas=join_schemas,
        fallback=fallback or None,
        original_schema=original.schema if original else None,
        original_digest=original.digest if original else None,
        data=json.loads(written.data),
    )


def sent_otherwise(sent: dict[str, Written]) -> dict[str, str]:
    """By step, the version that a message was written in, where it is not the one that its producer made."""
    return {
        step: str(ContractRef.from_uri(written.schema)) for step, written in sent.items() if written.original
    }


def emissions(run: str, onward: Onward) -> list[dict[str, Any]]:
    """The events that are emitted, for the history."""
    return [emission(run, step, onward.sent[step].schema, agents) for step, agents in onward.heard.items()]
