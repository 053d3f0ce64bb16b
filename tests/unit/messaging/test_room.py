"""Room: what a message may carry, by the rules by which it is read, and by what RabbitMQ takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs import Contract, Flow, Key, agent
from handoffs.config.payloads import PayloadSettings
from handoffs.config.settings import Settings
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidInput, TooLarge
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.room import UNLIMITED, JoinRoom, Room, octets_of
from handoffs.coordinator.messaging.wire import read_message
from tests.deliveries import start
from tests.examples import examples


class Text(Contract, name="room.text", version=1):
    id: str = Key()
    text: str


@agent("room.reads")
def reads(text: Text) -> Text:
    return text


SETTINGS = Settings(max_message_bytes=2_048)
ROOM = Room.of(SETTINGS)


def sent(text: str) -> Message:
    [message] = start(Flow("room.flow", reads >> reads), Text(id="1", text=text))
    return message


def is_read(message: Message) -> bool:
    """Whether a worker reads it."""
    try:
        body = read_message(
            message.headers, message.body, "application/json", "utf-8", SETTINGS.message_limits
        )
        Envelope.decode(body.envelope, SETTINGS.envelope_limits)
    except InvalidInput:
        return False
    return True


@examples(100)
@given(text=st.text(st.sampled_from('x"\\é€\x01{['), min_size=0, max_size=40), times=st.integers(1, 60))
def test_it_has_room_where_it_is_read(text: str, times: int) -> None:
    """What a message has room for is what a worker reads, to the octet, whatever its text is of."""
    message = sent(text * times)
    if is_read(message):
        ROOM.check(message)
    else:
        with pytest.raises(TooLarge):
            ROOM.check(message)


def test_what_rabbitmq_takes() -> None:
    """A message that is read and that RabbitMQ does not take has no room either: its body counts, where quotes take more."""
    message = sent('"' * 200)
    octets = len(message.body.encode())
    replace(ROOM, broker=octets).check(message)
    with pytest.raises(TooLarge, match="RabbitMQ is said to take"):
        replace(ROOM, broker=octets - 1).check(message)


def test_what_rabbitmq_gets_of_a_large_payload() -> None:
    """Where large payloads are kept elsewhere, RabbitMQ is to take the reference only, and joins have all the room of an envelope."""
    large = Settings(
        max_message_bytes=33_554_432, payloads=PayloadSettings(url="file:///kept", threshold=1_024)
    )
    message, room = sent("x" * 1_500), Room.of(large)
    light = 1_900
    assert len(message.body) > light
    replace(room, broker=light).check(message)
    for other in (replace(room, broker=light, kept=0), replace(room, broker=light, kept=4_096)):
        with pytest.raises(TooLarge, match="RabbitMQ is said to take"):
            other.check(message)
    assert room.for_join([]) == (33_554_432 - 2_048, 0)


def test_names_of_steps() -> None:
    """A step's path that no worker would take from a header has no room."""
    message = sent("x")
    with pytest.raises(TooLarge, match="handoff_step"):
        ROOM.check(replace(message, headers={**message.headers, "handoff_step": "1." * 600}))


def test_room_of_joins() -> None:
    """Joins have room for what an envelope has, less what is around it; where a body has less, for that, and then quotes count."""
    large = Room.of(Settings(max_message_bytes=33_554_432))
    assert ROOM.for_join([]).body == 0
    octets, body = large.for_join([])
    assert octets == body
    assert 16_000_000 < octets < 16_777_216
    assert large.for_join(["x" * 1_000_000]).octets < octets - 990_000


def test_what_a_join_has_room_for() -> None:
    """So many octets as there may be, quotes and backslashes twice where a body has less room; anything where nothing is said."""
    assert UNLIMITED.holds("x", 10**12)
    assert JoinRoom(10).holds('""', 10)
    assert not JoinRoom(10).holds('""', 11)
    assert JoinRoom(10, 12).holds('"\\', 10)
    assert not JoinRoom(10, 11).holds('"\\', 10)
    assert octets_of("ä\ud800") == 5
