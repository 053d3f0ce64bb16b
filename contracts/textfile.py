"""Text files as other programs write them: endless, with a byte order mark, with the line ends of other systems, with empty lines."""

from __future__ import annotations

import codecs
import errno
import os
import re
import select
import stat
import time
from pathlib import Path

from handoffs.contracts.errors import InvalidJson, TooLarge

_OTHER_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BLANK = b" \t"
_AT_ONCE = 1_048_576
_SILENCE = 60.0
_LONGEST = 600.0
_MOST_LINES = 4_000_000


def read(path: Path, most: int) -> bytes:
    """What is in a file, or comes out of a pipe, of ``most`` octets.

    Raises :class:`~handoffs.contracts.errors.TooLarge` for more, so that endless ones end; and :class:`OSError`, whose ``strerror``
    says why: as the system does, for a device that is no terminal, and for a pipe from which nothing comes for a minute, or which
    has not ended in ten.
    """
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            _check(found.st_size, most)
            return _all_of(path.read_bytes(), most)
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError:
        raise OSError(errno.EINVAL, "that is no file name") from None
    try:
        kind = os.fstat(handle).st_mode
        if stat.S_ISBLK(kind) or (stat.S_ISCHR(kind) and not os.isatty(handle)):
            raise OSError(errno.EINVAL, "it is a device, and no file")
        return _out_of(handle, most)
    finally:
        os.close(handle)


def _out_of(handle: int, most: int) -> bytes:
    """What comes out of a pipe until it ends."""
    parts: list[bytes] = []
    octets, until = 0, time.monotonic() + _LONGEST
    while True:
        _await(handle, until)
        part = os.read(handle, _AT_ONCE)
        if not part:
            return b"".join(parts)
        parts.append(part)
        octets += len(part)
        _check(octets, most)


def _all_of(text: bytes, most: int) -> bytes:
    """What was read of a file, which may have grown meanwhile."""
    _check(len(text), most)
    return text


def _check(octets: int, most: int) -> None:
    if octets > most:
        raise TooLarge(f"it has more than {most} bytes", "it was not read", "give it in several parts")


def _await(handle: int, until: float) -> None:
    """Wait until there is something to read, or the other side has ended it."""
    left = until - time.monotonic()
    asked = select.poll()
    asked.register(handle, select.POLLIN)
    if left <= 0 or not asked.poll(min(left, _SILENCE) * 1000):
        said = (
            f"nothing came out of it for {_SILENCE:g} s"
            if left > 0
            else f"it has no end after {_LONGEST:g} s"
        )
        raise OSError(errno.ETIMEDOUT, said)


def unmarked(text: bytes) -> bytes:
    """What a file of UTF-8 says, without the byte order mark that some programs put before it.

    Raises :class:`~handoffs.contracts.errors.InvalidJson` for UTF-16 and UTF-32, with a mark or without: a text that is read
    here begins with an ASCII character, which they write with octets of zero.
    """
    if text.startswith(_OTHER_MARKS) or b"\0" in text[:4]:
        raise InvalidJson("the file is UTF-16 or UTF-32, not UTF-8", "it was not read", "save it as UTF-8")
    while text.startswith(codecs.BOM_UTF8):
        text = text[len(codecs.BOM_UTF8) :]
    return text


def lines(text: bytes) -> list[bytes]:
    """The lines of a file, so that the first is line 1: ended by LF, CRLF or CR, the last one by nothing; without blanks around
    them and without marks, which files that were put together have inside. Empty lines are there and empty; those at the end
    are not.

    Raises :class:`~handoffs.contracts.errors.InvalidJson` as :func:`unmarked` does, and
    :class:`~handoffs.contracts.errors.TooLarge` for more than four million lines.
    """
    if max(text.count(b"\n"), text.count(b"\r")) > _MOST_LINES:
        raise TooLarge(f"it has more than {_MOST_LINES} lines", "it was not read", "give it in several parts")
    found = [unmarked(line.strip(_BLANK)).strip(_BLANK) for line in _LINE_END.split(unmarked(text))]
    while found and not found[-1]:
        del found[-1]
    return found
