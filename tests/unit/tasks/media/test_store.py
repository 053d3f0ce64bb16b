"""The object store: whole objects or none, a name given once, and no way out of its folder."""

import os
import pickle
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.tasks.media.errors import (
    DifferentContent,
    InvalidKey,
    ObjectChanged,
    ObjectMissing,
    StoreUnavailable,
)
from handoffs.tasks.media.store import CHUNK, Store


@pytest.fixture(params=[True, False], ids=["durable", "not durable"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    """An empty store."""
    return Store(tmp_path / "store", durable=request.param)


def drafts(store: Store) -> list[str]:
    """What writers have left."""
    folder = store.folder / ".partial"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_what_is_put_can_be_got(store: Store) -> None:
    """An object is read as it was written, with its size and digest; larger ones in chunks."""
    content = os.urandom(CHUNK + 10)
    made = store.put("films/t-1/a.mp4", content)
    assert (made.octets, made.sha256, made.written) == (len(content), sha256(content).hexdigest(), True)
    assert store.get("films/t-1/a.mp4") == content
    assert [len(chunk) for chunk in store.read("films/t-1/a.mp4", made.sha256)] == [CHUNK, 10]
    described = store.describe("films/t-1/a.mp4")
    assert (described.octets, described.sha256, described.written) == (made.octets, made.sha256, False)
    assert store.exists("films/t-1/a.mp4")
    assert drafts(store) == []


def test_second_write_is_none(store: Store) -> None:
    """The same content again writes nothing, and says so."""
    assert store.put("a", b"x").written
    assert not store.put("a", [b"x"]).written
    assert drafts(store) == []


def test_other_content_is_refused(store: Store) -> None:
    """The same key with another content is an error, and what came first stays."""
    store.put("a", b"first")
    with pytest.raises(DifferentContent):
        store.put("a", b"second")
    with store.draft() as path:
        path.write_bytes(b"third")
        with pytest.raises(DifferentContent):
            store.adopt(path, "a")
    assert store.get("a") == b"first"


def test_concurrent_writers(store: Store) -> None:
    """Of many who write the same key at once, one has written it."""
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: store.put("films/a", b"x" * 100_000), range(40)))
    assert sum(one.written for one in made) == 1
    assert len({one.sha256 for one in made}) == 1


def test_concurrent_writers_of_different_content(store: Store) -> None:
    """Of many who write different contents under one key, one wins, the others are told, and the object is whole."""

    def put(number: int) -> bool:
        try:
            return store.put("a", bytes([number]) * 100_000).written
        except DifferentContent:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(put, range(20))) == 1
    assert len({*store.get("a")}) == 1


def test_writer_that_fails_leaves_nothing(store: Store) -> None:
    """Where the content breaks off, there is no object."""

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("mine")

    with pytest.raises(KeyError):
        store.put("a", broken())
    assert not store.exists("a")
    assert drafts(store) == []


def test_drafts(store: Store) -> None:
    """A draft becomes an object when it is adopted, and is gone after its block in any case."""
    with store.draft() as path:
        path.write_bytes(b"x")
        assert not store.exists("a")
        assert store.adopt(path, "a").written
    with store.draft() as path:
        path.write_bytes(b"y")
    assert store.get("a") == b"x"
    assert (list(store.keys()), drafts(store)) == (["a"], [])


def test_sweep(store: Store) -> None:
    """What a dead writer left is removed when it is old, and not before; objects stay."""
    store.put("a", b"x")
    for name, age in (("old", 90_000), ("new", 0)):
        path = store.folder / ".partial" / name
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    assert store.sweep() == 1
    assert drafts(store) == ["new"]
    assert store.sweep(timedelta(seconds=-60)) == 1
    assert store.get("a") == b"x"


def test_the_first_draft_sweeps(store: Store) -> None:
    """A process that begins to write removes what a dead one left, once."""
    store.put("a", b"x")

    def left() -> None:
        (path := store.folder / ".partial" / "old").write_bytes(b"x")
        os.utime(path, (time.time() - 90_000,) * 2)

    left()
    other = Store(store.folder)
    other.put("b", b"x")
    assert drafts(store) == []
    left()
    other.put("c", b"x")
    assert drafts(store) == ["old"]


