"""Sets: the events that an agent waits for, until they are complete. Each belongs to one agent, and to no story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Arguments, Asking, Call, Command, RoundTrip
from handoffs.coordinator.store.fields import SetKind
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.performing import Performed
from handoffs.coordinator.store.record import Record, StepRef


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a part: ``added``, ``again`` (it was there), ``conflict`` (it is there with another content), ``full`` or
    ``late`` (the set was worked on before, without it); how many parts there are, whether this one began the set, and
    whether the set was worked on."""

    verdict: str
    count: int
    first: bool
    finished: bool
    born: str = ""
    """When the set began, which names it beside its key: one that comes again under that is another set. Empty for one of an older
    release."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A set as it is: its parts in the order of their names, the stories that they came from, and whether it was worked on."""

    parts: tuple[Record, ...]
    stories: tuple[tuple[str, str], ...]
    """As (run, flow)."""
    finished: bool
    content: str = ""
    """Names what is in it: the names and the contents of its parts."""


class AskEventSets:
    """The sets of one installation. Each method gives what it asks of Redis (``asking.py``)."""

    def __init__(self, settings: Settings) -> None:
        self._keys = Keys(settings.prefix, settings.shards)
        self._run_ttl = clock.ms(settings.run_ttl)
        self._result_ttl = clock.ms(settings.result_ttl)

    def add(
        self,
        agent: str,
        key: str,
        part: str,
        record: Record,
        ref: StepRef,
        *,
        content: str,
        older: str = "",
        within: timedelta,
        most: int,
    ) -> Asking[Added]:
        """Add a part to the set ``key`` of an agent, at most ``most`` of them; ``content`` names what it says, in whichever
        version, and ``older`` what the release before called that; ``ref`` is where it came from.

        Many parameters because the script is asked for all of them at once, each by its name.
        """
        ttl = max(self._run_ttl, clock.ms(2 * within))
        text = f"{content} {ref.run} {ref.flow}\n{record.part()}"
        arguments: Arguments = {"part": part, "text": text, "most": most, "ttl": ttl, "older": older}
        call = Call("gather", {"set": self._keys.gathered(agent, key)}, arguments)
        [[verdict, count, first, finished, born]] = yield RoundTrip.of(call)
        return Added(str(verdict), int(count), first == "1", finished == "1", str(born))

    def get(self, agent: str, key: str) -> Asking[Gathered]:
        """A set; an empty one where there is none."""
        [fields] = yield RoundTrip.of(Command("HGETALL", self._keys.gathered(agent, key)))
        return _gathered(fields)

    def take(self, agent: str, key: str) -> Asking[Gathered]:
        """The same, to be worked on: from now on it takes no further parts. Whoever takes it again gets the same ones."""
        call = Call("take_set", {"set": self._keys.gathered(agent, key)}, {"ttl": self._run_ttl})
        [reply] = yield RoundTrip.of(call)
        return _gathered(dict(zip(reply[::2], reply[1::2], strict=True)))

    def finish(self, agent: str, key: str, within: timedelta) -> Asking[None]:
        """A set was worked on: it takes no more parts, and is kept for a while, for messages that come again: that of its time
        is among them."""
        ttl = max(self._result_ttl, clock.ms(2 * within))
        yield RoundTrip.of(Call("finish_set", {"set": self._keys.gathered(agent, key)}, {"ttl": ttl}))

    def touch(self, names: Iterable[str]) -> Asking[None]:
        """Keep sets from expiring, by their :meth:`name`: those that wait for a person."""
        yield RoundTrip(tuple(Command("PEXPIRE", self._keys.set(name), self._run_ttl) for name in names))

    def name(self, agent: str, key: str) -> str:
        """What stands for a set where its key must not be shown: ``media.assemble/9f86d081884c7d65...``."""
        return self._keys.set_name(agent, key)


class EventSets:
    """The sets of one installation, performed at once: for timers and tests. What is done within a handoff is asked through
    ``asks``. Raises :class:`~handoffs.coordinator.errors.ServerError` from every method that performs when Redis cannot be
    used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.redis = redis
        self.asks = AskEventSets(settings)
        self.name = self.asks.name

    add = Performed(AskEventSets.add, "asks")
    get = Performed(AskEventSets.get, "asks")
    take = Performed(AskEventSets.take, "asks")
    finish = Performed(AskEventSets.finish, "asks")
    touch = Performed(AskEventSets.touch, "asks")


def _gathered(fields: Mapping[str, str]) -> Gathered:
    """A set by the fields of its hash."""
    parts = [
        (name, *text.partition("\n")[::2])
        for name, text in sorted(fields.items())
        if name.startswith(SetKind.PART)
    ]
    return Gathered(
        tuple(Record.parse(text) for _, _, text in parts),
        tuple(dict.fromkeys(_story(head) for _, head, _ in parts)),
        "finished" in fields,
        strictjson.digest([[name, head.partition(" ")[0]] for name, head, _ in parts]),
    )


def _story(head: str) -> tuple[str, str]:
    _, run, flow = (*head.split(" ", 2), "", "")[:3]
    return run, flow
