"""Seal: messages in the journal are encrypted, with keys from the settings. The first key writes, every key reads."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Any

from handoffs.config.settings import key_bytes
from handoffs.coordinator.errors import SealBroken, ServerError

_MARK = "sealed:1:"
"""Begins a text that is sealed; then the name of its key, a colon, and nonce and ciphertext (AES-256-GCM) in base64."""
_NONCE = 12  # bytes


class Seal:
    """Seals texts of the journal, each for one place: what is moved to another does not open there. Safe for threads.

    Without keys it leaves texts as they are. Raises :class:`~handoffs.coordinator.errors.ServerError` where keys are given and
    the package that encrypts is not installed, and :class:`ValueError` for what is no key: 32 bytes in base64.
    """

    def __init__(self, keys: Sequence[str] = (), what: str = "a message in the journal") -> None:
        """``what`` texts are, for people."""
        self._what = what
        raw = [key_bytes(key.strip()) for key in keys]
        self._ciphers = {_name(one): _cipher(one) for one in raw}
        self.writes = next(iter(self._ciphers), "")
        """The name of the key that seals; empty where nothing is sealed."""

    @property
    def mark(self) -> str:
        """What a text begins with that is sealed as :meth:`closed` does it now; empty where nothing is sealed."""
        return f"{_MARK}{self.writes}:" if self.writes else ""

    def closed(self, text: str, place: str) -> str:
        """``text`` sealed for its ``place``."""
        if not self.writes:
            return text
        nonce = os.urandom(_NONCE)
        made = self._ciphers[self.writes].encrypt(
            nonce, text.encode("utf-8", "surrogatepass"), place.encode()
        )
        return self.mark + base64.b64encode(nonce + made).decode()

    def opened(self, text: str, place: str) -> str:
        """The text that was sealed for ``place``; one that was not sealed as it is.

        Raises :class:`~handoffs.coordinator.errors.SealBroken` where the key is not among the keys, or it does not open.
        """
        if not text.startswith(_MARK):
            return text
        name, _, sealed = text.removeprefix(_MARK).partition(":")
        if name not in self._ciphers:
            raise SealBroken(
                f"{self._what} is sealed with the key {name[:16]}, which is not among COORDINATOR_JOURNAL_KEYS",
                "nothing was changed: it stays there, and can be replayed once the key is back",
                "add that key to COORDINATOR_JOURNAL_KEYS, after those that are there",
            )
        try:
            raw = base64.b64decode(sealed, validate=True)
            made: bytes = self._ciphers[name].decrypt(raw[:_NONCE], raw[_NONCE:], place.encode())
        except (ValueError, _invalid_tag()) as error:
            raise SealBroken(
                f"{self._what} does not open with its key {name[:16]}: it was changed or moved ({type(error).__name__})",
                "nothing was changed",
                "restore the row from a backup of the journal, or give its run up",
            ) from None
        return made.decode("utf-8", "surrogatepass")


def _name(key: bytes) -> str:
    """What a key is called where it must not be shown."""
    return hashlib.sha256(b"handoffs journal key\n" + key).hexdigest()[:16]


def _invalid_tag() -> type[Exception]:
    # Only here, as in _cipher: there is a cipher, so the extra is installed.
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415

    return InvalidTag


def _cipher(key: bytes) -> Any:
    try:
        # Only here: it is needed where keys are set, and is an extra.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ServerError(
            f"COORDINATOR_JOURNAL_KEYS is set, and the package that encrypts is not installed: {error.name}",
            "the journal is not used: nothing is to be written there in clear",
            "pip install 'handoffs[sealed]'",
        ) from error
    return AESGCM(key)
