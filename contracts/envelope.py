"""Envelope: everything a handoff needs, as a CloudEvents 1.0 event in structured JSON.

Attribute names on the wire are CloudEvents' (lower case, no separators); in Python the snake_case of the same words.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from handoffs.contracts import strictjson
from handoffs.contracts.contract import ContractRef, faults
from handoffs.contracts.dataref import Fetch, unfetched, whole
from handoffs.contracts.errors import InvalidData, InvalidEnvelope
from handoffs.contracts.strictjson import DEFAULT_LIMITS, Limits

BAGGAGE = re.compile(r"^[!-~ \t]{1,8192}$")
"""W3C Baggage, as a header: visible ASCII, up to 8,192 characters."""

_LIFE = "~"
_PLAIN_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = uuid.UUID("6f9a3b0e-5d0b-5a37-9a54-3b0f6e0a1c42")


class Envelope(BaseModel):
    """One message between agents, self-contained and immutable.

    id
        Message id, derived from run and step (:func:`message_id`), so that doing a step again gives the same message.
    source
        Who wrote it, as a URI reference: ``/agents/<agent>`` or ``/coordinator``.
    type, data_schema
        The contract's name, and the URI of the exact version (:attr:`contract`).
    subject
        The business object that it is about, where the contract has a key.
    correlation_id, causation_id
        The run, which names the whole story; the id of the message that caused this one.
    idempotency_key
        The key under which the receiver takes its effect once, within its own scope.
    expiry_time
        When the work is no longer wanted; None: always wanted.
    trace_parent, trace_state
        W3C Trace Context: the trace that was current where the story began, or else one of its own, named after the run.
    baggage
        W3C Baggage, where that was current there.
    join_schemas
        Of a join only: the contract version of each branch's part, ``branch=<dataschema>``, separated by spaces.
    original_schema, original_digest
        Only where ``data`` was written in an older version for its readers: the URI of the version that the producer
        made. And the SHA-256 of the content of that data: it names the content, whichever version it is sent in. Where there
        is none, the reader finds it out.
    fallback
        Only where ``data`` took the place of what was not there in time: ``cache age=12.3s``, ``constant`` or ``agent``.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, populate_by_name=True
    )

    spec_version: Literal["1.0"] = Field(default="1.0", alias="specversion")
    id: str = Field(min_length=1, max_length=200)
    source: str = Field(min_length=1, max_length=300)
    type: str = Field(min_length=1, max_length=120)
    data_schema: str = Field(alias="dataschema", max_length=200)
    data_content_type: Literal["application/json"] = Field(
        default="application/json", alias="datacontenttype"
    )
    subject: str | None = Field(default=None, min_length=1, max_length=300)
    time: AwareDatetime
    correlation_id: str = Field(alias="correlationid", min_length=1, max_length=200)
    causation_id: str | None = Field(default=None, alias="causationid", max_length=200)
    idempotency_key: str = Field(alias="idempotencykey", min_length=1, max_length=300)
    expiry_time: AwareDatetime | None = Field(default=None, alias="expirytime")
    trace_parent: str = Field(alias="traceparent", pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
    trace_state: str | None = Field(default=None, alias="tracestate", max_length=512)
    baggage: str | None = Field(default=None, pattern=BAGGAGE.pattern)
    join_schemas: str | None = Field(default=None, alias="joinschemas", max_length=262_144)
    fallback: str | None = Field(default=None, min_length=1, max_length=200)
    original_schema: str | None = Field(default=None, alias="originalschema", max_length=200)
    original_digest: str | None = Field(default=None, alias="originaldigest", pattern="^[0-9a-f]{64}$")
    data: dict[str, Any]

    @field_validator("data_schema", "original_schema")
    @classmethod
    def _names_a_contract(cls, uri: str | None) -> str | None:
        try:
            if uri is not None:
                ContractRef.from_uri(uri)
        except InvalidData as error:
            raise ValueError(str(error)) from None
        return uri

    @property
    def contract(self) -> ContractRef:
        """The contract and version in which ``data`` is written."""
        return ContractRef.from_uri(self.data_schema)

    def expired(self, now: datetime | None = None) -> bool:
        """Whether ``expiry_time`` has passed."""
        return self.expiry_time is not None and self.expiry_time <= (now or datetime.now(UTC))

    def encode(self) -> str:
        """Write the structured JSON form."""
        return self.model_dump_json(by_alias=True, exclude_none=True)

    @classmethod
    def decode(cls, text: bytes | str, limits: Limits = DEFAULT_LIMITS, fetch: Fetch | None = None) -> Self:
        """Read the structured JSON form. Where its data is kept elsewhere (:mod:`.dataref`), ``fetch`` brings it.

        Raises :class:`InvalidJson` where the text is no strict JSON within the limits, :class:`InvalidEnvelope`
        where it is no envelope, or ``type`` and ``dataschema`` name different contracts, and
        :class:`~handoffs.contracts.errors.DataMissing` where its data is elsewhere and cannot be had; and what ``fetch`` raises.
        """
        return cls._of(whole(strictjson.loads(text, limits), text, limits, fetch))

    @classmethod
    def bare(cls, text: bytes | str, limits: Limits = DEFAULT_LIMITS) -> Self:
        """Read an envelope for what is around its data: where that is kept elsewhere, ``data`` is empty and ``original_digest`` names
        what it should be. Raises what :meth:`decode` raises."""
        return cls._of(unfetched(strictjson.loads(text, limits)))

    @classmethod
    def _of(cls, value: Any) -> Self:
        data = value.get("data") if isinstance(value, dict) else None
        if isinstance(data, dict):  # any object will do, so only what is around it is checked
            value = {**value, "data": {}}
        try:
            envelope = cls.model_validate_json(strictjson.dumps(value), by_alias=True, by_name=False)
        except ValidationError as error:
            raise InvalidEnvelope(f"the message is not an envelope: {faults(error)}") from None
        if envelope.contract.name != envelope.type:
            raise InvalidEnvelope(
                "the message is not an envelope: type and dataschema name different contracts"
            )
        return envelope.model_copy(update={"data": data})


def message_id(run: str, step: str) -> str:
    """The id of the message that starts ``step`` of ``run``: the same two always give the same id (UUID version 5)."""
    return str(uuid.uuid5(_NAMESPACE, f"{run}\n{step}"))


def run_id(flow: str, key: str) -> str:
    """The id of the run that ``key`` starts of ``flow``: the same two always give the same id (UUID version 5)."""
    return str(uuid.uuid5(_NAMESPACE, f"run\n{flow}\n{key}"))


def life_of(run: str, life: int) -> str:
    """The id of another life of a run, which somebody has started anew under its key when it had ended and was forgotten: ``life`` 0
    is the first one, which has the run's own id."""
    return f"{run}{_LIFE}{life}" if life else run


def first_life(run: str) -> str:
    """The id of the first life of a run, by that of any."""
    first, sign, life = run.rpartition(_LIFE)
    return first if sign and life.isdecimal() else run


def trace_parent(correlation_id: str, message: str) -> str:
    """W3C ``traceparent``: the trace is the run, the parent span is the message."""
    return f"00-{trace_of(correlation_id)}-{uuid.uuid5(_NAMESPACE, message).hex[:16]}-01"


def trace_of(correlation_id: str) -> str:
    """The trace that a run has of its own: 32 hexadecimal digits."""
    if _PLAIN_UUID.fullmatch(correlation_id):
        return correlation_id.replace("-", "")
    try:
        return uuid.UUID(correlation_id).hex
    except ValueError:
        return uuid.uuid5(_NAMESPACE, correlation_id).hex
