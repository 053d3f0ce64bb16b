"""DRM: what is encrypted can be decrypted by whoever has the master key, is the same every time, and shows no key."""

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.reference.media import TitlePackaged
from handoffs.tasks.media import work
from handoffs.tasks.media.drm import Drm, PackageCorrupt, TooLarge, content_key, decrypted, encrypted
from handoffs.tasks.media.errors import DifferentContent, ObjectChanged, ObjectMissing
from handoffs.tasks.media.masterkey import (
    InvalidMasterKey,
    MasterKeyUnavailable,
    made_master_key,
    read_master_key,
)
from handoffs.tasks.media.systems import Systems, systems
from tests.unit.tasks.media.titles import complete, media_settings, packaged, title

KEY, NONCE = bytes(range(32)), bytes(range(12))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A folder of its own."""
    return media_settings(tmp_path)


@pytest.fixture
def at(settings: Settings) -> Systems:
    """What is in that folder."""
    return systems(settings)


def master(at: Systems) -> bytes:
    """The key that was made."""
    return read_master_key(at.folder / "master.key")


def test_packages_can_be_opened(settings: Settings, at: Systems) -> None:
    """Every package decrypts to the rendition that was encrypted, and has nothing of it in the clear."""
    transcoded = complete(settings)
    made = work.package(transcoded, settings)
    assert [at.drm.opened(made, package) for package in made.packages] == [
        rendition.sha256 for rendition in transcoded.renditions
    ]
    for package, rendition in zip(made.packages, transcoded.renditions, strict=True):
        assert package.octets == rendition.octets + 16
        assert at.store.get(rendition.object)[:32] not in at.store.get(package.object)


def test_packaging_again_gives_the_same(settings: Settings, at: Systems) -> None:
    """Doing it again writes nothing and says the same; so does another process with the same master key."""
    transcoded = complete(settings)
    first, second = work.package(transcoded, settings), work.package(transcoded, settings)
    assert first == second
    tally = at.packagings.tally()
    assert (tally.keys, tally.written, tally.found, tally.doubled) == (1, 1, 1, 0)
    before = {package.object: at.store.get(package.object) for package in first.packages}
    at.store.remove("packages")
    assert Drm(at.store, master(at)).package(transcoded) == (first, True)
    assert {key: at.store.get(key) for key in before} == before


def test_no_key_is_said(settings: Settings, at: Systems) -> None:
    """Neither the message nor any object that is stored has the content key, the nonce key or the master key in it."""
    made = packaged(settings)
    key = content_key(master(at), made)
    said = strictjson.canonical(made.to_data()).encode() + b"".join(
        map(at.store.get, at.store.keys("packages"))
    )
    for secret in (key.key, key.nonce_key, master(at)):
        assert secret not in said
        assert secret.hex().encode() not in said
    assert key.key.hex() not in repr(key)
    assert str(key.key) not in repr(key)


def test_manifest_says_how_to_play(settings: Settings, at: Systems) -> None:
    """The manifest has the key's id and each package, with its nonce and digest; its own digest travels."""
    made = packaged(settings)
    assert at.store.describe(made.manifest).sha256 == made.manifest_sha256
    said = strictjson.loads(at.store.get(made.manifest))
    assert (said["title"], said["key_id"], said["scheme"]) == ("t-1", made.key_id, "aes-256-gcm")
    assert said["packages"] == [package.to_data() for package in made.packages]


def test_every_upload_has_its_own_key() -> None:
    """Another title, another upload of it, or another master key has another content key with another name."""
    made = [
        content_key(secret, upload)
        for secret in (KEY, bytes(32))
        for upload in (title(), title("t-2"), title(source_sha256="b" * 64))
    ]
    for part in ("key", "key_id", "nonce_key"):
        assert len({getattr(key, part) for key in made}) == 6
    assert content_key(KEY, title()) == made[0]
    assert made[0].key != made[0].nonce_key


def test_nonces_differ() -> None:
    """No two contents of a title are encrypted with the same nonce, nor the same content as two renditions."""
    key = content_key(KEY, title())
    nonces = {key.nonce(name, digest * 64) for name in "abc" for digest in "01"}
    assert {len(nonce) for nonce in nonces} == {12}
    assert len(nonces) == 6


@given(st.lists(st.binary(max_size=50), max_size=6), st.binary(max_size=20))
def test_round_trip(chunks: list[bytes], about: bytes) -> None:
    """However a content is cut into chunks, the package is the same, and however that is cut, the content comes back."""
    package = b"".join(encrypted(chunks, KEY, NONCE, about))
    assert package == b"".join(encrypted([b"".join(chunks)], KEY, NONCE, about))
    for cut in (1, 16, 1000):
        parts = (package[start : start + cut] for start in range(0, len(package), cut))
        assert b"".join(decrypted(parts, KEY, NONCE, about)) == b"".join(chunks)


@pytest.mark.parametrize("position", [0, 10, 25])
def test_a_changed_bit_is_found(position: int) -> None:
    """One bit that is changed, in the ciphertext or in the tag, is found."""
    package = bytearray(b"".join(encrypted([b"0123456789"], KEY, NONCE, b"about")))
    package[position] ^= 1
    with pytest.raises(PackageCorrupt):
        list(decrypted([bytes(package)], KEY, NONCE, b"about"))


