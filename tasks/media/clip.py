"""The test clip: a moving picture and a tone, so that there is something to transcode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handoffs.tasks.media.ffmpeg import Ffmpeg
from handoffs.tasks.media.store import Store
from handoffs.tasks.media.transcoder import noise

WIDTH: Final = 1920
HEIGHT: Final = 1080
_FRAMES: Final = 30
_STAND_IN_OCTETS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Clip:
    """An upload in the store: its key, size, digest, length in ``seconds`` and picture in pixels."""

    source: str
    octets: int
    sha256: str
    seconds: float
    width: int
    height: int


def film(
    store: Store, key: str, ffmpeg: Ffmpeg, *, seconds: float = 5, width: int = WIDTH, height: int = HEIGHT
) -> Clip:
    """Let ffmpeg make a clip. Raises what :meth:`~handoffs.tasks.media.ffmpeg.Ffmpeg.run` and the store raise."""
    with store.draft() as path:
        ffmpeg.run(_arguments(seconds, width, height), path)
        return _clip(store, path, key, seconds, width, height)


def stand_in(store: Store, key: str, *, seconds: float = 5, width: int = WIDTH, height: int = HEIGHT) -> Clip:
    """Bytes that stand for a clip, the same for the same key. Only the stand-in transcoder can do anything with them."""
    with store.draft() as path:
        path.write_bytes(b"".join(noise(key, _STAND_IN_OCTETS)))
        return _clip(store, path, key, seconds, width, height)


def _clip(store: Store, path: Path, key: str, seconds: float, width: int, height: int) -> Clip:
    made = store.adopt(path, key)
    return Clip(made.key, made.octets, made.sha256, seconds, width, height)


def _arguments(seconds: float, width: int, height: int) -> list[str]:
    picture = f"testsrc2=size={width}x{height}:rate={_FRAMES}:duration={seconds:g}"
    tone = f"sine=frequency=440:sample_rate=48000:duration={seconds:g}"
    coding = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -b:a 128k"
    exact = "-map_metadata -1 -fflags +bitexact -flags +bitexact -f mp4"
    return ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, *coding.split(), *exact.split()]
