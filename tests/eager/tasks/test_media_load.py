"""A load of titles ends, whatever becomes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from handoffs.config.settings import Settings
from handoffs.tasks.media.counts import FileCounts
from handoffs.tasks.media.load import Load
from handoffs.tasks.media.stage import open_stage
from handoffs.tasks.media.systems import systems
from handoffs.tasks.media.uploads import invented
from tests.unit.tasks.media.titles import media_settings


def test_titles_that_cannot_go_on_are_lost(tmp_path: Path) -> None:
    """Where the source of all titles is missing, their stories are parked: the load ends soon, and says that everything is
    lost, and that there are dead letters."""
    media = media_settings(tmp_path / "media").media
    settings = Settings()
    at = systems(Settings(media=media))
    uploads = invented(at, 1.0)
    gone = replace(uploads, clip=replace(uploads.clip, source="uploads/nowhere/source"))
    with open_stage(settings, media) as stage:
        load = Load(stage, FileCounts(at), gone, 2, stalled=60, quiet=0.3)
        load.play()
        figures = load.figures()
    assert figures["lost"] == 2 * (16 + 1 + 2 + 1 + 1)
    assert (figures["completed"], figures["doubled"]) == (0, 0)
    assert figures["dead_letters"] > 0
    assert figures["most_open"] == 2


def test_titles_that_take_too_long_are_lost(tmp_path: Path) -> None:
    """Where nothing happens for too long, what has not come is lost, and the load ends all the same."""
    slow = media_settings(tmp_path / "media", stand_in_speed=0.3).media
    at = systems(Settings(media=slow))
    with open_stage(Settings(), slow) as stage:
        load = Load(stage, FileCounts(at), invented(at, 1.0), 1, stalled=0.5)
        load.play()
        figures = load.figures()
    assert figures["shelved"] == 0
    assert figures["lost"] > 0
