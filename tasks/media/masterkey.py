"""The master key: the one secret from which every content key is derived. It is in a file, and nowhere else."""

from __future__ import annotations

import codecs
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from handoffs.coordinator import Permanent, Transient

MASTER_KEY_OCTETS: Final = 32
_DIGITS: Final = re.compile(rb"[0-9A-Fa-f]{64}\s*\Z")
_MOST_READ: Final = 256


class InvalidMasterKey(Permanent):
    """The file of the master key is not 64 hexadecimal digits, or is not there."""


class MasterKeyUnavailable(Transient):
    """The file of the master key cannot be read or made just now."""


def read_master_key(path: Path) -> bytes:
    """The 32 octets in a file of 64 hexadecimal digits. Raises :class:`InvalidMasterKey`, :class:`MasterKeyUnavailable`."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_READ).removeprefix(codecs.BOM_UTF8)  # some editors put it there
    except FileNotFoundError:
        raise _invalid("is not there") from None
    except OSError as error:
        raise _unavailable(error) from error
    if not _DIGITS.match(text):
        raise _invalid("is not 64 hexadecimal digits")
    return bytes.fromhex(text.decode("ascii").strip())


def made_master_key(path: Path) -> bytes:
    """The same; where there is no such file, one is made that only its owner can read. Of two processes that make it, one does.

    Raises :class:`InvalidMasterKey`, and :class:`MasterKeyUnavailable` where the file can be neither read nor made.
    """
    if not path.exists():
        try:
            _make(path)
        except OSError as error:
            raise _unavailable(error) from error
    return read_master_key(path)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_hex(MASTER_KEY_OCTETS)}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _invalid(reason: str) -> InvalidMasterKey:
    return InvalidMasterKey(
        f"the file of the master key {reason}",
        "nothing was encrypted",
        "write 64 hexadecimal digits to the file that COORDINATOR_MEDIA__MASTER_KEY_FILE names, such as `openssl rand -hex 32` gives",
    )


def _unavailable(error: OSError) -> MasterKeyUnavailable:
    return MasterKeyUnavailable(
        f"the file of the master key cannot be used: {error.strerror or type(error).__name__}",
        "nothing was encrypted",
        "see that it is there and that this process may read it",
    )
