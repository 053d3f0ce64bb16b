"""A choreography: a story comes in, its parts are set, an issue is made of them, and others hear of all that."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

from handoffs import Context, Contract, Event, Key, Permanent, Retry, agent, field, gather, on
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.subscription import Complete

_worlds = count(1)


class Filed(Contract, name="news.filed", version=1):
    story: str = Key()
    parts: int = 3


class Ordered(Contract, name="news.ordered", version=1):
    story: str = Key()
    number: int = Key()
    parts: int


class Set(Contract, name="news.set", version=1):
    story: str = Key()
    number: int = Key()
    parts: int
    text: str = ""


class Parts(Contract, name="news.parts", version=1):
    parts: list[Set]


class Printed(Contract, name="news.printed", version=1):
    story: str = Key()
    text: str


class Newsroom:
    """Agents that count what they did, and fail while told to; their names are this newsroom's alone."""

    def __init__(
        self,
        *,
        until: str | Complete = "parts",
        within: timedelta = timedelta(hours=1),
        partial: bool = False,
    ) -> None:
        self.number = next(_worlds)
        self.effects: Counter[str] = Counter()
        self.seen: defaultdict[str, list[Any]] = defaultdict(list)
        self.broken: set[str] = set()
        self._lock = threading.Lock()
        self.desk = self._desk()
        self.setter = self._setter()
        self.press = self._press(until, within, partial)
        self.archive = self._archive()
        self.late_shift = self._late_shift()
        self.ear = self._ear()

    @property
    def agents(self) -> list[Agent]:
        return [self.desk, self.setter, self.press, self.archive, self.late_shift, self.ear]

    def name(self, what: str) -> str:
        return f"news{self.number}.{what}"

    def did(self, what: str, key: str, seen: Any = None) -> None:
        if what in self.broken or f"{what} {key}" in self.broken:
            raise Permanent(f"{what} is broken")
        with self._lock:
            self.effects[f"{what} {key}"] += 1
            self.seen[what].append(seen)

    def _agent(self, what: str, **options: Any) -> Callable[[Any], Agent]:
        retry = Retry(attempts=2, backoff=timedelta(milliseconds=1))
        return agent(self.name(what), retry=retry, **options)

    def _desk(self) -> Agent:
        @on(Filed)
        @self._agent("desk")
        def desk(filed: Filed) -> list[Ordered]:
            self.did("desk", filed.story)
            numbers = range(filed.parts)
            return [Ordered(story=filed.story, number=number, parts=filed.parts) for number in numbers]

        return desk

    def _setter(self) -> Agent:
        @on(Ordered)
        @self._agent("setter")
        def setter(ordered: Ordered) -> Set:
            self.did("setter", f"{ordered.story}/{ordered.number}")
            return Set(**ordered.to_data(), text=f"part {ordered.number}")

        return setter

    def _press(self, until: str | Complete, within: timedelta, partial: bool) -> Agent:
        @on(Set, gather=gather("parts", by="story", until=until, within=within, partial=partial))
        @self._agent("press")
        def press(parts: Parts, context: Context) -> Printed:
            story = parts.parts[0].story
            self.did("press", story, (context.key, len(parts.parts)))
            return Printed(story=story, text="; ".join(part.text for part in parts.parts))

        return press

    def _archive(self) -> Agent:
        @on(Printed)
        @self._agent("archive")
        def archive(printed: Printed, context: Context) -> None:
            self.did("archive", printed.story, (printed.text, context.run_id))

        return archive

    def _late_shift(self) -> Agent:
        @on(Ordered, where=field("number") >= 2)
        @self._agent("late-shift")
        def late_shift(ordered: Ordered) -> None:
            self.did("late-shift", f"{ordered.story}/{ordered.number}")

        return late_shift

    def _ear(self) -> Agent:
        @on("news.*")
        @self._agent(
            "ear", key=lambda event: f"{event.contract} {event.data.get('story')} {event.data.get('number')}"
        )
        def ear(event: Event) -> None:
            self.did("ear", f"{event.contract}/{event.version}", event.data)

        return ear

    def expected(self, *stories: str, parts: int = 3) -> Counter[str]:
        """The effects of stories that went through: each once."""
        effects: Counter[str] = Counter()
        for story in stories:
            effects.update([f"desk {story}", f"press {story}", f"archive {story}"])
            effects.update(f"setter {story}/{number}" for number in range(parts))
            effects.update(f"late-shift {story}/{number}" for number in range(2, parts))
            effects["ear news.filed/1"] += 1
            effects["ear news.ordered/1"] += parts
            effects["ear news.set/1"] += parts
            effects["ear news.printed/1"] += 1
        return effects
