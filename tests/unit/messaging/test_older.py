"""Messages of older releases: what was in flight when this release came is read, is its run's own, and goes on.

``older/`` has messages as they were published, one a line, by the day of the commit that wrote them: of every kind of step, timer,
undoing, event and set. They are taken from RabbitMQ, and never changed: what a new release cannot read of them is mended there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handoffs.contracts.envelope import Envelope
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation import advance, schema
from handoffs.coordinator.continuation.moves import Cursor, Go, Value
from handoffs.coordinator.continuation.signature import CONTROLS, EVENT, JOIN, TIMER
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.diagnosis import Diagnosis
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.address import addressed
from handoffs.coordinator.messaging.wire import Body, read_message

LIMITS = Limits()
FOLDER = Path(__file__).parent / "older"
EMITS_WHAT_IT_GETS = frozenset(f"up.{name}" for name in ("one", "two", "left", "right", "pack"))

Stored = dict[str, Any]


def _messages() -> list[Any]:
    return [
        pytest.param(json.loads(line), id=f"{path.stem}-{number}")
        for path in sorted(FOLDER.glob("*.jsonl"))
        for number, line in enumerate(path.read_text("utf-8").splitlines())
    ]


ALL = _messages()
each_message = pytest.mark.parametrize("stored", ALL)


def _read(stored: Stored) -> Body:
    return read_message(stored["headers"], stored["body"], "application/json", "utf-8", LIMITS)


def _tasks(value: Any) -> set[str]:
    """The tasks of all signatures in what was read."""
    if isinstance(value, dict):
        own = {value["task"]} if isinstance(value.get("task"), str) else set()
        return own.union(*map(_tasks, value.values()))
    return set().union(*map(_tasks, value)) if isinstance(value, list) else set()


@each_message
def test_what_an_older_release_has_sent_is_read_as_it_is(stored: Stored) -> None:
    """Neither headers nor arguments nor the rest of the flow of a message in flight are malformed for this release."""
    read = _read(stored)
    written = json.loads(stored["body"])
    assert [[read.envelope], read.kwargs, read.continuation] == written
    assert Envelope.decode(read.envelope, LIMITS).correlation_id == stored["headers"]["handoff_run"]


@each_message
def test_what_an_older_release_has_parked_is_a_letter_of_its_run(stored: Stored) -> None:
    """What lies in the queue of dead letters from before is the letter of its own step, under its own id, and can be replayed."""
    headers = {**stored["headers"], "x-death": [{"reason": "rejected", "queue": stored["agent"], "count": 1}]}
    found = Diagnosis(LIMITS).of(RawLetter(headers, stored["body"].encode(), "application/json"))
    assert found.agrees
    assert found.id == stored["headers"]["id"]
    assert found.failure.kind not in {FailureKind.UNDECODABLE, FailureKind.TOO_LARGE}
    assert (found.place.run, found.place.step) == (headers["handoff_run"], headers["handoff_step"])


@pytest.mark.parametrize("stored", [one for one in ALL if one.values[0]["headers"]["task"] == EVENT])
def test_an_event_of_an_older_release_is_heard(stored: Stored) -> None:
    """Who subscribes gets the event as a message of its own, which is read as well."""
    headers, body, own = addressed(stored["headers"], _read(stored), "up.hear")
    assert read_message(headers, body, "application/json", "utf-8", LIMITS) == own


@pytest.mark.parametrize(
    "stored", [one for one in ALL if one.values[0]["headers"]["task"] in EMITS_WHAT_IT_GETS]
)
def test_a_run_goes_on_along_what_an_older_release_wrote_of_its_flow(stored: Stored) -> None:
    """The rest of the flow that travels in the message of before is followed, and what is sent on by it is of the schema."""
    read = _read(stored)
    envelope = Envelope.decode(read.envelope, LIMITS)
    cursor = Cursor(
        str(read.kwargs["step"]), read.continuation.get("chain") or [], read.continuation.get("chord")
    )
    moves = advance.after(advance.checked(cursor), Value(envelope.data_schema, envelope.data))
    assert moves
    for move in moves:
        if isinstance(move, Go):
            sent = move.send.signature["kwargs"]
            schema.check(sent, {"chain": move.send.chain, "chord": move.send.chord})


def test_there_are_messages_with_every_kind_of_step() -> None:
    """None of what a flow may be composed of is missing in what is kept of a release."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        within = _tasks([json.loads(line["body"])[1:] for line in lines])
        assert within >= {*CONTROLS, JOIN}
        assert {line["headers"]["task"] for line in lines} >= {EVENT, TIMER}
