"""Content: what a message carries. By it copies of one message are known, and whether its headers say of themselves what is so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.envelope import message_id
from handoffs.contracts.errors import InvalidJson

_OF_THE_MOMENT = frozenset({"time", "source", "causationid", "traceparent", "tracestate", "baggage"})
"""What an envelope says of when it was written, by whom and because of what: that differs where the same message is made once more, as
that of a join is by whichever branch comes again."""


def content(
    agent: str, number: str, envelope: str, kwargs: Mapping[str, Any], rest: Mapping[str, Any]
) -> str:
    """Names what a message for ``agent`` carries, in 16 digits: its envelope, the arguments of its step, and what is to come after it
    (``rest``, with ``chain`` and ``chord``). A copy of it that is made again, retried or replayed has the same."""
    carried = _parsed(envelope)
    if "set" in kwargs:  # any of its events may bring it
        carried, kwargs, rest = kwargs["set"], {}, {}
    elif isinstance(carried, dict):
        carried = {name: value for name, value in carried.items() if name not in _OF_THE_MOMENT}
    told = [
        agent,
        number,
        envelope if carried is None else carried,
        dict(kwargs),
        rest.get("chain") or None,
        rest.get("chord") or None,
    ]
    try:
        text = strictjson.canonical(told)
    except InvalidJson:
        text = repr(told)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def agrees(number: str, run: str, step: str, envelope: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether a message that says that it is ``number``, for ``step`` of ``run``, carries the envelope of that. What an agent hears has
    the envelope of the event, which is another message; one without an id says nothing else."""
    carried = _parsed(envelope)
    if not isinstance(carried, dict) or not is_number(number, run, step):
        return False
    return carried.get("correlationid") == run and (carried.get("id") in (number, None) or "event" in kwargs)


def seems_to_agree(number: str, run: str, step: str, body: bytes) -> bool:
    """The same of a body that is too large to be parsed, by whether these words are in it."""
    words = (_within({"correlationid": run}), _within({"id": number}))
    return is_number(number, run, step) and all(word in body for word in words)


def is_number(number: str, run: str, step: str) -> bool:
    """Whether ``number`` is the id of the message for ``step`` of ``run``: each has its own."""
    try:
        return bool(run and step) and number == message_id(run, step)
    except UnicodeEncodeError:
        return False


def _within(pair: dict[str, str]) -> bytes:
    """A member of an envelope, as it stands in a body, where that is a text."""
    text = strictjson.dumps(pair)[1:-1]
    return strictjson.dumps(text)[1:-1].encode("utf-8", "surrogatepass")


def _parsed(text: str) -> Any:
    """A JSON text; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
