"""Registry: the versions of contracts that are published, one file a version.

``<folder>/<contract>/<version>.json`` says what the version is, ``<version>.golden.json`` has messages of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import ContractRef, valid_name
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError, InvalidRegistry
from handoffs.contracts.registry.publication import MODES, Published, digest_named, digest_of
from handoffs.contracts.text import printable
from handoffs.contracts.textfile import read, unmarked
from handoffs.contracts.versions import Known

__all__ = ["MODES", "Published", "Registry", "golden_file", "open_registry", "version_file"]

_LIMITS = strictjson.Limits(octets=16_777_216, depth=120, nodes=1_000_000, text_length=1_048_576)
_FILE = re.compile(r"([1-9][0-9]{0,8})\.json")
_GOLDEN = re.compile(r"([1-9][0-9]{0,8})\.golden\.json")
_MOST_GOLDEN = 3


class Registry:
    """Published versions in folders: the first that has a version wins, the last is where new ones are written.

    A folder that does not exist is empty. Files are read when they are asked for, and once.
    Raises :class:`InvalidRegistry`, which names the file, where one is malformed.
    """

    def __init__(self, *folders: Path) -> None:
        self.folders = folders
        self._places: dict[ContractRef, Path] | None = None
        self._read: dict[ContractRef, Published] = {}
        self._golden: dict[ContractRef, tuple[Envelope, ...]] = {}

    def get(self, ref: ContractRef) -> Published | None:
        """A published version; None where it is not published."""
        if ref not in self._read and ref in self._found():
            self._read[ref] = _published(self._found()[ref], ref)
        return self._read.get(ref)

    def known(self, ref: ContractRef) -> Known | None:
        """What a published version writes and reads; None where it is not published."""
        published = self.get(ref)
        return published.known() if published else None

    def versions(self, name: str) -> tuple[int, ...]:
        """The published versions of a contract, oldest first."""
        return tuple(sorted(ref.version for ref in {*self._found(), *self._read} if ref.name == name))

    def names(self) -> tuple[str, ...]:
        """The contracts of which a version is published, sorted."""
        return tuple(sorted({ref.name for ref in {*self._found(), *self._read}}))

    def __iter__(self) -> Iterator[Published]:
        """Every published version, by name and version."""
        for name in self.names():
            for version in self.versions(name):
                published = self.get(ContractRef(name, version))
                assert published is not None
                yield published

    def golden(self, ref: ContractRef) -> tuple[Envelope, ...]:
        """What a writer of a published version wrote when it was published: one to three messages."""
        if ref not in self._golden and ref in self._found():
            path = golden_file(self._found()[ref])
            value = _json(path)
            found = _envelopes(path, value, ref)
            published = self.get(ref)
            if published is not None and published.golden not in ("", digest_named(value)):
                raise _wrong(
                    path,
                    f"they are not those with which {ref} was published",
                    consequence="they were changed since",
                )
            self._golden[ref] = found
        return self._golden.get(ref, ())

    def faults(self) -> Iterator[InvalidRegistry]:
        """What is malformed, a file or a folder each, once. The golden envelopes of a malformed version are not looked at."""
        found: dict[ContractRef, Path] = {}
        for folder in self.folders:
            for entry in _entries_or_faults(folder):
                if isinstance(entry, InvalidRegistry):
                    yield entry
                else:
                    found.setdefault(*entry)
        self._places = found
        for ref in found:
            for look in (self.get, self.golden):
                try:
                    look(ref)
                except InvalidRegistry as error:
                    yield error
                    break

    def take(self, published: Published, golden: tuple[Envelope, ...]) -> None:
        """Let a version be there without a file: one that is about to be published."""
        self._read[published.ref] = published
        self._golden[published.ref] = golden

    def _found(self) -> dict[ContractRef, Path]:
        if self._places is None:
            places: dict[ContractRef, Path] = {}
            for folder in self.folders:
                for ref, path in _files(folder):
                    places.setdefault(ref, path)
            self._places = places
        return self._places


def open_registry(folder: Path) -> Registry:
    """The contracts that come with this package, and those in ``folder``, where new ones are written."""
    own = Path(str(files("handoffs.contracts") / "published"))
    return Registry(own) if own.resolve() == folder.resolve() else Registry(own, folder)


def version_file(folder: Path, ref: ContractRef) -> Path:
    """Where a version stands in a folder."""
    return folder / ref.name / f"{ref.version}.json"


def golden_file(version: Path) -> Path:
    """Where the golden envelopes of a version's file stand."""
    return version.with_suffix(".golden.json")


