"""Payloads: what is large in a message is kept elsewhere and brought from there, the same, or not at all."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.config.payloads import PayloadSettings
from handoffs.config.settings import Settings
from handoffs.contracts.dataref import DataRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import DataMissing
from handoffs.contracts.strictjson import DEFAULT_LIMITS
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.journal.seal import Seal
from handoffs.coordinator.payloads.bucket import BucketObjects
from handoffs.coordinator.payloads.folder import FolderObjects
from handoffs.coordinator.payloads.objects import Objects
from handoffs.coordinator.payloads.opening import objects_of
from handoffs.coordinator.payloads.payloads import KeptPayloads, Payloads
from tests.unit.contracts.test_dataref import RUN, envelope

LEAST = 1_024
NAME = f"{RUN}/{'a' * 64}"
KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def folder(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path)


def payloads(objects: Objects, *keys: str) -> Payloads:
    return Payloads(KeptPayloads(objects, LEAST, DEFAULT_LIMITS, Seal(keys)))


def body(data: dict[str, Any]) -> str:
    return json.dumps([[envelope(data)], {"flow": "f"}, {"chain": None}])


def read(found: Payloads, text: str) -> Envelope:
    [light], *_ = json.loads(text)
    return Envelope.decode(light, fetch=found.fetch)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(data=st.dictionaries(TEXTS, st.lists(TEXTS | st.integers() | st.none(), max_size=3), max_size=5), padding=st.integers(0, 4_000), sealed=st.booleans())  # fmt: skip
def test_what_is_kept_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any], padding: int, sealed: bool
) -> None:
    """Whatever the payload is, and whether it is sealed: the reader gets the same, and the message is small."""
    found = payloads(FolderObjects(tmp_path_factory.mktemp("kept")), *([KEY] if sealed else []))
    data = {**data, "padding": "x" * padding}
    light = found.lighten(body(data))
    assert read(found, light) == Envelope.decode(envelope(data))
    assert len(light) < LEAST + 4_096
    assert found.lighten(light) == light  # twice is once


class TestBoth:
    """What a folder and a bucket do alike."""

    @pytest.fixture(params=["folder", "bucket"])
    def objects(self, request: pytest.FixtureRequest) -> Objects:
        found: Objects = request.getfixturevalue(request.param)
        return found

    def test_an_object_is_what_was_put_last(self, objects: Objects) -> None:
        """It is there once, whole, by its name; what is not there is None."""
        assert (objects.get(NAME, 100), objects.at(NAME)) == (None, None)
        objects.put(NAME, b"one")
        objects.put(NAME, b"another")
        assert objects.get(NAME, 100) == b"another"
        assert objects.get(NAME, 3) == b"anot"
        assert [(kept.name, kept.run) for kept in objects.each()] == [(NAME, RUN)]

    def test_an_object_says_how_old_it_is(self, objects: Objects) -> None:
        """It is as new as it was put or touched the last time; to touch what is not there does nothing."""
        objects.touch(NAME)
        assert not list(objects.each())
        objects.put(NAME, b"one")
        objects.touch(NAME)
        [kept] = objects.each()
        assert objects.at(NAME) == kept.at
        assert abs(datetime.now(UTC) - kept.at) < timedelta(minutes=1)
        assert objects.get(NAME, 100) == b"one"

    def test_an_object_is_removed(self, objects: Objects) -> None:
        """Once, or as often as somebody likes."""
        objects.put(NAME, b"one")
        objects.remove(NAME)
        objects.remove(NAME)
        assert not list(objects.each())

    def test_a_payload_goes_there_and_back(self, objects: Objects) -> None:
        """A message is sent with a reference, and read with its payload."""
        found = payloads(objects, KEY)
        light = found.lighten(body({"text": "x" * 5_000}))
        assert read(found, light).data == {"text": "x" * 5_000}
        [kept] = objects.each()
        assert b"xxx" not in (objects.get(kept.name, 20_000) or b"")
        objects.probe()


class TestFolder:
    def test_what_was_not_written_to_its_end_is_not_there(
        self, folder: FolderObjects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that is full leaves what was there, and nothing beside it."""
        folder.put(NAME, b"one")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ServerError, match="No space left"):
            folder.put(NAME, b"another")
        assert folder.get(NAME, 100) == b"one"
        assert [kept.name for kept in folder.each()] == [NAME]

    def test_a_folder_that_is_not_mounted_is_an_outage(self, tmp_path: Path) -> None:
        """Nothing is written beside the mount, and nothing is taken for missing."""
        away = FolderObjects(tmp_path / "away")
        for call in (
            lambda: away.put(NAME, b"one"),
            lambda: away.get(NAME, 100),
            lambda: list(away.each()),
            away.probe,
        ):
            with pytest.raises(ServerError, match="mount it here"):
                call()
        assert not (tmp_path / "away").exists()

    def test_no_link_is_followed(self, folder: FolderObjects, tmp_path: Path) -> None:
        """What lies outside of the folder is not there."""
        folder.put(NAME, b"one")
        (tmp_path / NAME).unlink()
        (tmp_path / NAME).symlink_to("/etc/passwd")
        assert folder.get(NAME, 100) is None

    def test_a_run_that_is_a_link_is_none(
        self, folder: FolderObjects, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Nothing is read through it, and nothing is written."""
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / NAME.partition("/")[2]).write_bytes(b"secret")
        (tmp_path / RUN).symlink_to(elsewhere)
        assert folder.get(NAME, 100) is None
        with pytest.raises(ServerError, match="is a link"):
            folder.put(NAME, b"one")
        assert len(list(elsewhere.iterdir())) == 1

    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
    def test_what_is_no_file_is_not_there(
        self, folder: FolderObjects, tmp_path: Path, make: Callable[[Path], None]
    ) -> None:
        """It is not waited for, and nothing stays open that was."""
        folder.put(NAME, b"one")
        (tmp_path / NAME).unlink()
        make(tmp_path / NAME)
        before = _next_descriptor()
        assert [folder.get(NAME, 100) for _ in range(5)] == [None] * 5
        assert _next_descriptor() == before

    def test_threads_that_write_the_same_leave_it_whole(self, folder: FolderObjects) -> None:
        """Each reads what one of them has written, all of it."""
        octets = [bytes([number]) * 100_000 for number in range(4)]
        threads = [threading.Thread(target=folder.put, args=(NAME, one)) for one in octets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert folder.get(NAME, 200_000) in octets

    def test_namespaces_do_not_see_each_other(self, tmp_path: Path) -> None:
        """Installations that share a folder have one each, and none takes what is another's for its own."""
        chosen = PayloadSettings(url=tmp_path.as_uri())
        plain, named = (objects_of(chosen, name, timedelta(seconds=1)) for name in ("", "team"))
        assert plain
        assert named
        named.put(NAME, b"one")
        assert plain.get(NAME, 100) is None
        assert [kept for kept in plain.each() if kept.run] == []
        assert [kept.run for kept in named.each()] == [RUN]


class TestPayloads:
    def test_without_a_place_nothing_changes(self) -> None:
        """Off by default: a message is sent as it is, and a reference is refused with what to set."""
        large = body({"text": "x" * 50_000})
        assert Payloads().lighten(large) == large
        assert not Payloads().concern(large)
        with pytest.raises(DataMissing, match="COORDINATOR_PAYLOADS__URL"):
            Payloads().fetch(DataRef(RUN, "0" * 64, 2), DEFAULT_LIMITS)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '[["x"],1]', json.dumps([["x" * 5_000], {}, {}]), "[" * 5_000]
    )
    def test_what_is_no_message_is_sent_as_it_is(self, folder: FolderObjects, text: str) -> None:
        """Whoever reads it says what is wrong with it."""
        assert payloads(folder).lighten(text) == text

    def test_what_is_sent_again_is_as_new(self, folder: FolderObjects, tmp_path: Path) -> None:
        """A letter that is replayed after a month has its payload for as long as one that is sent now."""
        light = payloads(folder).lighten(body({"text": "x" * 5_000}))
        [kept] = folder.each()
        os.utime(tmp_path / kept.name, (0, 0))
        payloads(folder).lighten(light)
        assert folder.at(kept.name) != datetime.fromtimestamp(0, UTC)

    def test_what_is_sealed_needs_its_key(self, folder: FolderObjects) -> None:
        """What is sealed in the journal is sealed here: with the key it is read, without it is missing, and says which key."""
        light = payloads(folder, KEY).lighten(body({"text": "hush" * 1_000}))
        [kept] = folder.each()
        assert b"hush" not in (folder.get(kept.name, 20_000) or b"")
        other = base64.b64encode(bytes(range(1, 33))).decode()
        assert read(payloads(folder, other, KEY), light).data == {"text": "hush" * 1_000}
        with pytest.raises(DataMissing, match="COORDINATOR_JOURNAL_KEYS"):
            read(payloads(folder, other), light)

    def test_what_was_sealed_for_another_place_does_not_open(self, folder: FolderObjects) -> None:
        """An object that was moved to another name is missing there."""
        found = payloads(folder, KEY)
        one, two = (found.lighten(body({"text": sign * 5_000})) for sign in "xy")
        names = [json.loads(json.loads(text)[0][0])["dataref"] for text in (one, two)]
        folder.put(names[0], folder.get(names[1], 20_000) or b"")
        with pytest.raises(DataMissing, match="does not open"):
            read(found, one)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 that speaks HTTP, in a process of its own: moto's."""
    command = [sys.executable, "-c", _SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


_SERVE = """
import threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
threading.Event().wait()
"""


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, socket_enabled: None) -> BucketObjects:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with urlopen(Request(f"{server}/moto-api/reset", method="POST")):
        pass
    with urlopen(Request(f"{server}/kept", method="PUT")):
        pass
    return BucketObjects("kept", "some/prefix", server, timedelta(seconds=5))


