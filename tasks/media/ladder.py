"""The ladder: which renditions a title has, from the lowest to the highest.

The rungs of H.264 and HEVC, sizes and average bit rates, are the "possible set of bit rate variants" at 16:9 in
Apple's *HLS Authoring Specification for Apple Devices*
(developer.apple.com/documentation/http-live-streaming/hls-authoring-specification-for-apple-devices); sound is within the
32 to 160 kbit/s that it asks of stereo. The rungs of VP9 are Google's *Recommended settings
for VOD* at up to 30 frames a second (developers.google.com/media/vp9/settings/vod).

A service that sends HLS to Apple's devices and WebM to others needs both families; HEVC is for those that pay for it, and
takes longest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from handoffs.contracts.reference.media import Codec, LadderName

THUMBNAIL_HEIGHT: Final = 90
MOST_THUMBNAILS: Final = 100
"""On the one sheet that a title has, ten in a row."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One rendition: ``width`` and ``height`` in pixels, ``bitrate_kbps`` in 1000 bits a second, None where there is none."""

    codec: Codec
    width: int | None = None
    height: int | None = None
    bitrate_kbps: int | None = None

    @property
    def name(self) -> str:
        """What the rendition is called: ``1080p-h264-6000k``, ``audio-aac-128k``, ``thumbnails-jpeg``."""
        rate = f"-{self.bitrate_kbps}k" if self.bitrate_kbps else ""
        if self.codec == "jpeg":
            return "thumbnails-jpeg"
        return f"{f'{self.height}p' if self.height else 'audio'}-{self.codec}{rate}"


_H264: Final = ((234, 145), (360, 365), (432, 730), (432, 1100), (540, 2000), (720, 3000), (720, 4500), (1080, 6000),
                (1080, 7800))  # fmt: skip
_HEVC: Final = ((360, 145), (432, 300), (540, 600), (540, 900), (540, 1600), (720, 2400), (720, 3400), (1080, 4500),
                (1080, 5800), (1440, 8100), (2160, 11600), (2160, 16800))  # fmt: skip
_VP9: Final = ((240, 150), (360, 276), (480, 750), (720, 1024), (1080, 1800), (1440, 6000), (2160, 12000))
_SOUND: Final[dict[LadderName, tuple[tuple[Codec, int], ...]]] = {
    "standard": (("aac", 128),),
    "full": (("aac", 64), ("aac", 128), ("opus", 128)),
}
_PICTURES: Final[dict[LadderName, tuple[tuple[Codec, tuple[tuple[int, int], ...]], ...]]] = {
    "standard": (("h264", _H264), ("vp9", _VP9)),
    "full": (("h264", _H264), ("hevc", _HEVC), ("vp9", _VP9)),
}


def ladder(name: LadderName, *, width: int, height: int, has_audio: bool = True) -> tuple[Rung, ...]:
    """The rungs for a source of that size in pixels: none is higher than the source, and each keeps its proportions.

    A source of 1080 lines has 16 of the ``standard`` ladder and 27 of the ``full`` one. Thumbnails come last.
    """
    pictures = [
        Rung(codec, _scaled(lines, width, height), lines, rate)
        for codec, rungs in _PICTURES[name]
        for lines, rate in rungs
        if lines <= height
    ]
    sound = [Rung(codec, bitrate_kbps=rate) for codec, rate in _SOUND[name]] if has_audio else []
    thumbnails = Rung("jpeg", _scaled(THUMBNAIL_HEIGHT, width, height), THUMBNAIL_HEIGHT)
    return (*pictures, *sound, thumbnails)


def _scaled(lines: int, width: int, height: int) -> int:
    """The width that goes with so many lines: even, as the codecs want it, and no wider than the source."""
    return max(2, min(round(lines * width / height / 2) * 2, width - width % 2))
