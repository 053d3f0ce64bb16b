"""Envelope: what its attributes mean, for people and for programs."""

from __future__ import annotations

from typing import Any

from handoffs.contracts.envelope import Envelope

ATTRIBUTES = {
    "specversion": "The version of CloudEvents.",
    "id": "The message: the same step of the same run always has the same.",
    "source": "Who wrote it: /agents/<agent>, or /coordinator.",
    "type": "The contract's name.",
    "dataschema": "The exact version of the contract: urn:contract:<name>:<version>.",
    "datacontenttype": "The media type of the data.",
    "subject": "The business object that it is about, where the contract has key fields.",
    "time": "When it was written.",
    "correlationid": "The run, which names the whole story.",
    "causationid": "The id of the message that caused this one.",
    "idempotencykey": "The key under which the receiver takes its effect once.",
    "expirytime": "When the work is no longer wanted; without it, it always is.",
    "traceparent": "W3C Trace Context: the trace in which the story began, or one of its own, named after the run.",
    "tracestate": "W3C Trace Context.",
    "baggage": "W3C Baggage, where the story began with some.",
    "fallback": "Where the data took the place of what was not there in time: `cache age=12.3s`, `constant` or `agent`.",
    "originalschema": "Where the data was written in an older version for its readers: the version that the producer made.",
    "originaldigest": "In the same case: the SHA-256 of the data that the producer made.",
    "joinschemas": "Of a join: the contract version of each branch's part, branch=<dataschema>, separated by spaces.",
}


def attributes() -> dict[str, Any]:
    """The JSON Schema of an envelope's attributes, all but ``data``. An attribute without a value is absent."""
    schema = Envelope.model_json_schema(by_alias=True)
    properties = {
        name: _attribute(name, part) for name, part in schema["properties"].items() if name != "data"
    }
    required = [name for name in schema["required"] if name != "data"]
    return {
        "type": "object",
        "properties": dict(sorted(properties.items())),
        "required": sorted({*required, "specversion", "datacontenttype"}),
    }


def _attribute(name: str, part: dict[str, Any]) -> dict[str, Any]:
    given = [choice for choice in part.get("anyOf", [part]) if choice.get("type") != "null"]
    words = {word: value for word, value in given[0].items() if word not in ("default", "title")}
    return {**words, "description": ATTRIBUTES.get(name, "")} if ATTRIBUTES.get(name) else words
