"""Reference: the settings of the reference systems, which are not the engine's."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from handoffs.config.duration import Wait
from handoffs.config.numbers import Decimal, Whole
from handoffs.config.urls import DatabaseUrl


class PaymentsSettings(BaseModel):
    """Settings of the reference system *payments*."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ledger_url: DatabaseUrl | None = None
    """SQLAlchemy URL of the ledger's database. None: a temporary file when embedded, else ``sqlite:///payments-ledger.sqlite3``."""
    gateway_url: DatabaseUrl | None = None
    """SQLAlchemy URL of the simulated card gateway's own database. None: as above, ``sqlite:///payments-gateway.sqlite3``."""


class RidesSettings(BaseModel):
    """Settings of the reference system *rides*."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    eta_delay: Wait | None = None
    """How much later the ETA agent answers than it could, to see what its budget is good for."""


class MediaSettings(BaseModel):
    """Settings of the reference system *media*."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str | None = None
    """Where the object store, the edges, the index and the master key are. None: a temporary folder when embedded, else ``media``."""
    durable: bool = True
    """Whether an object is on the disk (``fsync``) before an agent hands it over."""
    master_key_file: str | None = None
    """A file of 64 hexadecimal digits from which the content keys are derived. None: ``master.key`` in the folder, made at first use."""
    transcoder: Literal["auto", "ffmpeg", "stand-in"] = "auto"
    """What makes renditions: ``ffmpeg``, ``stand-in`` (takes time and bytes, makes no picture), ``auto``: ffmpeg where it is installed."""
    ffmpeg: str = "ffmpeg"
    """The ffmpeg program: a name that is looked for on ``PATH``, or a path."""
    transcoding_limit: Wait = timedelta(minutes=10)
    """How long one rendition may take."""
    transcoding_threads: Whole = Field(default=1, ge=1, le=64)
    """Threads of one ffmpeg."""
    stand_in_speed: Decimal = Field(default=200.0, ge=0, allow_inf_nan=False)
    """How many seconds of a picture of 1080 lines the stand-in works through in a second. 0: it takes no time."""
    stand_in_size: Decimal = Field(default=0.01, gt=0, le=1)
    """How large the stand-in's renditions are, as a share of what their bit rate would make."""
    edges: Whole = Field(default=2, ge=1, le=64)
    """To how many edges of the network a title is distributed."""
