"""Load: many titles at once, and how far they are."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from handoffs.contracts import CoordinationError
from handoffs.contracts.reference.media import TitleUploaded
from handoffs.coordinator import Run
from handoffs.tasks.media.counts import Counts
from handoffs.tasks.media.ladder import ladder
from handoffs.tasks.media.stage import Stage
from handoffs.tasks.media.uploads import Uploads
from handoffs.tasks.memory import memory_of

STALLED: Final = 300.0
"""For how many seconds nothing may happen before what has not come is lost."""

QUIET: Final = 5.0
"""After how many seconds without anything new the stories are asked what became of them."""

_EMITTERS = 8
_LOOK = 0.2  # seconds
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: titles that were ``emitted``, ``renditions`` made, titles on the shelf, and ``seconds`` so far."""

    emitted: int = 0
    renditions: int = 0
    shelved: int = 0
    seconds: float = 0.0

    @property
    def open(self) -> int:
        """The titles that are under way."""
        return self.emitted - self.shelved


@dataclass
class Load:
    """One load of so many titles. What it has come to can be asked for from another thread."""

    stage: Stage
    counts: Counts
    uploads: Uploads
    titles: int
    stalled: float = STALLED
    quiet: float = QUIET
    on_shelf: Callable[[list[str]], None] = lambda _: None
    """Takes the titles that are on the shelf now."""
    progress: Progress = field(default_factory=Progress)
    most_open: int = 0
    peaks: dict[str, int] = field(default_factory=dict)
    """The most memory that each process had, in octets, where the kernel says so."""
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._over = threading.Event()
        self._under_way: list[Run] = []
        self._ended: Counter[str] = Counter()

    def play(self) -> None:
        """Emit all titles, and return when every story has ended or is parked, or nothing has happened for too long.

        Raises what :meth:`handoffs.coordinator.client.coordinator.Coordinator.emit` raises.
        """
        self._began = time.monotonic()
        watcher = threading.Thread(target=self._watch, name="media-load", daemon=True)
        watcher.start()
        try:
            with ThreadPoolExecutor(_EMITTERS, "emit") as pool:
                for run in pool.map(self._emit, map(self.uploads.title, range(1, self.titles + 1))):
                    self.runs.append(run)
            self._under_way = list(self.runs)
            self._settle()
        finally:
            self._over.set()
            watcher.join()
        self._look()

    @property
    def renditions(self) -> int:
        """How many renditions a title has."""
        first = self.uploads.title(1)
        return len(ladder(first.ladder, width=first.width, height=first.height, has_audio=first.has_audio))

    def figures(self) -> dict[str, Any]:
        """What there is to say of it, as JSON values: titles, renditions, those that are lost or doubled, seconds, rates, and
        the peak of each process's memory in megabytes."""
        self._all_ended()
        counted, seconds = self.counts.account(len(self.runs), self.renditions), self.progress.seconds
        mine = {run.id for run in self.runs}
        letters = self.stage.coordinator.desk.waiting(mine)
        return {
            "titles": counted.titles,
            "renditions": counted.renditions,
            "packaged": counted.packaged,
            "copies": counted.copies,
            "indexed": counted.indexed,
            "shelved": counted.shelved,
            "lost": counted.lost,
            "doubled": counted.doubled,
            "dead_letters": len(letters),
            "completed": self._ended["completed"],
            "seconds": round(seconds, 2),
            "titles_per_second": round(counted.shelved / max(seconds, 0.01), 2),
            "renditions_per_second": round(counted.renditions / max(seconds, 0.01), 1),
            "most_open": self.most_open,
            "where": self.stage.where,
            "peak_memory_mb": {name: round(octets / 2**20, 1) for name, octets in self.peaks.items()},
        }

    def _emit(self, title: TitleUploaded) -> Run:
        return self.stage.coordinator.emit(title)

    def _watch(self) -> None:
        while not self._over.wait(_LOOK):
            with suppress(
                CoordinationError
            ):  # a server is away: the last look, or the next question, says so
                self._look()

    def _look(self) -> None:
        seconds = time.monotonic() - self._began
        titles = self.counts.look()
        self.progress = Progress(len(self.runs), self.counts.renditions, self.counts.shelved, seconds)
        self.most_open = max(self.most_open, self.progress.open)
        for name, process in self.stage.processes().items():
            memory = memory_of(process)
            if memory is not None:
                self.peaks[name] = max(self.peaks.get(name, 0), memory.peak)
        if titles:
            self.on_shelf(titles)

    def _settle(self) -> None:
        """Wait until all have ended."""
        last, since = (0, 0), time.monotonic()
        while time.monotonic() - since < self.stalled:
            now = (self.progress.renditions, self.progress.shelved)
            if now != last:
                last, since = now, time.monotonic()
            quiet = time.monotonic() - since > self.quiet
            if (quiet or now[1] >= self.titles) and self._all_ended():
                return
            time.sleep(self.quiet if quiet else _LOOK)

    def _all_ended(self) -> bool:
        """Whether no story is running any more. Those that have ended are asked once, and those after one that runs later on:
        a run has all that was made in it, and there may be thousands."""
        while self._under_way:
            some = self._under_way[:_AT_ONCE]
            statuses = self.stage.coordinator.statuses(some)
            self._ended.update(status for status in statuses if status != "running")
            going = [run for run, status in zip(some, statuses, strict=True) if status == "running"]
            self._under_way[:_AT_ONCE] = going
            if going:
                return False
        return True
