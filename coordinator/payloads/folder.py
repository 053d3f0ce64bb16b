"""Folder: payloads as files in a folder that every process has."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from handoffs.coordinator.payloads.objects import UNFINISHED, Kept, unusable

_REMEDY = "make the folder of COORDINATOR_PAYLOADS__URL, mount it here, and let this process write to it"
_NO_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO})


class FolderObjects:
    """Keeps objects in ``root``, or in the folder ``inside`` of it: a file each, in a folder for each run. The root is made by people: where
    it is not there, a disk is not mounted."""

    def __init__(self, root: Path, inside: str = "") -> None:
        self._root = root
        self._folder = root / inside

    def put(self, name: str, octets: bytes) -> None:
        path = self._folder / name
        with _used():
            if not path.parent.is_dir():
                self._make(path.parent)
            elif path.parent.is_symlink():
                raise NotADirectoryError(f"{path.parent.name} is a link, and no folder of a run")
            unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
            try:
                with unfinished.open("xb") as file:
                    file.write(octets)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
            _durable(path.parent)

    def _make(self, folder: Path) -> None:
        self.probe()
        for one in (self._folder, folder):
            one.mkdir(exist_ok=True)
            _durable(one.parent)

    def get(self, name: str, most: int) -> bytes | None:
        with _used():
            run, _, file = name.partition("/")
            try:
                # no link is followed, neither of the run nor of the file: nothing that is read is outside of the folder
                within = os.open(self._folder / run, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    found = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=within)
                finally:
                    os.close(within)
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise
                self.probe()
                return None
            return _read(found, most + 1)

    def touch(self, name: str) -> None:
        with _used(), suppress(FileNotFoundError):
            os.utime(self._folder / name, follow_symlinks=False)

    def at(self, name: str) -> datetime | None:
        with _used():
            try:
                return datetime.fromtimestamp((self._folder / name).lstat().st_mtime, UTC)
            except FileNotFoundError:
                return None

    def each(self) -> Iterator[Kept]:
        with _used():
            self.probe()
            for run in self._folder.iterdir() if self._folder.is_dir() else ():
                for file in _files(run):
                    name = f"{run.name}/{file.name}"
                    if (at := self.at(name)) is not None:
                        yield Kept(name, at)

    def remove(self, name: str) -> None:
        path = self._folder / name
        with _used():
            path.unlink(missing_ok=True)
            with suppress(OSError):  # others are in it
                path.parent.rmdir()

    def probe(self) -> None:
        with _used():
            if not self._root.is_dir():
                raise FileNotFoundError("there is no such folder")
            if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError("this process may not write there")


@contextmanager
def _used() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unusable(error, _REMEDY) from error


def _read(descriptor: int, most: int) -> bytes | None:
    """So many octets of a file that was opened, which is closed; None where it is no file, such as a pipe, which would be waited for."""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        found = bytearray()
        while len(found) < most and (part := os.read(descriptor, most - len(found))):
            found += part
        return bytes(found)
    finally:
        os.close(descriptor)


def _files(folder: Path) -> list[Path]:
    """What is in a folder of a run; nothing where somebody has removed it just now, or it is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return [] if folder.is_symlink() else sorted(folder.iterdir())
    return []


def _durable(folder: Path) -> None:
    """What was made or renamed in a folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