@pytest.mark.parametrize("package", [b"", b"x" * 15, b"x" * 16])
def test_a_package_that_is_none(package: bytes) -> None:
    """What is shorter than a tag, or no more than one, is no package."""
    with pytest.raises(PackageCorrupt):
        list(decrypted([package], KEY, NONCE, b"about"))


def test_a_package_is_of_its_title(settings: Settings, at: Systems) -> None:
    """A package that is passed off as another rendition, or another title's, is not opened."""
    made, other = packaged(settings), packaged(settings, "t-2")
    first, second = made.packages[:2]
    with pytest.raises(PackageCorrupt):
        at.drm.opened(made, first.model_copy(update={"rendition": second.rendition}))
    with pytest.raises(PackageCorrupt):
        at.drm.opened(other, first)
    with pytest.raises(PackageCorrupt):
        Drm(at.store, bytes(32)).opened(made, first)


def test_stored_package_that_changed(settings: Settings, at: Systems) -> None:
    """A package that changed on the disk is not opened."""
    made = packaged(settings)
    at.store.path(made.packages[0].object).write_bytes(b"x" * 100)
    with pytest.raises(PackageCorrupt):
        at.drm.opened(made, made.packages[0])


def test_renditions_that_changed_are_not_encrypted(settings: Settings, at: Systems) -> None:
    """A rendition that is missing, or is not what was made, is not encrypted, and there is no manifest."""
    transcoded = complete(settings)
    path = at.store.path(transcoded.renditions[3].object)
    path.write_bytes(b"x")
    with pytest.raises(ObjectChanged):
        work.package(transcoded, settings)
    path.unlink()
    with pytest.raises(ObjectMissing):
        work.package(transcoded, settings)
    assert not [key for key in at.store.keys("packages") if key.endswith("manifest.json")]
    assert at.packagings.tally().keys == 0


def test_another_master_key_is_noticed(settings: Settings, at: Systems) -> None:
    """Packaging with another master key what is packaged already is an error that is counted, and changes nothing."""
    made = packaged(settings)
    (at.folder / "master.key").write_text("0" * 64)
    with pytest.raises(DifferentContent):
        work.package(complete(settings), settings)
    tally = at.packagings.tally()
    assert (tally.written, tally.doubled, tally.differing) == (1, 0, 1)
    assert at.store.describe(made.packages[0].object).sha256 == made.packages[0].sha256


def test_too_large(settings: Settings) -> None:
    """A rendition that one nonce cannot encrypt is refused before anything is read."""
    transcoded = complete(settings)
    large = transcoded.renditions[0].model_copy(update={"octets": 2**36})
    with pytest.raises(TooLarge):
        work.package(transcoded.model_copy(update={"renditions": (large,)}), settings)


def test_master_key_is_made_once(tmp_path: Path) -> None:
    """Of many who need the master key first, one makes it, all get it, and only its owner can read it."""
    path = tmp_path / "new" / "master.key"
    with ThreadPoolExecutor(8) as threads:
        keys = {*threads.map(lambda _: made_master_key(path), range(20))}
    assert {len(key) for key in keys} == {32}
    assert len(keys) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [*path.parent.iterdir()] == [path]


def test_master_key_of_the_settings(tmp_path: Path) -> None:
    """The file that the settings name is the master key, and none is made."""
    path = tmp_path / "given"
    path.write_text(f"{'AB' * 32}\n")
    settings = media_settings(tmp_path / "media", master_key_file=str(path))
    made: TitlePackaged = packaged(settings)
    assert made.key_id == content_key(b"\xab" * 32, made).key_id
    assert not (tmp_path / "media" / "master.key").exists()


@pytest.mark.parametrize(
    "text", ["", "ab", "g" * 64, "a" * 63, "a" * 65, " " + "a" * 64, "a" * 64 + " b", "\u0660" * 64]
)
def test_malformed_master_key(text: str, tmp_path: Path) -> None:
    """A file that is no master key is refused, and not shown."""
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(InvalidMasterKey) as caught:
        read_master_key(path)
    assert len(text) < 3 or text not in str(caught.value)


def test_master_key_that_is_not_there(tmp_path: Path) -> None:
    """A key file that the settings name and is missing is an error, and so is one that cannot be read."""
    with pytest.raises(InvalidMasterKey, match="not there"):
        packaged(media_settings(tmp_path, master_key_file=str(tmp_path / "missing")))
    with pytest.raises(MasterKeyUnavailable):
        read_master_key(tmp_path)


def test_errors_survive_pickling(tmp_path: Path) -> None:
    """An error is the same after pickling."""
    with pytest.raises(InvalidMasterKey) as caught:
        read_master_key(tmp_path / "missing")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_memory_is_flat() -> None:
    """Content is encrypted chunk by chunk: the first is there before the second is asked for."""
    asked = []

    def content() -> Iterator[bytes]:
        for number in range(3):
            asked.append(number)
            yield b"x"

    package = encrypted(content(), KEY, NONCE, b"")
    next(package)
    assert asked == [0]
    assert len(b"".join(package)) == 18
