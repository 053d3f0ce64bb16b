"""The demo: one title for real, agent by agent; then many at once, and every rendition counted."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from handoffs.config.reference import MediaSettings
from handoffs.config.settings import Settings
from handoffs.contracts import CoordinationError
from handoffs.coordinator import Coordinator
from handoffs.coordinator.render.console import out, print_json, say, table
from handoffs.tasks.live import shown
from handoffs.tasks.media.counts import FileCounts, JournalCounts
from handoffs.tasks.media.film import Film, read_film
from handoffs.tasks.media.load import Load
from handoffs.tasks.media.loadview import load_line, load_table
from handoffs.tasks.media.premiere import show_title, show_title_there
from handoffs.tasks.media.stage import RunningStage, open_stage
from handoffs.tasks.media.systems import systems
from handoffs.tasks.media.uploads import CLIP_SECONDS, invented, of_clip

TITLES: Final = 50


def run(
    coordinator: Coordinator,
    *,
    as_json: bool = False,
    titles: int = TITLES,
    keep: Path | None = None,
    running: bool = False,
    film: str = "",
) -> None:
    """Run the demo where the settings of ``coordinator`` say, and print what happened.

    ``keep`` is a new folder for the files; by default they are gone in the end. With ``running`` the fleets that work on the
    servers already make titles of ``film``, which is in their store, as ``python -m handoffs.tasks.media.upload`` tells of it there.

    Raises :class:`~handoffs.contracts.CoordinationError` where the folder cannot be made, no worker is there, or the title does
    not come to its end, and :class:`~handoffs.contracts.errors.InvalidInput` where ``film`` is none.
    """
    settings = coordinator.settings
    if settings.eager:
        raise CoordinationError(
            "the demo of media is about many titles at once, and in eager mode one ends before the next begins",
            "nothing was started",
            "unset COORDINATOR_EAGER",
        )
    if running or film:
        if not (running and film) or keep:
            raise CoordinationError(
                "--running and --film go together, and not with --keep: the files are where the fleets are",
                "nothing was started",
                "make demo-up SYSTEM=media gives both",
            )
        _on_running_fleets(coordinator, read_film(film), titles, as_json=as_json)
        return
    with _folder(keep) as folder:
        figures = {
            "title": show_title(settings, folder / "title", as_json=as_json),
            "load": _many_titles(settings, folder / "load", titles, as_json=as_json),
        }
    if as_json:
        print_json(figures)
    elif keep:
        say(f"the files are in {keep}")


def _on_running_fleets(coordinator: Coordinator, film: Film, titles: int, *, as_json: bool) -> None:
    stage = RunningStage(coordinator)
    title = show_title_there(stage, film, as_json=as_json)
    uploads = of_clip(film.clip())
    load = Load(stage, JournalCounts(coordinator.journal, uploads.own), uploads, titles)
    figures = {"title": title, "load": _played(load, as_json=as_json)}
    if as_json:
        print_json(figures)


def _many_titles(settings: Settings, folder: Path, titles: int, *, as_json: bool) -> dict[str, Any]:
    media = light(settings.media, folder)
    at = systems(settings.model_copy(update={"media": media}))
    with open_stage(settings, media) as stage:
        return _played(Load(stage, FileCounts(at), invented(at, CLIP_SECONDS), titles), as_json=as_json)


def _played(load: Load, *, as_json: bool) -> dict[str, Any]:
    with load_line(load) as line, nullcontext() if as_json else shown(line):
        load.play()
    figures = load.figures()
    if not as_json:
        _print_load(figures)
    return figures


def light(media: MediaSettings, folder: Path) -> MediaSettings:
    """Settings with which titles are as little work as they can be, for it is the pipeline that is looked at."""
    return media.model_copy(
        update={
            "folder": str(folder),
            "transcoder": "stand-in",
            "stand_in_speed": 0.0,
            "stand_in_size": 0.0005,
            "durable": False,
        }
    )


def _print_load(figures: dict[str, Any]) -> None:
    out.print(load_table(figures))
    memory = figures["peak_memory_mb"].items()
    if figures["where"] == "running":
        out.print("the memory of each fleet: docker stats")
    elif memory:
        out.print(table("peak memory", ("process", "MB"), [(name, f"{peak:.0f}") for name, peak in memory]))
    else:
        out.print("this system does not say how much memory a process has")
    whole = figures["lost"] == figures["doubled"] == figures["dead_letters"] == 0
    out.print(
        f"{figures['lost']} lost, {figures['doubled']} doubled, {figures['dead_letters']} dead letters",
        style="green" if whole else "bold red",
    )


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """A folder for the files: the given one, which must be new or empty, or one that is gone in the end."""
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
            taken = any(keep.iterdir())
        except OSError as error:
            raise CoordinationError(
                f"the folder of --keep cannot be made: {error.strerror}", "nothing was started"
            ) from error
        if taken:
            raise CoordinationError(
                "the folder of --keep is not empty", "nothing was started", "name a new folder"
            )
        yield keep.absolute()
        return
    made = Path(tempfile.mkdtemp(prefix="coordinator-media-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
