"""The contracts of the reference system *media*."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, field_validator, model_validator

from handoffs.contracts.contract import Contract, Key
from handoffs.contracts.text import Hygiene, UntrustedText

LOWEST_HEIGHT = 234
"""The lowest picture of which there is a rendition. A title is at least as high, for nothing is upscaled."""
MOST_RENDITIONS = 64
PARTS = 2
"""What makes a title available: it is distributed, and it is in the index."""

Codec = Literal["h264", "hevc", "vp9", "aac", "opus", "jpeg"]
"""How a rendition is coded: three for pictures, two for sound; ``jpeg`` is a sheet of thumbnails."""
LadderName = Literal["standard", "full"]

_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_OBJECT = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
_SHA256 = r"^[0-9a-f]{64}$"
_MOST_OCTETS = 2**53
_LONGEST_SECONDS = 86_400
_LARGEST_PICTURE = 8_192
_FASTEST_KBPS = 1_000_000

_Id = Annotated[str, Field(min_length=1, max_length=64, pattern=_ID)]
_ObjectKey = Annotated[
    str, Field(min_length=1, max_length=512, pattern=_OBJECT, examples=["renditions/t-1/a"])
]
_Digest = Annotated[str, Field(pattern=_SHA256, examples=["0" * 64])]
_KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=["0" * 32])]
_Octets = Annotated[int, Field(ge=1, le=_MOST_OCTETS)]
_Pixels = Annotated[int, Field(ge=2, le=_LARGEST_PICTURE)]
_Kbps = Annotated[int, Field(ge=1, le=_FASTEST_KBPS)]
_Url = Annotated[
    str, Field(max_length=1_000, pattern=r"^https://[!-~]+$", examples=["https://edge-1.example/t-1"])
]


class TitleTerms(Contract):
    """What every contract of one title carries on, so that no agent needs to ask another.

    ``name`` and ``description`` are what people wrote. ``language`` is a tag of BCP 47, such as ``pt-BR``.
    ``source_sha256`` says which upload it is, in hexadecimal digits.
    """

    title_id: str = Key(min_length=1, max_length=64, pattern=_ID, examples=["t-1001"])
    name: Annotated[UntrustedText, Hygiene(min_length=1, max_length=200)] = Field(examples=["The Lighthouse"])
    description: Annotated[UntrustedText, Hygiene(max_length=2_000)] = Field(
        examples=["A keeper and the sea."]
    )
    language: str = Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", examples=["en"])
    seconds: float = Field(gt=0, le=_LONGEST_SECONDS)
    source_sha256: _Digest
    uploaded_at: AwareDatetime

    @field_validator("uploaded_at")
    @classmethod
    def _is_of_our_time(cls, moment: datetime) -> datetime:
        """From 2000 to 2199: no clock is that wrong, and times can be reckoned with."""
        if not 2000 <= moment.year < 2200:
            raise ValueError("the year is not from 2000 to 2199")
        return moment


class TitleUploaded(TitleTerms, name="media.title-uploaded", version=1):
    """A title is in the object store. ``source`` is its key there, ``width`` and ``height`` its picture in pixels.

    ``ladder`` says which renditions are wanted: ``standard`` has 16 of a source of 1080 lines, ``full`` 27.
    """

    source: _ObjectKey
    source_octets: _Octets
    width: _Pixels
    height: int = Field(ge=LOWEST_HEIGHT, le=_LARGEST_PICTURE)
    has_audio: bool = True
    ladder: LadderName = "standard"


class RenditionTerms(TitleTerms):
    """What is said of one rendition: it is number ``position`` of ``count``, from 1, in the order of the ladder.

    ``width`` and ``height`` in pixels (of one thumbnail, for ``jpeg``), ``bitrate_kbps`` in 1000 bits a second: None where
    there is no such thing.
    """

    rendition: str = Key(min_length=1, max_length=64, pattern=_ID, examples=["1080p-h264-6000k"])
    position: int = Field(ge=1, le=MOST_RENDITIONS)
    count: int = Field(ge=1, le=MOST_RENDITIONS)
    codec: Codec
    width: _Pixels | None = None
    height: _Pixels | None = None
    bitrate_kbps: _Kbps | None = None

    @model_validator(mode="after")
    def _is_one_of_the_ladder(self) -> Self:
        """The position is within the count, and there is a picture where the codec has one, and only there."""
        if self.position > self.count:
            raise ValueError("the position is above the count")
        _check_form(self.codec, self.width, self.height, self.bitrate_kbps)
        return self


class RenditionOrdered(RenditionTerms, name="media.rendition-ordered", version=1):
    """One rendition is to be made of the object ``source``."""

    source: _ObjectKey


class RenditionReady(RenditionTerms, name="media.rendition-ready", version=1):
    """One rendition is in the object store. ``seconds_taken``: how long the transcoding took, 0 where it was there already."""

    object: _ObjectKey
    octets: _Octets
    sha256: _Digest
    seconds_taken: float = Field(ge=0, le=_LONGEST_SECONDS * 10)


class TitleRenditions(Contract, name="media.title-renditions", version=1):
    """Those renditions of a title that somebody waited for, in whichever order."""

    renditions: list[RenditionReady] = Field(min_length=1, max_length=MOST_RENDITIONS)


class Rendition(Contract):
    """A finished rendition of a title, as :class:`RenditionReady` has it."""

    rendition: _Id
    codec: Codec
    width: _Pixels | None = None
    height: _Pixels | None = None
    bitrate_kbps: _Kbps | None = None
    object: _ObjectKey
    octets: _Octets
    sha256: _Digest

    @model_validator(mode="after")
    def _has_the_form_of_its_codec(self) -> Self:
        _check_form(self.codec, self.width, self.height, self.bitrate_kbps)
        return self


class TranscodingComplete(TitleTerms, name="media.transcoding-complete", version=1):
    """All renditions of a title are there, in the order of the ladder."""

    renditions: tuple[Rendition, ...] = Field(min_length=1, max_length=MOST_RENDITIONS)

    @field_validator("renditions")
    @classmethod
    def _are_different(cls, renditions: tuple[Rendition, ...]) -> tuple[Rendition, ...]:
        _check_once([made.rendition for made in renditions])
        return renditions


class Package(Contract):
    """An encrypted rendition: ``octets`` and ``sha256`` are of the encrypted object, ``nonce`` is in hexadecimal digits."""

    rendition: _Id
    codec: Codec
    object: _ObjectKey
    octets: _Octets
    sha256: _Digest
    nonce: str = Field(pattern=r"^[0-9a-f]{24}$", examples=["0" * 24])


class PackagedTerms(TitleTerms):
    """What is said of a title from its packaging on.

    ``key_id`` names the content key, which never travels; ``licence`` is where a player asks for it. ``manifest`` is the
    key of the object that lists the packages.
    """

    scheme: Literal["aes-256-gcm"]
    key_id: _KeyId
    licence: _Url
    manifest: _ObjectKey
    manifest_sha256: _Digest


class TitlePackaged(PackagedTerms, name="media.title-packaged", version=1):
    """All renditions of a title are encrypted."""

    packages: tuple[Package, ...] = Field(min_length=1, max_length=MOST_RENDITIONS)

    @field_validator("packages")
    @classmethod
    def _are_different(cls, packages: tuple[Package, ...]) -> tuple[Package, ...]:
        _check_once([made.rendition for made in packages])
        return packages


class Location(Contract):
    """Where a title is to be had: at ``edge``, its manifest under ``url``; so many objects of so many octets in all."""

    edge: _Id
    url: _Url
    objects: int = Field(ge=1, le=MOST_RENDITIONS + 1)
    octets: _Octets


def _different_edges(locations: tuple[Location, ...]) -> tuple[Location, ...]:
    _check_once([place.edge for place in locations])
    return locations


_Locations = Annotated[
    tuple[Location, ...], Field(min_length=1, max_length=64), AfterValidator(_different_edges)
]


class DistributedTerms(PackagedTerms):
    """What is said of a title from its distribution on."""

    locations: _Locations


class TitleDistributed(DistributedTerms, name="media.title-distributed", version=1):
    """The packages of a title are at every edge."""


class TitleIndexed(TitleTerms, name="media.title-indexed", version=1):
    """A title is found by its words. ``entry`` is the digest of what is indexed."""

    entry: _Digest


class Distribution(Contract):
    """How a title can be played, as :class:`TitleDistributed` has it."""

    scheme: Literal["aes-256-gcm"]
    key_id: _KeyId
    licence: _Url
    manifest: _ObjectKey
    manifest_sha256: _Digest
    locations: _Locations


class TitlePrepared(TitleTerms, name="media.title-prepared", version=1):
    """One of the ``count`` things is done that make a title available: it is distributed, or it is in the index.

    ``distribution`` is given with the former, ``entry`` with the latter.
    """

    part: Literal["distribution", "index"] = Key()
    count: int = Field(ge=PARTS, le=PARTS)
    distribution: Distribution | None = None
    entry: _Digest | None = None

    @model_validator(mode="after")
    def _has_what_was_done(self) -> Self:
        """What was done is there, and nothing else."""
        if (self.distribution is not None, self.entry is not None) != (
            self.part == "distribution",
            self.part == "index",
        ):
            raise ValueError("a distribution or an entry is given where that is the part, and only there")
        return self


class TitlePreparations(Contract, name="media.title-preparations", version=1):
    """The things that are done for a title, in whichever order."""

    parts: list[TitlePrepared] = Field(min_length=1, max_length=PARTS)


class TitleAvailable(DistributedTerms, name="media.title-available", version=1):
    """A title can be found and played."""


def _check_form(codec: Codec, width: int | None, height: int | None, bitrate_kbps: int | None) -> None:
    has_picture, has_bitrate = codec not in ("aac", "opus"), codec != "jpeg"
    if (width is not None, height is not None) != (has_picture, has_picture):
        raise ValueError("width and height are given where the codec has a picture, and only there")
    if (bitrate_kbps is not None) != has_bitrate:
        raise ValueError("a bit rate is given for pictures that move and for sound, and only there")


def _check_once(names: list[str]) -> None:
    if len({*names}) < len(names):
        raise ValueError("the same name is there twice")
