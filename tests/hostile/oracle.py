"""Oracle: what must hold after hostile input, whatever it was."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from tests.hostile import house
from tests.hostile.case import Case, Fate
from tests.hostile.installation import Site
from tests.waiting import wait_until

_TOKEN = re.compile(r"tok-[0-9a-f]{16}")
_RAW = re.compile(rb"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9;]*m)")
"""What no terminal should be sent: control characters but line breaks, tabs and colours."""
_MOST_MEMORY = 400  # MiB
_GOOD_RUNS = 30
_LATE = timedelta(seconds=20)


@dataclass
class Oracle:
    """Asks an installation whether it has come through. ``problems`` are lines for people."""

    site: Site
    problems: list[str] = field(default_factory=list)
    most_memory: int = _MOST_MEMORY
    letters: dict[str, set[str]] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)
    _settled: set[str] = field(default_factory=set)
    _since: str = ""
    _seen: int = 0

    def settle(self, cases: Sequence[Case], seconds: float = 60.0) -> None:
        """Wait until all of these are dealt with, and note what is not."""
        until = time.monotonic() + seconds
        while (left := self._left(cases)) and time.monotonic() < until and not self.dead():
            time.sleep(0.1)
        names = sorted({case.name for case in left})
        if left:
            self.problems.append(
                f"{len(left)} of {len(cases)} left no letter and are not done: {', '.join(names)};"
                f" {left[0].what}; in queues: {self.site.waiting()}"
            )
        self.look()

    def look(self) -> None:
        """Note who is dead, and who has grown."""
        self.problems += [
            f"{name} has ended: {program.last_words()}" for name, program in self.dead().items()
        ]
        for name, memory in self.site.memory().items():
            if memory > self.most_memory:
                self.problems.append(f"{name} takes {memory} MiB")

    def dead(self) -> dict[str, Any]:
        """The programs that have ended."""
        return {name: program for name, program in self.site.programs.items() if not program.running}

    def finish(self, cases: Iterable[Case], runs: int = _GOOD_RUNS) -> None:
        """Note what is wrong in the end: who is dead, letters that stand for several cases, good runs that do not complete, and
        what was printed raw."""
        self.look()
        if self.problems:
            return
        waiting = self.site.waiting()
        if waiting:
            self.problems.append(f"messages wait still: {waiting}")
        owners: dict[str, str] = {}
        for case in cases:
            for letter in self.letters.get(case.token, ()):
                if owners.setdefault(letter, case.token) != case.token:
                    self.problems.append(f"{case.name} {case.token} shares the letter {letter}")
        self._good_runs(runs)
        self._printed()

    def _left(self, cases: Iterable[Case]) -> list[Case]:
        """Those that have neither a letter nor, where they may, an outcome."""
        self._read_letters()
        left = [case for case in cases if case.fate is not Fate.NOTHING and case.token not in self.letters]
        maybe = [case for case in left if case.fate in {Fate.DONE, Fate.EITHER}]
        done = self._done() if maybe else set()
        return [case for case in left if not (case in maybe and case.token in done)]

    def _read_letters(self) -> None:
        """Find the tokens in the letters that are new."""
        namespace, since = self.site.installation.namespace, self._since
        query = "select id, message, text, last_failed_at from handoff_dead_letters where namespace = %s and last_failed_at >= %s"
        with psycopg.connect(self.site.installation.journal_url) as connection:
            for number, message, text, at in connection.execute(query, (namespace, since)):
                if number in self._read:
                    continue
                self._read.add(number)
                self._since = max(self._since, _before(at))
                for token in {*_tokens(json.loads(message)), *_TOKEN.findall(text)}:
                    self.letters.setdefault(token, set()).add(number)

    def _done(self) -> set[str]:
        """The tokens of what has an outcome."""
        namespace = self.site.installation.namespace
        query = "select id, entry from handoff_history where namespace = %s and kind = 'settled' and id > %s order by id"
        with psycopg.connect(self.site.installation.journal_url) as connection:
            for number, entry in connection.execute(query, (namespace, self._seen)):
                self._seen = number
                self._settled.update(_TOKEN.findall(entry))
        return self._settled

    def _good_runs(self, number: int) -> None:
        client = self.site.client
        mark = f"good-{time.monotonic_ns()}"
        parcels = [house.Parcel(number=f"{mark}-{one}") for one in range(number)]
        runs = [client.start(house.flow, parcel) for parcel in parcels]
        failed = [run.id for run in runs if run.wait(30) != "completed"]
        if failed:
            self.problems.append(f"{len(failed)} of {number} good runs do not complete")

        def heard() -> bool:
            query = "select count(distinct run) from handoff_history where namespace = %s and kind = 'settled' and entry like %s"
            with psycopg.connect(self.site.installation.journal_url) as connection:
                found = connection.execute(
                    query, (self.site.installation.namespace, "%hostile.ear%")
                ).fetchone()
            return found is not None and found[0] >= number

        wait_until(heard, description="the events of good runs are heard", timeout=30)
        if not any(self._is_shown(f"{mark}-shown-{one}") for one in range(6)):
            self.problems.append(f"Flower shows no good run: {self.site.flower.program.last_words()}")

    def _is_shown(self, number: str) -> bool:
        """Whether Flower shows a good run: events are dropped where it has not taken them in for some seconds."""
        run = self.site.client.start(house.flow, house.Parcel(number=number))
        until = time.monotonic() + 10
        while time.monotonic() < until:
            states = {task["state"] for task in self.site.flower.tasks() if task["root_id"] == run.id}
            if states == {"SUCCESS"}:
                return True
            time.sleep(0.2)
        return False

    def _printed(self) -> None:
        for name, program in self.site.programs.items():
            path = self.site.folder / f"{program.name}.log"
            found = _RAW.search(path.read_bytes()) if path.exists() else None
            if found:
                self.problems.append(f"{name} has printed {found.group()!r}")


def _before(at: str) -> str:
    """A moment before a time as the journal has it: letters of other transactions may come late."""
    return (datetime.fromisoformat(at) - _LATE).isoformat(timespec="milliseconds")


def _tokens(value: Any) -> Iterator[str]:
    """The tokens anywhere in a letter's message: in texts, and in texts in base64."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _TOKEN.findall(name)
            yield from _in_base64(inner) if name.endswith("base64") else _tokens(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _tokens(inner)
    elif isinstance(value, str):
        yield from _TOKEN.findall(value)


def _in_base64(text: object) -> list[str]:
    try:
        return _TOKEN.findall(base64.b64decode(str(text)).decode("latin-1"))
    except (binascii.Error, ValueError):
        return []
