"""ffmpeg, as a program that is given arguments, a time limit and no word more than it needs.

It reads what people upload. So it gets no environment, no network and no playlists: only files, in the containers that
are named here.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

from handoffs.contracts.text import printable
from handoffs.coordinator import Permanent, Transient

READING: Final = (
    "-protocol_whitelist", "file", "-format_whitelist", "mov,mp4,matroska,webm,mpegts,avi",
)  # fmt: skip
"""Goes before the ``-i`` of what people upload: a playlist could name other files and other machines."""

_FILE: Final = "file:"
_KEPT_OCTETS: Final = 4_096
_SHOWN: Final = 200
_UNREADABLE: Final = (
    "Invalid data found when processing input", "moov atom not found", "does not contain any stream",
    "matches no streams", "not on whitelist", "not in whitelist", "could not find codec parameters",
)  # fmt: skip
_NO_ENCODER: Final = ("Unknown encoder", "Encoder not found")
_NO_ROOM: Final = ("No space left on device", "Cannot allocate memory", "Disk quota exceeded")


class TranscoderMissing(Permanent):
    """The ffmpeg program is not on this machine, or cannot be run."""


class EncoderMissing(Permanent):
    """This ffmpeg was built without an encoder that the rendition needs."""


class UnreadableSource(Permanent):
    """What was uploaded is not a film or a sound that can be read."""


class TranscodingTimeout(Transient):
    """ffmpeg took longer than it may, and was stopped."""


class TranscodingFailed(Transient):
    """ffmpeg ended with an error that may not come again, or was killed."""


class Ffmpeg:
    """One ffmpeg program.

    Parameters
    ----------
    program
        A name that is looked for on ``PATH``, or a path.
    limit
        How long one call may take.
    """

    def __init__(self, program: str = "ffmpeg", *, limit: timedelta = timedelta(minutes=10)) -> None:
        self._program = program
        self._limit = limit

    @property
    def installed(self) -> bool:
        """Whether the program is on this machine."""
        return shutil.which(self._program) is not None

    def run(self, arguments: Sequence[str], target: Path) -> float:
        """Call it, to write ``target``; how many seconds it took.

        Raises :class:`TranscoderMissing`, :class:`EncoderMissing`, :class:`UnreadableSource`,
        :class:`TranscodingTimeout` and :class:`TranscodingFailed`.
        """
        began = time.monotonic()
        command = [*arguments, "-y", f"{_FILE}{target}"]
        process = self._started(command)
        assert process.stderr is not None
        try:
            words = _last_words(process.stderr, began + self._limit.total_seconds())
            code = process.wait(max(0.0, began + self._limit.total_seconds() - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise TranscodingTimeout(
                f"ffmpeg took longer than {self._limit.total_seconds():g} s",
                "it was stopped, and the rendition is not there",
                "give it more time with COORDINATOR_MEDIA__TRANSCODING_LIMIT",
            ) from None
        finally:
            _end(process)
        if code:
            raise _failure(code, _without_names(words, command))
        if not target.is_file() or not target.stat().st_size:
            raise TranscodingFailed("ffmpeg ended well and wrote nothing", "the rendition is not there")
        return time.monotonic() - began

    def _started(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        program = shutil.which(self._program)
        try:
            if program is None:
                raise FileNotFoundError
            return subprocess.Popen(  # noqa: S603 - a list of arguments, all of them ours
                [*_tied(), program, "-nostdin", "-hide_banner", "-loglevel", "error", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={"LC_ALL": "C"},
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError):
            raise TranscoderMissing(
                "ffmpeg is not on this machine, or may not be run",
                "the rendition is not there",
                "install it, or set COORDINATOR_MEDIA__FFMPEG or COORDINATOR_MEDIA__TRANSCODER=stand-in; then replay",
            ) from None
        except OSError as error:
            raise TranscodingFailed(
                f"ffmpeg could not be started: {error.strerror}", "the rendition is not there"
            ) from error


def _tied() -> list[str]:
    """What makes a program end with the worker that called it, even one that is killed; nothing where the system has none."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _last_words(stream: IO[bytes], until: float) -> str:
    """The end of what a program says, all of which is read. Raises TimeoutError."""
    kept = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            left = until - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise TimeoutError
            read = os.read(stream.fileno(), 65_536)
            if not read:
                return kept.decode("utf-8", "replace")
            kept = (kept + read)[-_KEPT_OCTETS:]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _without_names(words: str, command: Sequence[str]) -> str:
    """What the program says, without the names of files: they are made of what is in messages."""
    for name in command:
        if name.startswith(_FILE):
            words = words.replace(name, "(a file)").replace(name.removeprefix(_FILE), "(a file)")
    return words


def _failure(code: int, words: str) -> Permanent | Transient:
    reported = next((line for line in reversed(words.splitlines()) if line.strip()), "no reason given")
    consequence = "the rendition is not there"
    if any(text in words for text in _NO_ENCODER):
        return EncoderMissing(
            "this ffmpeg has no encoder for the codec of the rendition",
            consequence,
            "install an ffmpeg that has libx264, libx265, libvpx and libopus; then replay",
        )
    if (
        code > 0
        and any(text in words for text in _UNREADABLE)
        and not any(text in words for text in _NO_ROOM)
    ):
        return UnreadableSource(
            "the source is not a film or a sound that ffmpeg can read",
            consequence,
            "upload it again, as MP4, Matroska, WebM, MPEG-TS or AVI",
        )
    if code == -signal.SIGKILL:
        return TranscodingFailed(
            "ffmpeg was killed by signal 9",
            consequence,
            "it may have had too little memory: give its worker more, or fewer renditions at a time; then replay",
        )
    reason = (
        f"was killed by signal {-code}" if code < 0 else f"ended with {code}: {printable(reported, _SHOWN)}"
    )
    return TranscodingFailed(f"ffmpeg {reason}", consequence)