class TestBucket:
    def test_what_is_not_under_the_prefix_is_nobodys(self, bucket: BucketObjects, server: str) -> None:
        """Only what is under the prefix is looked at."""
        other = BucketObjects("kept", "other", server, timedelta(seconds=5))
        other.put(NAME, b"one")
        assert bucket.get(NAME, 100) is None
        assert not list(bucket.each())

    def test_a_bucket_that_is_not_there_is_an_outage(self, bucket: BucketObjects, server: str) -> None:
        """Only what is missing in a bucket that is there is missing."""
        gone = BucketObjects("gone", "", server, timedelta(seconds=5))
        for call in (
            lambda: gone.put(NAME, b"one"),
            lambda: gone.get(NAME, 1),
            gone.probe,
            lambda: list(gone.each()),
        ):
            with pytest.raises(ServerError, match="payload store cannot be used"):
                call()

    def test_a_server_that_is_away_is_an_outage(self, bucket: BucketObjects) -> None:
        """What needs it is tried again."""
        away = BucketObjects("kept", "", "http://127.0.0.1:9", timedelta(seconds=1))
        with pytest.raises(ServerError, match="payload store cannot be used"):
            away.get(NAME, 100)


def test_a_place_is_opened_by_its_url(tmp_path: Path) -> None:
    """A folder or a bucket, as the URL says; none, none."""
    opened = {
        url: type(objects_of(PayloadSettings(url=url), "", timedelta(seconds=1)))
        for url in (None, tmp_path.as_uri(), "s3://bucket/prefix")
    }
    assert list(opened.values()) == [type(None), FolderObjects, BucketObjects]
    assert Settings().payloads.url is None


def _next_descriptor() -> int:
    """The number that the next file gets that is opened: the lowest that is free."""
    found = os.dup(0)
    os.close(found)
    return found
