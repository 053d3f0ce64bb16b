"""Premiere: one title, from its upload to the shelf, agent by agent; transcoded for real where ffmpeg is installed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from handoffs.config.settings import Settings
from handoffs.contracts import CoordinationError
from handoffs.coordinator import Run
from handoffs.coordinator.render.console import err, out, table
from handoffs.coordinator.render.trace_report import print_trace
from handoffs.tasks.live import shown
from handoffs.tasks.media.film import Film, Kind, kind_of
from handoffs.tasks.media.fleets import TOGETHER
from handoffs.tasks.media.index import MetadataIndex
from handoffs.tasks.media.stage import Stage, open_stage
from handoffs.tasks.media.systems import systems
from handoffs.tasks.media.tale import Chapter, tale
from handoffs.tasks.media.uploads import CLIP_SECONDS, Uploads, filmed, invented, of_clip

_TITLE_WITHIN: Final = 600.0  # seconds
_LOOK: Final = 0.2  # seconds
_MEGABYTE: Final = 1_000_000


def show_title(settings: Settings, folder: Path, *, as_json: bool) -> dict[str, Any]:
    """Show the first of all titles at work: live where people look, and in the end where things are. Gives the figures, as
    JSON values.

    Raises :class:`~handoffs.contracts.CoordinationError` where it does not come to its end.
    """
    media = settings.media.model_copy(update={"folder": str(folder)})
    at = systems(settings.model_copy(update={"media": media}))
    kind = kind_of(media, at)
    if not as_json:
        _announce(kind, "install ffmpeg to see it for real")
    uploads = (filmed if kind == "ffmpeg" else invented)(at, CLIP_SECONDS)
    with open_stage(settings, media, TOGETHER) as stage:
        return _premiere(stage, uploads, kind, at.index, as_json=as_json)


def show_title_there(stage: Stage, film: Film, *, as_json: bool) -> dict[str, Any]:
    """The same with fleets whose files cannot be seen from here: what is searched for is not shown. Raises the same."""
    if not as_json:
        _announce(film.transcoder, "FFMPEG=yes in .env, and make up, to see it for real")
    return _premiere(stage, of_clip(film.clip()), film.transcoder, None, as_json=as_json)


def _announce(kind: Kind, remedy: str) -> None:
    err.print(
        "one title: ffmpeg films a clip and transcodes it"
        if kind == "ffmpeg"
        else f"one title: a STAND-IN takes time and bytes and makes no picture; {remedy}"
    )


def _premiere(
    stage: Stage, uploads: Uploads, kind: Kind, index: MetadataIndex | None, *, as_json: bool
) -> dict[str, Any]:
    story = _told(stage, uploads, as_json=as_json)
    figures = {**_title_figures(stage, story, uploads, index), "transcoder": kind}
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


def _title_figures(stage: Stage, story: Run, uploads: Uploads, index: MetadataIndex | None) -> dict[str, Any]:
    title, history = uploads.title(1), story.history()
    made, packaged, available = (
        _outputs(history, agent) for agent in ("media.transcode", "media.drm", "media.release")
    )
    figures = {
        "title_id": title.title_id,
        "status": story.status(),
        "story": story.id,
        "namespace": stage.coordinator.settings.namespace,
        "seconds": max((chapter.at or 0.0 for chapter in tale(history)), default=0.0),
        "renditions": len(made),
        "source_octets": title.source_octets,
        "rendition_octets": sum(one["octets"] for one in made),
        "package_octets": sum(one["octets"] for packages in packaged for one in packages["packages"]),
        "key_id": available[0]["key_id"],
        "locations": available[0]["locations"],
    }
    if index is not None:
        figures["search"] = {
            word: [found.title_id for found in index.search(word)] for word in ("lighthouse", "keeper sea")
        }
    return figures


def _outputs(history: Sequence[Mapping[str, Any]], agent: str) -> list[dict[str, Any]]:
    """What an agent has made for a title, as the history says."""
    return [entry["output"] for entry in history if entry["kind"] == "settled" and entry["agent"] == agent]


def _size(octets: int) -> str:
    return f"{octets / _MEGABYTE:.2f} MB" if octets >= _MEGABYTE / 10 else f"{octets / 1000:.1f} kB"


def _print_title(figures: dict[str, Any], stage: Stage) -> None:
    rows = [
        ("source", _size(figures["source_octets"])),
        ("renditions", f"{figures['renditions']}, {_size(figures['rendition_octets'])}"),
        ("packages", f"{_size(figures['package_octets'])}, AES-256-GCM"),
        ("key id", f"{figures['key_id']} (the key stays with media.drm)"),
        *((place["edge"], place["url"]) for place in figures["locations"]),
        *((f"search: {word}", ", ".join(found)) for word, found in figures.get("search", {}).items()),
        ("story", figures["story"]),
    ]
    out.print(table(f"title {figures['title_id']} is on the shelf", ("", ""), rows))
    if stage.where == "running":
        out.print(f"its whole story: coordinator trace {figures['story']}", soft_wrap=True)
    elif stage.where == "servers":
        out.print(
            f"its whole story: COORDINATOR_NAMESPACE={figures['namespace']} COORDINATOR_AGENTS=handoffs.tasks.media"
            f" coordinator trace {figures['story']}",
            soft_wrap=True,
        )
    else:
        out.print("its whole story, as coordinator trace ID tells it where it outlives this process:")
        print_trace(stage.coordinator.trace(figures["story"]))