@pytest.mark.parametrize(
    "key",
    ["", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", "./a", ".partial/a", "a/.b", "a\\b", "a\0", "a\n", "a b",
     "-a", "ä", "a" * 201, "/".join(["a" * 100] * 6)],
)  # fmt: skip
def test_malformed_keys(store: Store, key: str) -> None:
    """A key that is no names joined by slashes is refused, and not shown."""
    for call in (
        store.get,
        store.exists,
        store.describe,
        store.path,
        store.remove,
        lambda key: store.put(key, b""),
    ):
        with pytest.raises(InvalidKey) as caught:
            call(key)
        assert len(key) < 3 or key not in str(caught.value)
    assert not store.folder.parent.joinpath("a").exists()


@given(st.text(max_size=12))
def test_no_key_leads_out(key: str) -> None:
    """Whatever a key is: it is refused, or names something in the folder."""
    store = Store(Path("/nowhere/store"))
    try:
        assert not store.exists(key)
    except InvalidKey:
        return
    assert os.path.normpath(store.folder / key).startswith("/nowhere/store/")


def test_symbolic_links_do_not_lead_out(store: Store, tmp_path: Path) -> None:
    """A link in the folder that leads out of it is not followed, neither to read nor to write."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a").write_bytes(b"secret")
    store.put("b", b"x")
    (store.folder / "out").symlink_to(tmp_path / "secret")
    (store.folder / "c").symlink_to(tmp_path / "secret" / "a")
    for call in (store.get, store.exists, store.remove, lambda key: store.put(key, b"x")):
        for key in ("out/a", "c"):
            with pytest.raises(InvalidKey, match="a link"):
                call(key)
    assert (tmp_path / "secret" / "a").read_bytes() == b"secret"
    assert [*(tmp_path / "secret").iterdir()] == [tmp_path / "secret" / "a"]


def test_object_is_no_folder(store: Store) -> None:
    """A key below an object, or one that is a folder of others, is refused."""
    store.put("a", b"x")
    store.put("b/c", b"x")
    for key in ("a/b", "b"):
        with pytest.raises(InvalidKey, match="folder of other keys"):
            store.put(key, b"x")


def test_missing_objects(store: Store) -> None:
    """What is not there is missing: in an empty store, and where there are others."""
    for _ in range(2):
        for call in (store.get, store.path, store.describe):
            with pytest.raises(ObjectMissing):
                call("films/a")
        assert not store.exists("films/a")
        store.put("films/b", b"x")


def test_changed_object(store: Store) -> None:
    """Who reads an object by its digest learns, at the end, that it is another."""
    made = store.put("a", b"x")
    store.path("a").write_bytes(b"y")
    with pytest.raises(ObjectChanged):
        list(store.read("a", made.sha256))


def test_keys_and_removal(store: Store) -> None:
    """The keys of one folder can be listed and removed; doing it again does no harm."""
    for key in ("t-1/a", "t-1/b/c", "t-11/a"):
        store.put(key, b"x")
    assert sorted(store.keys()) == ["t-1/a", "t-1/b/c", "t-11/a"]
    assert sorted(store.keys("t-1")) == ["t-1/a", "t-1/b/c"]
    assert (store.remove("t-1"), store.remove("t-1")) == (2, 0)
    assert [*store.keys()] == ["t-11/a"]
    assert store.put("t-1/a", b"y").written


def test_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error that may pass, and leaves nothing."""

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    store = Store(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr("os.link", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            store.put("a", b"x")
    assert not store.exists("a")
    assert store.put("a", b"x").written


def test_durable_means_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A durable store has the content on the disk before it has a name, and the names in their folders after that."""
    order: list[str | int] = []
    link, sync = os.link, os.fsync

    def linked(source: Path, target: Path) -> None:
        order.append("name")
        link(source, target)

    def synced(descriptor: int) -> None:
        order.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr("os.link", linked)
    monkeypatch.setattr("os.fsync", synced)
    store = Store(tmp_path / "store")
    store.put("films/a", b"x")
    paths = (store.path("films/a"), store.folder / "films", store.folder)
    content, films, folder = (path.stat().st_ino for path in paths)
    assert order == [content, "name", films, folder]
    order.clear()
    Store(tmp_path / "other", durable=False).put("films/a", b"x")
    assert order == ["name"]


def test_construction_opens_nothing(tmp_path: Path) -> None:
    """A new store touches no file before its first use."""
    Store(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_errors_survive_pickling() -> None:
    """An invalid key is the same after pickling."""
    error = InvalidKey("is malformed")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
