"""Titles of media for tests, and the settings of a folder of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handoffs.config.reference import MediaSettings
from handoffs.config.settings import Settings
from handoffs.contracts.reference.media import (
    RenditionReady,
    TitlePackaged,
    TitleUploaded,
    TranscodingComplete,
)
from handoffs.contracts.text import UntrustedText
from handoffs.tasks.media import clip, work
from handoffs.tasks.media.objects import source_object
from handoffs.tasks.media.systems import systems


def media_settings(folder: Path, **changes: Any) -> Settings:
    """Settings with a folder, a stand-in that takes no time, and no waiting for the disk."""
    given: dict[str, Any] = {
        "transcoder": "stand-in", "stand_in_speed": 0, "stand_in_size": 0.001, "durable": False, **changes,
    }  # fmt: skip
    return Settings(media=MediaSettings(folder=str(folder), **given))


def title(title_id: str = "t-1", **changes: Any) -> TitleUploaded:
    """An upload of 1080 lines that is in no store."""
    given: dict[str, Any] = {
        "name": UntrustedText("The Lighthouse"),
        "description": UntrustedText("A keeper and the sea."),
        "language": "en",
        "seconds": 5.0,
        "source_sha256": "a" * 64,
        "uploaded_at": datetime(2026, 1, 5, tzinfo=UTC),
        "source": source_object(title_id),
        "source_octets": 4_096,
        "width": 1920,
        "height": 1080,
    }
    return TitleUploaded(title_id=title_id, **(given | changes))


def uploaded(settings: Settings, title_id: str = "t-1", **changes: Any) -> TitleUploaded:
    """An upload that is in the store of the settings."""
    made = clip.stand_in(systems(settings).store, source_object(title_id))
    return title(title_id, source_sha256=made.sha256, source_octets=made.octets, **changes)


def ready(settings: Settings, title_id: str = "t-1", **changes: Any) -> list[RenditionReady]:
    """All renditions of a title, made."""
    orders = work.order_renditions(uploaded(settings, title_id, **changes))
    return [work.transcode(order, settings) for order in orders]


def complete(settings: Settings, title_id: str = "t-1") -> TranscodingComplete:
    """A title whose renditions are made."""
    return work.assemble(ready(settings, title_id))


def packaged(settings: Settings, title_id: str = "t-1") -> TitlePackaged:
    """A title whose packages are made."""
    return work.package(complete(settings, title_id), settings)
