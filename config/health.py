"""Health: what a process says of itself, in a file, and the check that reads it (``python -m handoffs.config.health [URL]``).

The check must cost little, for it runs every few seconds in every container: the standard library, and nothing of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal, get_args
from urllib.request import ProxyHandler, build_opener

VARIABLE = "COORDINATOR_HEALTH_FILE"
STALE_AFTER = 30.0
"""Seconds. A process that is ready says so every three; one that has been silent for this long is stuck."""

State = Literal["starting", "ready", "held", "stopping"]
"""``held``: something that a person must mend keeps it from its work; it goes on by itself when that is done."""


@dataclass(frozen=True, slots=True)
class Health:
    """A process as it is: ``text`` is one line, for people; ``at`` is when it wrote it, in seconds since 1970."""

    state: State
    text: str
    at: float

    @property
    def ready(self) -> bool:
        """Whether it is at work."""
        return self.state == "ready" and time.time() - self.at <= STALE_AFTER

    def __str__(self) -> str:
        silent = time.time() - self.at
        if self.state == "ready" and not self.ready:
            return _line(f"stuck: it has said nothing for {silent:.0f} s; last: {self.text}")
        return _line(f"{self.state}: {self.text}")


class HealthFile:
    """Where a process says how it is; without a ``path`` nothing is written."""

    def __init__(self, path: str | None) -> None:
        self.path = Path(path) if path else None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> HealthFile:
        """The file that ``COORDINATOR_HEALTH_FILE`` names: known before the settings are, and where they are wrong."""
        return cls(environment.get(VARIABLE))

    def say(self, state: State, text: str) -> None:
        """Replace the state and the line. A file that cannot be written is no reason to stop: the check finds it stale."""
        if self.path is None:
            return
        with contextlib.suppress(OSError, ValueError):  # a path such as "." has no name
            draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
            draft.write_text(json.dumps({"state": state, "text": _line(text), "at": time.time()}), "utf-8")
            draft.replace(self.path)

    def read(self) -> Health:
        """What was written last; ``starting`` where nothing was written yet."""
        if self.path is None:
            return Health("starting", f"{VARIABLE} is not set, so nothing is known", time.time())
        try:
            written = json.loads(self.path.read_text("utf-8"))
            state, text, at = written["state"], written["text"], float(written["at"])
        except FileNotFoundError:
            return Health("starting", "it has said nothing yet", time.time())
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            return Health("starting", f"{self.path} cannot be read: {error}", time.time())
        if state not in get_args(State) or not isinstance(text, str):
            return Health("starting", f"{self.path} is no health file", time.time())
        return Health(state, text, at)


def main(url: str | None = None) -> int:
    """Print how the process is, in one line. Exit status 0 when it is ready, else 1.

    A web process says in its file only what holds it; else it is ready when ``url`` answers.
    """
    health = HealthFile.of_environment().read()
    if url and health.state == "starting":
        health = _answer(url)
    sys.stdout.write(f"{health}\n")
    return 0 if health.ready else 1


def _answer(url: str) -> Health:
    try:
        opener = build_opener(ProxyHandler({}))  # the process itself, not what a proxy says of it
        with opener.open(url, timeout=4) as response:
            return Health("ready", f"answers {response.status}", time.time())
    except (OSError, ValueError, HTTPException) as error:
        return Health("starting", f"{url} does not answer: {str(error) or type(error).__name__}", time.time())


def _line(text: str) -> str:
    """``text`` in one line, with escapes for what a terminal would obey or cannot show."""
    shown = "".join(sign if sign.isprintable() or sign.isspace() else ascii(sign)[1:-1] for sign in text)
    return " ".join(shown.split())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
