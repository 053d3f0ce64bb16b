"""Streams: where a command writes to, whatever the modules that it loads do to those of the process."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import IO, Any, TextIO

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.render.console import err, out

_STANDARD = 3


class OutputFailed(CoordinationError):
    """What a command has to say cannot be written, as where a disk is full."""


class ReaderGone(Exception):
    """The pipe to which a command writes was closed at its other end."""


class _Stream(io.TextIOBase):
    """A stream that tells its errors apart from those of the files that a command works with."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """How it writes characters; it escapes those for which there is no way."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        with _told():
            return self._stream.write(text)

    def flush(self) -> None:
        with _told():
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


def output_failed(error: OSError) -> OutputFailed:
    """The same as an error of ours."""
    return OutputFailed(
        f"the output cannot be written: {error.strerror}",
        "what was asked for may have been done",
        "give it another place, and look before you repeat what changes something",
    )


@contextmanager
def own_streams() -> Iterator[None]:
    """Let :data:`~handoffs.coordinator.render.console.out` and ``err`` write to streams of their own, which nobody else closes or
    replaces. They raise :class:`OutputFailed` and :class:`ReaderGone`."""
    _open_standard_streams()
    standard = (sys.stdout, sys.stderr)
    made = [_duplicate(stream) for stream in standard]
    before: Any = [out._file, err._file]
    own: list[Any] = [_Stream(stream) for stream in made]
    out.file, err.file = own
    try:
        yield
    finally:
        out.file, err.file = before
        sys.stdout, sys.stderr = standard
        for stream, copy in zip(standard, made, strict=True):
            if copy is not stream:
                with suppress(OSError, ValueError):
                    copy.close()
            _emptied(stream)


@contextmanager
def results_apart() -> Iterator[None]:
    """Whatever is printed meanwhile goes to standard error; only ``out`` writes to standard output, which so has nothing but
    the result. It stays what it was when it is over, whatever was put in its place."""
    with redirect_stdout(_duplicate(sys.stderr)):
        yield


def _duplicate(stream: TextIO) -> TextIO:
    """A stream to the same place that lives on where the other is closed; the same one where it has no place of its own."""
    try:
        stream.flush()
        return os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="backslashreplace")
    except (OSError, ValueError, AttributeError):  # io.UnsupportedOperation is both
        return stream


def _open_standard_streams() -> None:
    """Where the process was started with one of its standard streams closed, open it on nothing: the next file that is opened
    would be in its place, and what somebody prints would be written into that."""
    while (number := os.open(os.devnull, os.O_RDWR)) < _STANDARD:
        pass
    os.close(number)
    if sys.stdout is None:
        sys.stdout = _nowhere()
    if sys.stderr is None:
        sys.stderr = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def _emptied(stream: IO[str]) -> None:
    """Write what a stream holds back. Where that cannot be, it goes nowhere: the interpreter would try again at the end, and say so."""
    try:
        stream.flush()
    except ValueError:  # it is closed
        return
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError):
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise output_failed(error) from None
