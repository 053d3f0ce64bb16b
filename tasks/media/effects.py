"""Effects: what an agent really did, a line for each time, so that a test can count it.

The file belongs to one agent, whose processes all append to it. A line is written after its effect; who dies in between
does the work again, finds the effect there, and writes that. So every effect has a line, and none has two ``written``. Lines
of different processes may be in another order than their effects: who finds one may say so before who wrote it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from handoffs.coordinator import Transient

Effect = Literal["written", "found", "differs", "purged"]
_EFFECTS: Final = frozenset({"written", "found", "differs", "purged"})


class EffectsUnavailable(Transient):
    """The file of effects cannot be read or written just now."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What the lines say.

    keys
        How many things there were an effect on: a rendition, a package, a title at an edge.
    written
        How often one was written.
    doubled
        How often one was written that had been written already.
    found
        How often the work was asked for again, and the effect was there.
    differing
        How often it was asked for again with another content, and refused.
    purged
        How often one was removed on purpose; it may be written again after that.
    unreadable
        Lines that a full disk or a crash of the machine cut off.
    """

    keys: int = 0
    written: int = 0
    doubled: int = 0
    found: int = 0
    differing: int = 0
    purged: int = 0
    unreadable: int = 0


class Effects:
    """The effects of one agent, in an append-only file. Nothing is opened at construction. Safe for threads and processes.

    Its methods raise :class:`EffectsUnavailable`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, effect: Effect, key: str) -> None:
        """Append one line."""
        line = f"{json.dumps([effect, key])}\n".encode()
        try:
            self._append(line)
        except OSError as error:
            raise _unavailable(error) from error

    def tally(self) -> Tally:
        """Count all lines."""
        counts: Counter[str] = Counter()
        keys: set[str] = set()
        there: set[str] = set()
        for effect, key in self._lines():
            counts[effect] += 1
            if effect == "written":
                counts["doubled"] += key in there
                there.add(key)
            elif effect == "purged":
                there.discard(key)
            if effect in ("written", "found"):
                keys.add(key)
        return Tally(
            keys=len(keys),
            written=counts["written"],
            doubled=counts["doubled"],
            found=counts["found"],
            differing=counts["differs"],
            purged=counts["purged"],
            unreadable=counts[""],
        )

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            end = os.fstat(descriptor).st_size
            if end and os.pread(descriptor, 1, end - 1) != b"\n":
                line = b"\n" + line  # the last one was cut off: it must not take this one with it
            written = os.write(descriptor, line)  # one write: lines of other processes go before or after it
        finally:
            os.close(descriptor)
        if written < len(line):
            raise OSError(None, "the line was cut off")

    def _lines(self) -> Iterator[tuple[str, str]]:
        try:
            with self.path.open("rb") as file:
                for line in file:
                    if (
                        line != b"\n"
                    ):  # written where a line only seemed to be cut off: another was just being written
                        yield _read(line)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unavailable(error) from error


def _read(line: bytes) -> tuple[str, str]:
    """The effect and the key of a line; an empty effect where it is none."""
    try:
        effect, key = json.loads(line)
    except (ValueError, TypeError):
        return "", ""
    if not (isinstance(effect, str) and isinstance(key, str) and effect in _EFFECTS):
        return "", ""
    return effect, key


def _unavailable(error: OSError) -> EffectsUnavailable:
    return EffectsUnavailable(
        f"the file of effects cannot be used: {error.strerror or type(error).__name__}",
        "what was done is not counted yet",
        "see that its folder is there, writable, and not full",
    )
