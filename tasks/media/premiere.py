"""Premiere: one title, from its upload to the shelf, agent by agent; transcoded for real where ffmpeg is installed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from config.settings import Settings
from contracts.errors import CoordinationError
from coordinator.cli.output import err, out, table
from coordinator.cli.trace import print_trace
from coordinator.client import Run
from tasks.live import shown
from tasks.media.fleets import TOGETHER
from tasks.media.stage import Stage, open_stage
from tasks.media.systems import Systems, systems
from tasks.media.tale import Chapter, tale
from tasks.media.uploads import CLIP_SECONDS, Uploads, filmed, invented

_TITLE_WITHIN: Final = 600.0  # seconds
_LOOK: Final = 0.2  # seconds
_MEGABYTE: Final = 1_000_000


def show_title(settings: Settings, folder: Path, *, as_json: bool) -> dict[str, Any]:
    """Show the first of all titles at work: live where people look, and in the end where things are. Gives the figures, as
    JSON values.

    Raises :class:`~contracts.errors.CoordinationError` where it does not come to its end.
    """
    media = settings.media.model_copy(update={"folder": str(folder)})
    at = systems(settings.model_copy(update={"media": media}))
    real = media.transcoder == "ffmpeg" or (media.transcoder == "auto" and at.ffmpeg.installed)
    if not as_json:
        err.print(
            "one title: ffmpeg films a clip and transcodes it"
            if real
            else "one title: a STAND-IN takes time and bytes and makes no picture; install ffmpeg to see it for real"
        )
    uploads = (filmed if real else invented)(at, CLIP_SECONDS)
    with open_stage(settings, media, TOGETHER) as stage:
        story = _told(stage, uploads, as_json=as_json)
        figures = _title_figures(stage, story, at, uploads, tale(story.history()))
        figures["transcoder"] = "ffmpeg" if real else "stand-in"
        if not as_json:
            _print_title(figures, stage)
    return figures


def _told(stage: Stage, uploads: Uploads, *, as_json: bool) -> Run:
    """Emit the title, and return when its story has ended."""
    began = time.monotonic()
    story = stage.coordinator.emit(uploads.title(1))

    def draw() -> RenderableType:
        return tale_table(tale(story.history()), time.monotonic() - began)

    with nullcontext() if as_json else shown(draw):
        while story.status() == "running":
            if time.monotonic() - began > _TITLE_WITHIN:
                raise CoordinationError(
                    f"the title has not ended within {_TITLE_WITHIN:.0f} s",
                    f"story {story.id} is left behind",
                )
            time.sleep(_LOOK)
    if story.status() != "completed":
        reasons = "; ".join(f"{letter.agent}: {letter.text}" for letter in story.letters()[:3])
        raise CoordinationError(f"the title is {story.status()}: {reasons}", "the load was not begun")
    return story


def tale_table(chapters: Sequence[Chapter], seconds: float) -> RenderableType:
    """A story as a table: what each agent has done, and when."""
    rows = []
    for chapter in chapters:
        complete = chapter.done == chapter.wanted
        style = "green" if complete else "cyan" if chapter.done else "dim"
        width = round(20 * chapter.done / chapter.wanted) if chapter.wanted else 0
        row = (
            Text(chapter.agent, style=style),
            Text(chapter.what, style=style),
            f"{chapter.done}/{chapter.wanted or '?'}",
            Text("█" * width + "·" * (20 - width), style=style),
            f"{chapter.at:.2f} s" if chapter.at is not None else "",
            f"{chapter.took:.2f} s" if chapter.done else "",
        )
        rows.append(row)
    columns = ("agent", "", "done", "", "after", "work")
    return table(f"one title, {seconds:.0f} s", columns, rows, right={"done", "after", "work"})


def _title_figures(
    stage: Stage, story: Run, at: Systems, uploads: Uploads, chapters: Sequence[Chapter]
) -> dict[str, Any]:
    title = uploads.title(1)
    available = _available(story)
    return {
        "title_id": title.title_id,
        "status": story.status(),
        "story": story.id,
        "namespace": stage.coordinator.settings.namespace,
        "seconds": max((chapter.at or 0.0 for chapter in chapters), default=0.0),
        "renditions": next(chapter.done for chapter in chapters if chapter.agent == "media.transcode"),
        "source_octets": title.source_octets,
        "rendition_octets": _octets(at, "renditions"),
        "package_octets": _octets(at, "packages"),
        "key_id": available["key_id"],
        "locations": available["locations"],
        "search": {
            word: [found.title_id for found in at.index.search(word)] for word in ("lighthouse", "keeper sea")
        },
    }


def _available(story: Run) -> dict[str, Any]:
    """What the last event says: where the title is to be had."""
    entry = next(
        entry for entry in story.history() if entry["kind"] == "settled" and entry["agent"] == "media.release"
    )
    return dict(entry["output"])


def _octets(at: Systems, under: str) -> int:
    return sum(at.store.path(key).stat().st_size for key in at.store.keys(under))


def _size(octets: int) -> str:
    return f"{octets / _MEGABYTE:.2f} MB" if octets >= _MEGABYTE / 10 else f"{octets / 1000:.1f} kB"


def _print_title(figures: dict[str, Any], stage: Stage) -> None:
    rows = [
        ("source", _size(figures["source_octets"])),
        ("renditions", f"{figures['renditions']}, {_size(figures['rendition_octets'])}"),
        ("packages", f"{_size(figures['package_octets'])}, AES-256-GCM"),
        ("key id", f"{figures['key_id']} (the key stays with media.drm)"),
        *((place["edge"], place["url"]) for place in figures["locations"]),
        *((f"search: {word}", ", ".join(found)) for word, found in figures["search"].items()),
        ("story", figures["story"]),
    ]
    out.print(table(f"title {figures['title_id']} is on the shelf", ("", ""), rows))
    if stage.where == "servers":
        out.print(
            f"its whole story: COORDINATOR_NAMESPACE={figures['namespace']} COORDINATOR_AGENTS=tasks.media"
            f" coordinator trace {figures['story']}",
            soft_wrap=True,
        )
    else:
        out.print("its whole story, as coordinator trace ID tells it where it outlives this process:")
        print_trace(stage.coordinator.trace(figures["story"]))
