"""Measure: what a benchmark plays, and how its figures are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from redis import Redis, ResponseError

from bench.bars import Bar
from bench.cpu import Meter, server_processes, settle
from bench.peers.choice import side_classes
from bench.peers.ours import Ours
from bench.peers.side import NotDone, Setup, Side
from bench.samples import Sample
from bench.servers import Place, say

Size: TypeAlias = Literal["tiny", "quick", "full"]
T = TypeVar("T")
S = TypeVar("S", bound=Side)

STANDARD = Setup()


@dataclass(frozen=True, slots=True)
class Column:
    """A figure in a table: its key, its heading, digits after the point; ``compared``: the ratio to the baseline stands beside it."""

    key: str
    heading: str
    digits: int = 1
    compared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One of the things that are measured.

    explains
        How it is measured, and what is not compared fairly, as Markdown.
    unit
        What the processor time is told for one of; empty where it is not told.
    play
        Gives its samples.
    """

    name: str
    title: str
    explains: str
    columns: tuple[Column, ...]
    play: Callable[[Bench], Iterable[Sample]]
    unit: str = "run"
    bars: tuple[Bar, ...] = ()


@dataclass
class Bench:
    """What a measure plays on: servers, and the sides with their workers. The standard workers of each side stay for the next
    measure."""

    place: Place
    size: Size = "full"
    optional: Sequence[str] = ()
    rounds: int | None = None
    _standing: ExitStack = field(default_factory=ExitStack)
    _sides: dict[str, Side] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._servers = server_processes(self.place.broker_url, self.place.redis_url)

    def of_size(self, *, tiny: T, quick: T, full: T) -> T:
        """How much of something there is to be."""
        match self.size:
            case "tiny":
                return tiny
            case "quick":
                return quick
            case "full":
                return full

    def rounds_of(self, full: int, quick: int = 2) -> int:
        """How many rounds a measure plays: as it was asked for, or as its size has it."""
        return self.rounds or self.of_size(tiny=1, quick=min(full, quick), full=full)

    def sides(self) -> dict[str, Side]:
        """All sides with their standard workers, warm."""
        for name, kind in side_classes(self.optional).items():
            if name not in self._sides:
                self._sides[name] = self._standing.enter_context(self.opened(kind(self.place, STANDARD)))
        return dict(self._sides)

    def ours(self) -> Ours:
        """The product with its standard workers."""
        found = self.sides()[Ours.name]
        assert isinstance(found, Ours)
        return found

    def opened(self, side: S) -> AbstractContextManager[S]:
        """A side with its workers, warm, for as long as the block runs."""
        return _Opened(side, self.of_size(tiny=4, quick=40, full=80))

    def part_company(self) -> None:
        """End the standard workers: a measure with workers of its own is to have the machine for itself."""
        self._standing.close()
        self._sides.clear()

    def metered(
        self, side: Side, work: Callable[[], Mapping[str, float]]
    ) -> tuple[Mapping[str, float], dict[str, float]]:
        """What ``work`` gives, and the processor time that this process, the workers of a side and the servers took for it."""
        settle()
        meter = self.meter(side)
        values = work()
        return values, meter.read()

    def meter(self, side: Side) -> Meter:
        """What meters this process, the workers of a side and the servers."""
        return Meter({"workers": side.workers.pids, **self._servers})

    @contextmanager
    def redis_syncing(self, when: str) -> Iterator[None]:
        """For the block, Redis has what it is given on its disk ``always`` before it answers, or ``everysec``: once a second.

        Raises :class:`NotDone` where it does not let that be set."""
        with Redis.from_url(self.place.redis_url, decode_responses=True) as redis:
            try:
                before = redis.config_get("appendfsync")["appendfsync"]
                redis.config_set("appendfsync", when)
            except (ResponseError, KeyError) as error:
                raise NotDone(f"Redis does not let its appendfsync be set to {when}: {error}") from None
            try:
                yield
            finally:
                redis.config_set("appendfsync", before)

    def server(self, name: str) -> Sequence[int]:
        """The processes of a server; none where it runs elsewhere."""
        return self._servers.get(name, ())

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.part_company()


class _Opened(AbstractContextManager[S]):
    def __init__(self, side: S, runs: int) -> None:
        self._side = side
        self._runs = runs

    def __enter__(self) -> S:
        say(
            f"  {self._side.name}: starting {self._side.setup.processes} workers of {self._side.setup.threads} threads"
        )
        self._side.__enter__()
        try:
            self._side.warm_up(self._runs)
        except BaseException:
            self._side.close()
            raise
        return self._side

    def __exit__(self, *_: object) -> None:
        self._side.close()


def told(samples: Iterable[Sample]) -> Iterator[Sample]:
    """The same samples, each told to whoever watches."""
    for one in samples:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in one.values.items())
        say(f"  {one.case}: round {one.round}: {one.side}: {figures}")
        yield one
