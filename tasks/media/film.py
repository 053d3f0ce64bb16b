"""Film: what there is in an object store to make titles of, for readers that cannot look there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from handoffs.config.reference import MediaSettings
from handoffs.contracts import Contract, strictjson
from handoffs.tasks.media import clip
from handoffs.tasks.media.clip import Clip
from handoffs.tasks.media.objects import source_object
from handoffs.tasks.media.systems import Systems

Kind = Literal["ffmpeg", "stand-in"]


class Film(Contract):
    """A clip (as :class:`~handoffs.tasks.media.clip.Clip` has it), and what transcodes where it lies."""

    source: str
    octets: int
    sha256: str
    seconds: float = Field(allow_inf_nan=False)
    width: int
    height: int
    transcoder: Kind

    def clip(self) -> Clip:
        """The clip."""
        return Clip(self.source, self.octets, self.sha256, self.seconds, self.width, self.height)


def read_film(text: str) -> Film:
    """Read what :mod:`handoffs.tasks.media.upload` prints. Raises :class:`~handoffs.contracts.errors.InvalidInput`."""
    return Film.from_data(strictjson.loads(text))


def kind_of(settings: MediaSettings, systems: Systems) -> Kind:
    """What transcodes by these settings on this machine."""
    real = settings.transcoder == "ffmpeg" or (settings.transcoder == "auto" and systems.ffmpeg.installed)
    return "ffmpeg" if real else "stand-in"


def made_film(settings: MediaSettings, systems: Systems, seconds: float) -> Film:
    """The clip of that length which the transcoder of these settings can read: it is made where it is not in the store yet.

    Raises what ffmpeg and the store raise.
    """
    kind = kind_of(settings, systems)
    key = source_object(f"{kind}-{seconds:g}s")
    if systems.store.exists(key):
        there = systems.store.describe(key)
        made = Clip(key, there.octets, there.sha256, seconds, clip.WIDTH, clip.HEIGHT)
    elif kind == "ffmpeg":
        made = clip.film(systems.store, key, systems.ffmpeg, seconds=seconds)
    else:
        made = clip.stand_in(systems.store, key, seconds=seconds)
    return Film(
        source=made.source,
        octets=made.octets,
        sha256=made.sha256,
        seconds=made.seconds,
        width=made.width,
        height=made.height,
        transcoder=kind,
    )
