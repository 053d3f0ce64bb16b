"""Events under duress: messages twice and in any order, older readers among those who hear, and messages that nobody made."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from handoffs import Contract, Coordinator, Key, agent, on
from handoffs.contracts.migration import downcast, upcast
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.message import Message
from tests.eager.newsroom import Filed, Newsroom
from tests.examples import examples
from tests.waiting import wait_until

_FOREVER = timedelta(days=1)


@pytest.fixture
def wild(coordinator: Coordinator) -> Coordinator:
    """Eager, where messages come several times and in any order: ``coordinator.chance`` says which."""
    publisher: Any = coordinator.engine.publisher
    publish = publisher.publish
    seen: dict[str, int] = {}

    def disordered(messages: Iterable[Message], **options: Any) -> None:
        chance: random.Random = publisher.chance
        again = []
        for message in messages:
            times = 1 if seen.get(message.id, 0) > 3 else chance.choice([1, 1, 2, 3])
            seen[message.id] = seen.get(message.id, 0) + times
            again += [message] * times
        chance.shuffle(again)
        publish(again, **options)
        chance.shuffle(publisher._pending)

    publisher.publish = disordered
    return coordinator


@pytest.mark.timeout(300)  # some ten thousand messages, beside other tests
@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), parts=st.integers(1, 6), stories=st.integers(1, 3))
def test_any_order_and_several_times(wild: Coordinator, seed: int, parts: int, stories: int) -> None:
    """However often and in which order messages come, each effect is taken once, and each story has nothing left open."""
    room = Newsroom()
    wild.work(room.agents)
    wild.engine.negotiator.forget()
    publisher: Any = wild.engine.publisher
    publisher.chance = random.Random(seed)
    names = [f"{room.number}-{number}" for number in range(stories)]
    runs = [wild.emit(Filed(story=name, parts=parts)) for name in names]
    own = {what: count for what, count in room.effects.items() if not what.startswith("ear ")}
    expected = room.expected(*names, parts=parts)
    assert own == {what: count for what, count in expected.items() if not what.startswith("ear ")}
    assert wild.statuses(runs) == ["completed"] * stories
    for other in room.agents:  # so that the next example is alone
        publisher._patterns.pop(other.name, None)
        wild.engine.store.redis.zrem(wild.engine.store.keys.announced(), other.name)


class Noted(Contract, name="news.noted", version=2):
    """A note; version 1 had one text."""

    note: str = Key()
    title: str
    words: str = ""


@upcast(Noted, 1, 2)
def _split(data: dict[str, Any]) -> dict[str, Any]:
    title, _, words = data.pop("text").partition(": ")
    return {**data, "title": title, "words": words}


@downcast(Noted, 2, 1)
def _joined(data: dict[str, Any]) -> dict[str, Any]:
    return {"note": data["note"], "text": f"{data['title']}: {data['words']}"}


@pytest.fixture
def reading(live_coordinator: Coordinator) -> tuple[Coordinator, list[Noted]]:
    read: list[Noted] = []

    @on(Noted)
    @agent("news.reader")
    def reader(noted: Noted) -> None:
        read.append(noted)

    _publish_the_first(live_coordinator)
    live_coordinator.work([reader])
    return live_coordinator, read


def _publish_the_first(coordinator: Coordinator) -> None:
    """Have version 1 known, as a registry would."""
    versions: Any = coordinator.engine.versions
    versions.know(Noted)
    second = versions.get(Noted.ref())
    first = json.loads(
        json.dumps({"writes": second.writes, "reads": second.reads}).replace('"title"', '"text"')
    )
    for side in first.values():
        side["properties"].pop("words", None)
        side["required"] = sorted(set(side["required"]) - {"words"})
    ref = Noted.ref()._replace(version=1)
    versions._published[ref] = replace(second, ref=ref, fingerprint="sha256:" + "0" * 64, **first)


def test_written_for_all_who_hear(reading: tuple[Coordinator, list[Noted]]) -> None:
    """An event goes out once, in the newest version that every live subscriber reads; who reads a newer one upcasts it."""
    coordinator, read = reading
    said = coordinator.engine.announcements
    older = {
        "agent": "news.older", "queue": "news.older", "build": "b1",
        "accepts": {"news.noted": [1]}, "emits": {}, "subscribes": ["news.*"],
    }  # fmt: skip
    coordinator.engine.negotiator.forget()
    coordinator.emit(Noted(note="a", title="new", words="for all"))
    said.announce(older, "elsewhere", _FOREVER)
    coordinator.engine.negotiator.forget()
    story = coordinator.emit(Noted(note="b", title="old", words="for some"))
    wait_until(lambda: len(read) == 2, description="both are read")
    assert {one.words for one in read} == {"for all", "for some"}
    [entry] = wait_until(
        lambda: [one for one in story.history() if one["kind"] == "settled"], description="it is told"
    )
    assert (entry["read"], entry["original"]) == ("news.noted/1", "news.noted/2")
    assert story.status() == "running", "the older one has not heard it yet"


def test_an_event_of_a_newer_version_is_parked(anywhere: Coordinator) -> None:
    """Who cannot read an event parks it alone; nothing is given to its agent."""

    class Other(Contract, name="news.noted", version=3):
        note: str = Key()

    heard: list[Any] = []

    @on(Noted)
    @agent("news.behind")
    def behind(noted: Noted) -> None:
        heard.append(noted)

    anywhere.work([behind])
    story = anywhere.emit(Other(note="x"))
    assert story.wait(20) == "parked"
    [letter] = wait_until(story.letters, description="the letter is there")
    assert (letter.kind, letter.error, heard) == ("invalid-input", "UnknownVersion", [])


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"not json"},
        {"body": b"[]"},
        {"body": b'[["{}"], {"flow": "f"}, {}]'},
        {"body": b'[["{}"], {"flow": "f", "step": 3, "event": "x"}, {}]'},
        {"body": b'[["{}"], [], {}]'},
        {"headers": {"task": "coordinator.event", "id": "x"}},
        {"headers": {"task": "coordinator.event", "x-death": [{"queue": 7, "reason": "rejected"}]}},
        {"headers": {"task": "coordinator.event", "x-death": [{"queue": "a" * 5000, "reason": "rejected"}]}},
    ],
)
def test_what_nobody_made(coordinator: Coordinator, change: dict[str, Any]) -> None:
    """A message that pretends to be an event and is none is kept as undecodable, wherever it turns up."""
    headers = {"task": "coordinator.event", "id": "m", "handoff_run": "r", "handoff_flow": "f", "handoff_step": "s",
               "x-death": [{"queue": "news.reader", "reason": "rejected"}]}  # fmt: skip
    raw = RawLetter(**{"headers": headers, "body": b"{}", "content_type": "application/json", **change})
    assert coordinator.desk.receive(raw).kind == "undecodable"
    [row] = coordinator.desk.unheard(raw)
    assert row.kind == "undecodable"
