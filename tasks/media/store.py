"""An object store in a folder, which processes share: an object is there whole or not at all, and never changes.

An object is written beside the others, and then gets its name in one step which fails where the name is taken. So of two
who write the same key at once one has written it, and the other learns that it is there. The same key with another
content is an error, and what came first stays.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from handoffs.tasks.media.errors import (
    DifferentContent,
    InvalidKey,
    ObjectChanged,
    ObjectMissing,
    StoreUnavailable,
)

CHUNK: Final = 1_048_576
"""How many octets are in memory at once."""

_PARTIAL: Final = ".partial"
_LONGEST_KEY: Final = 512
_LONGEST_NAME: Final = 200
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: how many ``octets`` it has and their ``sha256``. ``written``: whether this call wrote it."""

    key: str
    octets: int
    sha256: str
    written: bool = False


class Store:
    """The objects in a folder. Nothing is opened at construction. Safe for threads, processes, and after a fork.

    Parameters
    ----------
    durable
        Whether an object is on the disk before the call that writes it returns.

    Every method raises :class:`InvalidKey` and :class:`StoreUnavailable`.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self._durable = durable
        self._swept = False

    def put(self, key: str, chunks: bytes | Iterable[bytes]) -> Stored:
        """Write an object. ``written`` is False where it is there already, with the same content.

        Raises :class:`DifferentContent`, and what ``chunks`` raises: then nothing is written.
        """
        _check(key)
        with self.draft() as path:
            digest, octets = hashlib.sha256(), 0
            with _reaching(), path.open("wb") as file:
                for chunk in (chunks,) if isinstance(chunks, bytes) else chunks:
                    digest.update(chunk)
                    octets += file.write(chunk)
            return self._adopt(path, Stored(key, octets, digest.hexdigest(), written=True))

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A path for a program to write to, gone after the block. :meth:`adopt` makes an object of what is there. The first one
        of a process sees to what was left by others, see :meth:`sweep`."""
        if not self._swept:
            self._swept = True
            self.sweep()
        with _reaching():
            partial = self.folder / _PARTIAL
            if not partial.is_dir():
                partial.mkdir(parents=True, exist_ok=True)
        path = partial / secrets.token_hex(16)
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def adopt(self, path: Path, key: str) -> Stored:
        """Make an object of a draft. Raises :class:`DifferentContent`."""
        with _reaching():
            octets, sha256 = _digest(_chunks(path))
        return self._adopt(path, Stored(key, octets, sha256, written=True))

    def read(self, key: str, sha256: str | None = None) -> Iterator[bytes]:
        """The content, in chunks of at most 1 MiB.

        Raises :class:`ObjectMissing`; and, after the last chunk, :class:`ObjectChanged` where it has not that digest.
        """
        path = self.path(key)
        digest = hashlib.sha256()
        with _reaching():
            for chunk in _chunks(path):
                digest.update(chunk)
                yield chunk
        if sha256 not in (None, digest.hexdigest()):
            raise ObjectChanged(
                "an object is not what it was: its digest is another",
                "nothing was made of it",
                "put the right object there, and replay",
            )

    def get(self, key: str) -> bytes:
        """The whole content. Raises :class:`ObjectMissing`."""
        return b"".join(self.read(key))

    def describe(self, key: str) -> Stored:
        """Its size and digest, by reading it. Raises :class:`ObjectMissing`."""
        octets, sha256 = _digest(self.read(key))
        return Stored(key, octets, sha256)

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        with _reaching():
            return self._place(key).is_file()

    def path(self, key: str) -> Path:
        """Where the object is, for programs that read files. Raises :class:`ObjectMissing`."""
        path = self._place(key)
        with _reaching():
            if not path.is_file():
                raise ObjectMissing(
                    "there is no object of that key", "nothing was made of it", "put it there, and replay"
                )
        return path

    def keys(self, under: str = "") -> Iterator[str]:
        """The keys of all objects, or of those in one folder of keys; in no order."""
        start = self._place(under) if under else self.folder
        with _reaching():
            for place, folders, names in os.walk(start):
                folders[:] = [name for name in folders if name != _PARTIAL]
                for name in names:
                    yield (Path(place) / name).relative_to(self.folder).as_posix()

    def remove(self, under: str) -> int:
        """Remove the objects in one folder of keys; how many there were. What is gone already is no error."""
        count = sum(1 for _ in self.keys(under))
        with _reaching(), suppress(FileNotFoundError):
            shutil.rmtree(self._place(under))
        return count

    def sweep(self, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove what writers left that died; how many drafts there were. Nobody writes one for so long."""
        until, count = time.time() - older_than.total_seconds(), 0
        with _reaching(), suppress(FileNotFoundError):
            for path in (self.folder / _PARTIAL).iterdir():
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < until:
                        path.unlink()
                        count += 1
        return count

    def _adopt(self, path: Path, made: Stored) -> Stored:
        target = self._place(made.key)
        with _reaching():
            if self._durable:
                _sync(path)
            new = self._make_folders(target.parent)
            try:
                os.link(path, target)
            except FileExistsError:
                return self._already(made, target)
            if self._durable:
                for folder in (target.parent, *new):
                    _sync(folder)
        return made

    def _already(self, made: Stored, target: Path) -> Stored:
        if target.is_dir():
            raise IsADirectoryError
        there = self.describe(made.key)
        if there.sha256 != made.sha256:
            raise DifferentContent(
                "an object was written a second time with another content",
                "what came first stays",
                "find out who else writes this key",
            )
        return there

    def _make_folders(self, folder: Path) -> list[Path]:
        """Make the folders that are missing; in which ones there is something new."""
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
        return [path.parent for path in missing]

    def _place(self, key: str) -> Path:
        """Where an object is, or would be. No link on the way there is followed: it could lead out of the store."""
        _check(key)
        path = str(self.folder)
        for name in key.split("/"):
            path = f"{path}/{name}"
            if os.path.islink(path):  # noqa: PTH114 - asked for every object: texts take half the time
                raise InvalidKey("leads through a link")
        return Path(path)


def _check(key: str) -> None:
    if len(key) > _LONGEST_KEY or any(len(name) > _LONGEST_NAME for name in key.split("/")):
        raise InvalidKey("is too long")
    if not _KEY.match(key):
        raise InvalidKey("is malformed")


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (NotADirectoryError, IsADirectoryError, FileExistsError):
        raise InvalidKey("is a folder of other keys, or lies in an object") from None
    except OSError as error:
        raise StoreUnavailable(
            f"the object store cannot be used: {error.strerror or type(error).__name__}",
            "nothing was made",
            "see that its folder is there, writable, and not full",
        ) from error


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _digest(chunks: Iterable[bytes]) -> tuple[int, str]:
    digest, octets = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        octets += len(chunk)
    return octets, digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