def _files(folder: Path) -> Iterator[tuple[ContractRef, Path]]:
    """The files of versions in a folder. What begins with a dot is passed over."""
    for entry in _entries_or_faults(folder):
        if isinstance(entry, InvalidRegistry):
            raise entry
        yield entry


def _entries_or_faults(folder: Path) -> Iterator[tuple[ContractRef, Path] | InvalidRegistry]:
    """The same, and what is wrong with each of the others."""
    for inner in _listed(folder):
        if isinstance(inner, InvalidRegistry):
            yield inner
        elif not _is(inner, Path.is_dir) or not valid_name(inner.name):
            yield _wrong(inner, "it is no folder that is called like a contract", "move it out of there")
        else:
            for path in _listed(inner):
                found = None if isinstance(path, InvalidRegistry) else _FILE.fullmatch(path.name)
                if isinstance(path, InvalidRegistry):
                    yield path
                elif found and _is(path, Path.is_file):
                    yield ContractRef(inner.name, int(found[1])), path
                elif not (_GOLDEN.fullmatch(path.name) and _is(path, Path.is_file)):
                    yield _wrong(
                        path,
                        "it is no file that is called <version>.json or <version>.golden.json",
                        "move it out of there",
                    )


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    """Whether it is of a kind. What cannot be looked at is of none."""
    try:
        return kind(path)
    except OSError:
        return False


def _listed(folder: Path) -> Sequence[Path | InvalidRegistry]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no name of a folder"
        return [_wrong(folder, f"it cannot be read: {why}")]


def _published(path: Path, ref: ContractRef) -> Published:
    value = _json(path)
    try:
        published = Published.from_json(value)
    except InvalidRegistry as error:
        raise _wrong(path, error.cause, error.remedy, error.consequence) from None
    if published.ref != ref:
        raise _wrong(
            path, f"it says that it is {published.ref}", f"a version stands in {ref.name}/{ref.version}.json"
        )
    if (published.digest or published.golden) and published.digest != digest_of(value):
        raise _wrong(
            path,
            "its digest is not that of what it says",
            consequence="something in it was changed after it was published",
        )
    return published


def _envelopes(path: Path, value: Any, ref: ContractRef) -> tuple[Envelope, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_GOLDEN:
        raise _wrong(path, f"it is no list of 1 to {_MOST_GOLDEN} envelopes")
    found = []
    for number, item in enumerate(value, 1):
        try:
            envelope = Envelope.decode(strictjson.dumps(item))
        except CoordinationError as error:
            raise _wrong(path, f"envelope {number}: {error.cause}") from None
        if envelope.contract != ref:
            raise _wrong(path, f"envelope {number} is of {envelope.contract}")
        found.append(envelope)
    return tuple(found)


def _json(path: Path) -> Any:
    try:
        return strictjson.loads(unmarked(read(path, _LIMITS.octets)), _LIMITS)
    except OSError as error:
        raise _wrong(path, f"it cannot be read: {error.strerror}") from None
    except CoordinationError as error:
        raise _wrong(path, error.cause) from None


def _wrong(path: Path, why: str, remedy: str = "", consequence: str = "") -> InvalidRegistry:
    return InvalidRegistry(
        f"{printable(path, 300)}: {why}",
        consequence or "no published contract can be relied on",
        remedy or "take it from version control as it was",
    )
