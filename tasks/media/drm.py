"""DRM: encrypts the renditions of a title, and says by which key, never the key.

Each upload of a title has a content key of its own, derived from the master key (HKDF, RFC 5869). A package is AES-256-GCM:
the ciphertext, and then the tag of 16 octets. Its nonce is derived from what is encrypted. So encrypting it again gives
the same bytes, and another content another nonce; what the package is of is authenticated with it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from handoffs.contracts.reference.media import (
    Package,
    Rendition,
    TitlePackaged,
    TitleTerms,
    TranscodingComplete,
)
from handoffs.coordinator import Permanent
from handoffs.tasks.media.errors import ObjectChanged
from handoffs.tasks.media.manifest import manifest
from handoffs.tasks.media.objects import manifest_object, package_object
from handoffs.tasks.media.store import Store

SCHEME: Final = "aes-256-gcm"
LICENCES: Final = "https://licence.example"
"""Where players would ask for a key."""
TAG_OCTETS: Final = 16
MOST_OCTETS: Final = 2**36 - 32
"""The longest content that AES-GCM encrypts under one nonce."""

_KEY_OCTETS: Final = 32
_KEY_ID_OCTETS: Final = 16
_NONCE_OCTETS: Final = 12


class PackageCorrupt(Permanent):
    """A package is not what was encrypted, or not by this key."""


class TooLarge(Permanent):
    """A rendition is longer than one package may be."""


@dataclass(frozen=True, slots=True, repr=False)
class ContentKey:
    """The key of one upload of a title. ``key_id`` names it, in hexadecimal digits, and may be known to all."""

    key_id: str
    key: bytes
    nonce_key: bytes

    def nonce(self, rendition: str, sha256: str) -> bytes:
        """The nonce for a content of that digest."""
        named = f"{rendition}\0{sha256}".encode()
        return hmac.digest(self.nonce_key, named, "sha256")[:_NONCE_OCTETS]

    def __repr__(self) -> str:
        return f"ContentKey({self.key_id})"


def content_key(master: bytes, title: TitleTerms) -> ContentKey:
    """The content key of an upload: the same whenever it is asked for."""

    def derived(purpose: str, octets: int) -> bytes:
        info = "\0".join(("handoff media", purpose, title.title_id, title.source_sha256)).encode()
        return HKDF(algorithm=SHA256(), length=octets, salt=None, info=info).derive(master)

    key_id = derived("key id", _KEY_ID_OCTETS).hex()
    return ContentKey(key_id, derived("content key", _KEY_OCTETS), derived("nonce key", _KEY_OCTETS))


class Drm:
    """Encrypts what is in a store, and puts the packages there."""

    def __init__(self, store: Store, master: bytes) -> None:
        self._store = store
        self._master = master

    def package(self, title: TranscodingComplete) -> tuple[TitlePackaged, bool]:
        """Encrypt all renditions of a title, and then put the list of them. And whether this call put that.

        Raises :class:`TooLarge`, and what the store raises: :class:`~handoffs.tasks.media.errors.ObjectMissing` and
        :class:`~handoffs.tasks.media.errors.ObjectChanged` for a rendition that is not what it was.
        """
        key = content_key(self._master, title)
        packages = tuple(self._encrypt(title, made, key) for made in title.renditions)
        listed = self._store.put(manifest_object(title), manifest(title, SCHEME, key.key_id, packages))
        terms = {name: getattr(title, name) for name in TitleTerms.model_fields}
        packaged = TitlePackaged(
            **terms,
            scheme=SCHEME,
            key_id=key.key_id,
            licence=f"{LICENCES}/{key.key_id}",
            manifest=listed.key,
            manifest_sha256=listed.sha256,
            packages=packages,
        )
        return packaged, listed.written

    def opened(self, title: TitlePackaged, package: Package) -> str:
        """Decrypt a package, to see that it can be: the digest of its content, in hexadecimal digits.

        Raises :class:`PackageCorrupt`.
        """
        key = content_key(self._master, title)
        nonce, about = bytes.fromhex(package.nonce), _about(title, package.rendition, key)
        digest = hashlib.sha256()
        try:
            for chunk in decrypted(self._store.read(package.object, package.sha256), key.key, nonce, about):
                digest.update(chunk)
        except ObjectChanged:
            raise _corrupt() from None
        return digest.hexdigest()

    def _encrypt(self, title: TranscodingComplete, made: Rendition, key: ContentKey) -> Package:
        if made.octets > MOST_OCTETS:
            raise TooLarge(
                "a rendition is longer than one package may be",
                "the title is not packaged",
                "cut the title into parts",
            )
        nonce = key.nonce(made.rendition, made.sha256)
        content = self._store.read(made.object, made.sha256)
        stored = self._store.put(
            package_object(title, made),
            encrypted(content, key.key, nonce, _about(title, made.rendition, key)),
        )
        return Package(
            rendition=made.rendition,
            codec=made.codec,
            object=stored.key,
            octets=stored.octets,
            sha256=stored.sha256,
            nonce=nonce.hex(),
        )


def encrypted(chunks: Iterable[bytes], key: bytes, nonce: bytes, about: bytes) -> Iterator[bytes]:
    """AES-256-GCM: the ciphertext of ``chunks``, and then the tag. ``about`` is authenticated and not encrypted."""
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(about)
    for chunk in chunks:
        yield encryptor.update(chunk)
    yield encryptor.finalize() + encryptor.tag


def decrypted(chunks: Iterable[bytes], key: bytes, nonce: bytes, about: bytes) -> Iterator[bytes]:
    """The content again. What comes may be wrong until the end is reached, which raises :class:`PackageCorrupt` then."""
    decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).decryptor()
    decryptor.authenticate_additional_data(about)
    held = b""
    for chunk in chunks:
        held += chunk
        yield decryptor.update(held[:-TAG_OCTETS])
        held = held[-TAG_OCTETS:]
    try:
        yield decryptor.finalize_with_tag(held)
    except (InvalidTag, ValueError):  # ValueError: shorter than a tag
        raise _corrupt() from None


def _about(title: TitleTerms, rendition: str, key: ContentKey) -> bytes:
    return "\0".join((key.key_id, title.title_id, rendition)).encode()


def _corrupt() -> PackageCorrupt:
    return PackageCorrupt(
        "a package is not what was encrypted, or the master key is another",
        "it cannot be played",
        "remove the package, and package the title again with the master key that it had",
    )
