"""What the agents of media work with, as this process has it: one of each for one folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from handoffs.config.reference import MediaSettings
from handoffs.config.settings import Settings
from handoffs.tasks.media.cdn import Cdn, Edge
from handoffs.tasks.media.drm import Drm
from handoffs.tasks.media.effects import Effects
from handoffs.tasks.media.ffmpeg import Ffmpeg
from handoffs.tasks.media.index import MetadataIndex
from handoffs.tasks.media.masterkey import made_master_key, read_master_key
from handoffs.tasks.media.store import Store
from handoffs.tasks.media.transcoder import Transcoder, chosen

DEFAULT_FOLDER: Final = "media"


class Systems:
    """All of them for one :class:`~handoffs.config.reference.MediaSettings`. Making it opens nothing."""

    def __init__(self, settings: MediaSettings) -> None:
        self.folder = Path(settings.folder or DEFAULT_FOLDER)
        self.store = Store(self.folder / "objects", durable=settings.durable)
        self.ffmpeg = Ffmpeg(settings.ffmpeg, limit=settings.transcoding_limit)
        self.index = MetadataIndex(self.folder / "index.sqlite3")
        self.transcodings = self._effects("transcoding")
        self.packagings = self._effects("packaging")
        self.distributions = self._effects("distribution")
        self.shelved = self._effects("shelf")
        self.cdn = Cdn(
            self.store,
            tuple(
                Edge(name, Store(self.folder / "edges" / name, durable=settings.durable))
                for name in (f"edge-{number}" for number in range(1, settings.edges + 1))
            ),
        )
        self._settings = settings
        self._wanted: str = settings.transcoder

    @property
    def transcoder(self) -> Transcoder:
        """What makes renditions: looked for on every call, for ffmpeg may be installed meanwhile. Once it was there it is not
        replaced by the stand-in, which makes no picture: without it the work is parked."""
        if self._wanted == "auto" and self.ffmpeg.installed:
            self._wanted = "ffmpeg"
        return chosen(
            self._wanted,
            self.ffmpeg,
            threads=self._settings.transcoding_threads,
            speed=self._settings.stand_in_speed,
            size=self._settings.stand_in_size,
        )

    @property
    def drm(self) -> Drm:
        """What encrypts. Raises what reading the master key raises."""
        return Drm(self.store, self._master_key())

    def _master_key(self) -> bytes:
        if self._settings.master_key_file:
            return read_master_key(Path(self._settings.master_key_file))
        return made_master_key(self.folder / "master.key")

    def _effects(self, agent: str) -> Effects:
        return Effects(self.folder / "effects" / f"{agent}.jsonl")


def systems(settings: Settings) -> Systems:
    """The systems that the settings name."""
    return _systems(settings.media)


@cache
def _systems(settings: MediaSettings) -> Systems:
    return Systems(settings)
