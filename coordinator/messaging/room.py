"""Room: how much a message may carry. It is asked before anything is recorded, by the rules by which messages are read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.dataref import lightened
from handoffs.contracts.errors import TooLarge
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation.moves import Join
from handoffs.coordinator.continuation.schema import LONGEST_PACKED
from handoffs.coordinator.continuation.signature import PACKED
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.wire import NAMES

_ENVELOPE_DEPTH = 1
_ENVELOPE_NODES = 32
_AROUND_A_JOIN = 2_048
"""Octets that there are in the envelope of joined data, at most, beside the data and the versions of its parts."""

REMEDY = (
    "send large payloads by reference, or raise COORDINATOR_MAX_MESSAGE_BYTES in every process; above some 8 MiB"
    " RabbitMQ's max_message_size and COORDINATOR_BROKER_MESSAGE_BYTES as well, or set COORDINATOR_PAYLOADS__URL"
)
"""What to do about what is too large."""


class JoinRoom(NamedTuple):
    """How much joins may put together: so many ``octets``, and where these may take more in the body of a message than there is room
    for, at most ``body`` there, in which quotes and backslashes take two. 0 each: any number."""

    octets: int = 0
    body: int = 0

    def holds(self, text: str, octets: int) -> bool:
        """Whether there is room for JSON text, which has so many octets with what comes with it."""
        if not self.octets or octets > self.octets:
            return not self.octets
        return not self.body or octets + text.count('"') + text.count("\\") <= self.body


UNLIMITED = JoinRoom()


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be in an envelope, in a whole message, and in what the broker takes (octets). Of data of more than ``kept``
    octets it gets a reference only; 0: it gets all."""

    envelope: Limits
    message: Limits
    broker: int
    kept: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        kept = settings.payloads.threshold if settings.payloads.url else 0
        return cls(settings.envelope_limits, settings.message_limits, settings.broker_message_bytes, kept)

    @property
    def data(self) -> Limits:
        """Limits of the data in an envelope, all but its octets."""
        return self.envelope.inside(depth=_ENVELOPE_DEPTH, nodes=_ENVELOPE_NODES)

    def check(self, message: Message) -> None:
        """Raise :class:`TooLarge` where no worker could read the message, or the broker would not take it."""
        for name, longest in NAMES.items():
            if len(str(message.headers.get(name, ""))) > longest:
                raise _too_large(message, f"the header {name!r} has more than {longest} characters")
        body = message.body
        if self._is_small(body):
            return
        try:
            octets = len(strictjson.check_size(body, self.message).encode())
            [[envelope], *_] = json.loads(body)
            strictjson.check_size(envelope, self.envelope)
            if (
                self.message.text_length < LONGEST_PACKED and PACKED in body
            ):  # no other text but the envelope's may be as long
                strictjson.loads(body, self.message)
        except TooLarge as error:
            raise _too_large(message, error.cause, _remedy(error)) from None
        if octets > self.broker and self._sent(body, envelope) > self.broker:
            raise _too_large(message, f"it has {octets} bytes, and RabbitMQ is said to take {self.broker}")

    def holds(self, data: str) -> bool:
        """Whether a message has room for data (JSON text) at first sight, with whatever else is in it."""
        return self._is_small(data)

    def check_payload(self, payload: Contract, what: str = "") -> dict[str, Any]:
        """The data of a payload, as its reader will take it; ``what`` it is, for people.

        Raises :class:`TooLarge` where an envelope has no room for it, and :class:`~handoffs.contracts.errors.InvalidData` where it
        cannot be written, or not be read again: a field that is left out, or that is written in another form than it is read.
        """
        data = payload.to_data()
        self.read(strictjson.dumps(data), what or f"a {payload.ref()}")
        type(payload).from_data(data)
        return data

    def read(self, text: str, what: str) -> Any:
        """JSON text as it will be read as the data of an envelope. Raises :class:`TooLarge`, and what
        :func:`~handoffs.contracts.strictjson.loads` raises."""
        try:
            return strictjson.loads(text, self.data)
        except TooLarge as error:
            raise TooLarge(
                f"{what} is too large for a message: {error.cause}", remedy=_remedy(error)
            ) from None

    def check_part(self, data: str, joins: tuple[Join, ...]) -> None:
        """Raise :class:`TooLarge` where what these joins put together of data (JSON text) would be nested too deep to be read."""
        around = sum(0 if join.one else 2 if join.count else 1 for join in joins)
        try:
            strictjson.check_size(data, self.data.inside(depth=around))
        except TooLarge as error:
            raise TooLarge(f"it is too large for its join: {error.cause}", remedy=_remedy(error)) from None

    def check_parts(self, parts: Iterable[str], most: int) -> None:
        """Raise :class:`TooLarge` where parts of one join (JSON texts) are more than the ``most`` octets that it may put together."""
        octets = sum(map(octets_of, parts))
        if octets > most:
            raise TooLarge(
                f"its join would have {octets} bytes or more, and a message has room for {most}",
                remedy=REMEDY,
            )

    def check_joined(self, data: Any, parts: str, rest: Any, what: str) -> None:
        """Raise :class:`TooLarge` where JSON data that was put together has no room in an envelope with ``rest`` after it."""
        text = strictjson.dumps(data)
        self.check_part(text, ())
        octets, most = octets_of(text) + len(parts), self.for_join(rest)
        if not most.holds(text, octets):
            raise TooLarge(
                f"{what} has {octets} bytes, and a message has room for {most.octets}", remedy=REMEDY
            )

    def for_join(self, rest: Any) -> JoinRoom:
        """How much joins may put together, data and the versions of its parts, where ``rest`` is to come after them (JSON
        values)."""
        beside = octets_of(strictjson.dumps(rest)) + 2 * _AROUND_A_JOIN
        most = self.message.octets if self.kept else min(self.message.octets, self.broker)
        body = max(most - beside, 1)
        octets = max(min(self.envelope.octets - _AROUND_A_JOIN, body), 1)
        return JoinRoom(octets, 0 if 2 * octets <= body else body)

    def _sent(self, body: str, envelope: str) -> int:
        """How many octets the broker gets of the body of a message, in which this is the envelope."""
        light = lightened(envelope, self.kept, self.envelope) if self.kept else None
        if light is None:
            return octets_of(body)
        [_, *rest] = json.loads(body)
        return octets_of(strictjson.dumps([[light.envelope], *rest]))

    def _is_small(self, body: str) -> bool:
        """Whether it is within every limit at first sight. The envelope is a text in it, so its brackets count as well."""
        most = min(self.envelope.octets, self.broker) // 4
        return len(body) <= most and body.count("[") + body.count("{") <= self.envelope.depth


def octets_of(text: str) -> int:
    """How many octets text has as UTF-8, half characters counted as well."""
    return len(text.encode("utf-8", "surrogatepass"))


def _remedy(error: TooLarge) -> str:
    """What to do: a setting raises the limit on octets, and no other."""
    return REMEDY if error.remedy == strictjson.BY_REFERENCE else error.remedy


def _too_large(message: Message, cause: str, remedy: str = REMEDY) -> TooLarge:
    step = message.headers.get("handoff_step")
    return TooLarge(f"the message to {message.agent} for step {step} does not fit: {cause}", remedy=remedy)
