"""Transcoders: what makes one rendition of a source. ffmpeg does; a stand-in takes time and bytes where it is not there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from handoffs.contracts.reference.media import RenditionOrdered
from handoffs.coordinator import Permanent
from handoffs.tasks.media.ffmpeg import READING, Ffmpeg
from handoffs.tasks.media.ladder import MOST_THUMBNAILS

_KEYFRAME_SECONDS: Final = 2
_FULL_PICTURE: Final = 1920 * 1080
_SHARE_OF_SOUND: Final = 0.02  # of the time that a full picture takes
_SMALLEST: Final = 64
_THUMBNAIL_OCTETS: Final = 3_000
_BLOCK: Final = 65_536
_FRAGMENTED: Final = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-f", "mp4")
_WEBM: Final = ("-f", "webm")


class Transcoder(Protocol):
    """Makes one rendition. The same order and source give the same bytes, so that doing it again does no harm."""

    def transcode(self, order: RenditionOrdered, source: Path, target: Path) -> float:
        """Write the rendition of ``source`` to ``target``; how many seconds it took."""


class UnknownForm(Permanent):
    """An order names a picture, a bit rate and a codec that do not go together."""


class FfmpegTranscoder:
    """Transcodes with ffmpeg, in ``threads`` threads. Its errors are those of :meth:`handoffs.tasks.media.ffmpeg.Ffmpeg.run`."""

    def __init__(self, ffmpeg: Ffmpeg, *, threads: int = 1) -> None:
        self._ffmpeg = ffmpeg
        self._threads = threads

    def transcode(self, order: RenditionOrdered, source: Path, target: Path) -> float:
        return self._ffmpeg.run(arguments(order, source, self._threads), target)


class StandInTranscoder:
    """Takes time and bytes in proportion, and makes no picture.

    Parameters
    ----------
    speed
        How many seconds of a picture of 1080 lines it works through in a second. 0: it takes no time.
    size
        How large a rendition is, as a share of what its bit rate would make.
    sleep
        What takes the time, in seconds.
    """

    def __init__(self, *, speed: float, size: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._speed = speed
        self._size = size
        self._sleep = sleep

    def transcode(self, order: RenditionOrdered, source: Path, target: Path) -> float:  # noqa: ARG002 - the protocol's
        """Take the time, and write bytes that depend on the digest of the source and the name of the rendition alone."""
        began = time.monotonic()
        if self._speed:
            self._sleep(order.seconds * _work(order) / self._speed)
        with target.open("wb") as file:
            for block in noise(f"{order.source_sha256} {order.rendition}", self.octets(order)):
                file.write(block)
        return time.monotonic() - began

    def octets(self, order: RenditionOrdered) -> int:
        """How large the rendition is, in octets; at least 64."""
        if order.codec == "jpeg":
            whole = float(MOST_THUMBNAILS * _THUMBNAIL_OCTETS)
        else:
            whole = order.seconds * (order.bitrate_kbps or 0) * 125
        return max(_SMALLEST, round(whole * self._size))


def chosen(wanted: str, ffmpeg: Ffmpeg, *, threads: int, speed: float, size: float) -> Transcoder:
    """The transcoder that the settings ask for; ``auto`` is ffmpeg where it is installed."""
    if wanted == "ffmpeg" or (wanted == "auto" and ffmpeg.installed):
        return FfmpegTranscoder(ffmpeg, threads=threads)
    return StandInTranscoder(speed=speed, size=size)


def noise(seed: str, octets: int) -> Iterator[bytes]:
    """So many octets that do not compress, in blocks; the same seed gives the same ones."""
    for number in range(-(-octets // _BLOCK)):
        block = hashlib.shake_128(f"{seed} {number}".encode())
        yield block.digest(min(_BLOCK, octets - number * _BLOCK))


def arguments(order: RenditionOrdered, source: Path, threads: int) -> list[str]:
    """The arguments of ffmpeg, up to the name of the output. Raises :class:`UnknownForm`."""
    exact = ("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags", "+bitexact")
    return [*READING, "-i", f"file:{source}", "-threads", str(threads), *exact, *_coding(order, threads)]


def _coding(order: RenditionOrdered, threads: int) -> tuple[str, ...]:
    rate = order.bitrate_kbps
    match order.codec:
        case "aac" if rate:
            return ("-map", "0:a:0", "-ac", "2", "-c:a", "aac", "-b:a", f"{rate}k", *_FRAGMENTED)
        case "opus" if rate:
            return ("-map", "0:a:0", "-ac", "2", "-c:a", "libopus", "-b:a", f"{rate}k", *_WEBM)
        case "jpeg" if order.width and order.height:
            frames = MOST_THUMBNAILS / order.seconds
            sheet = f"fps={frames:.6f},scale={order.width}:{order.height},tile=10x10"
            return (
                "-map",
                "0:v:0",
                "-vf",
                sheet,
                "-frames:v",
                "1",
                "-c:v",
                "mjpeg",
                "-q:v",
                "4",
                "-f",
                "mjpeg",
            )
        case "h264" | "hevc" | "vp9" if order.width and order.height and rate:
            scale = f"scale={order.width}:{order.height},setsar=1,format=yuv420p"
            keyframes = f"expr:gte(t,n_forced*{_KEYFRAME_SECONDS})"
            picture = ("-map", "0:v:0", "-vf", scale, "-force_key_frames", keyframes, "-b:v", f"{rate}k")
            return (*picture, *_picture(order.codec, rate, threads))
    raise UnknownForm(
        f"an order for {order.codec} has not the picture and the bit rate that go with it",
        "the rendition is not there",
        "order what the ladder names",
    )


def _picture(codec: str, rate: int, threads: int) -> tuple[str, ...]:
    peak = ("-maxrate", f"{2 * rate}k", "-bufsize", f"{2 * rate}k")  # at most 200 % of the average: Apple
    match codec:
        case "h264":
            return ("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", *peak, *_FRAGMENTED)
        case "hevc":
            # Frames that are coded at the same time give other bytes every time.
            same = ("-x265-params", f"log-level=error:frame-threads=1:pools={threads}")
            return ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", *same, *peak, *_FRAGMENTED)
    bounds = ("-minrate", f"{rate // 2}k", "-maxrate", f"{rate * 3 // 2}k")  # 50 to 150 %: Google
    return ("-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "5", "-row-mt", "1", *bounds, *_WEBM)


def _work(order: RenditionOrdered) -> float:
    """How much work it is beside a picture of 1080 lines."""
    if order.width and order.height and order.codec != "jpeg":
        return order.width * order.height / _FULL_PICTURE
    return _SHARE_OF_SOUND
