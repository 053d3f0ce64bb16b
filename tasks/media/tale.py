"""Tale: how far the story of one title is, agent by agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

CHAPTERS: Final = (
    ("media.ladder", "renditions ordered"),
    ("media.transcode", "transcoded"),
    ("media.assemble", "renditions together"),
    ("media.drm", "packaged"),
    ("media.cdn", "distributed"),
    ("media.index", "indexed"),
    ("media.release", "both together"),
    ("media.shelf", "on the shelf"),
)


@dataclass(frozen=True, slots=True)
class Chapter:
    """What one agent has done for the title.

    ``done`` of ``wanted`` times (0: not known yet); ``at`` seconds after the upload it was done last;
    ``took`` seconds in all.
    """

    agent: str
    what: str
    done: int
    wanted: int
    at: float | None
    took: float


def tale(history: Iterable[Mapping[str, Any]]) -> list[Chapter]:
    """The chapters of a story, from its history."""
    entries = list(history)
    settled = [entry for entry in entries if entry["kind"] == "settled"]
    begun = next((_moment(entry) for entry in entries if entry["kind"] == "emitted"), None)
    orders = sum(len(entry.get("emitted") or ()) for entry in settled if entry["agent"] == "media.ladder")
    chapters = []
    for agent, what in CHAPTERS:
        own = [entry for entry in settled if entry["agent"] == agent]
        last = max((_moment(entry) for entry in own), default=None)
        chapters.append(
            Chapter(
                agent,
                what,
                len(own),
                orders if agent == "media.transcode" else 1,
                (last - begun).total_seconds() if last and begun else None,
                sum(entry.get("took_ms") or 0.0 for entry in own) / 1000,
            )
        )
    return chapters


def _moment(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])
