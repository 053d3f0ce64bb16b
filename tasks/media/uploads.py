"""Uploads: titles for a show, all of one clip in the store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from handoffs.contracts import UntrustedText
from handoffs.contracts.reference.media import TitleUploaded
from handoffs.tasks.media import clip
from handoffs.tasks.media.clip import Clip
from handoffs.tasks.media.objects import source_object
from handoffs.tasks.media.systems import Systems

CLIP_SECONDS: Final = 1.0
"""How long the clip of a show is."""

_SHARED: Final = "shared"
_FILMS: Final = (
    ("The Lighthouse", "A keeper, his daughter and the sea."),
    ("Night Trains", "Who travels at three in the morning, and why."),
    ("The Salt Road", "Forty camels and one map."),
    ("Bread", "A baker's last winter in the old town."),
    ("Low Tide", "What the water leaves behind."),
)


@dataclass(frozen=True, slots=True)
class Uploads:
    """Titles of one show; ``own`` begins their ids, so that no other show has the same."""

    clip: Clip
    own: str

    def title(self, number: int) -> TitleUploaded:
        """The title of that number, from 1."""
        name, description = _FILMS[(number - 1) % len(_FILMS)]
        part = f", part {number}" if number > 1 else ""
        return TitleUploaded(
            title_id=f"{self.own}-{number}",
            name=UntrustedText(f"{name}{part}"),
            description=UntrustedText(description),
            language="en",
            seconds=self.clip.seconds,
            source_sha256=self.clip.sha256,
            uploaded_at=datetime.now(UTC),
            source=self.clip.source,
            source_octets=self.clip.octets,
            width=self.clip.width,
            height=self.clip.height,
        )


def filmed(systems: Systems, seconds: float) -> Uploads:
    """Titles of a clip that ffmpeg makes. Raises what :func:`handoffs.tasks.media.clip.film` raises."""
    made = clip.film(systems.store, source_object(_SHARED), systems.ffmpeg, seconds=seconds)
    return Uploads(made, _own())


def invented(systems: Systems, seconds: float) -> Uploads:
    """Titles of bytes that stand for a clip."""
    return Uploads(clip.stand_in(systems.store, source_object(_SHARED), seconds=seconds), _own())


def of_clip(made: Clip) -> Uploads:
    """Titles of a clip that is in the store already."""
    return Uploads(made, _own())


def _own() -> str:
    return f"t-{uuid.uuid4().hex[:6]}"
