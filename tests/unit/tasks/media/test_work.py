"""The work of media, from an upload to a title that can be played: in any order, however often, with each effect once."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.reference.media import (
    RenditionOrdered,
    RenditionReady,
    TitleAvailable,
    TitlePackaged,
    TitlePrepared,
    TitleTerms,
)
from handoffs.contracts.text import UntrustedText
from handoffs.coordinator.errors import Permanent
from handoffs.tasks.media import work
from handoffs.tasks.media.drm import content_key
from handoffs.tasks.media.errors import ObjectChanged, ObjectMissing
from handoffs.tasks.media.objects import rendition_object
from handoffs.tasks.media.systems import Systems, systems
from handoffs.tasks.media.work import IncompleteTitle
from tests.unit.tasks.media.titles import complete, media_settings, packaged, ready, title, uploaded


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A folder of its own."""
    return media_settings(tmp_path)


@pytest.fixture
def at(settings: Settings) -> Systems:
    """What is in that folder."""
    return systems(settings)


def playable(settings: Settings) -> TitleAvailable:
    """A title, from its upload on."""
    return work.available(preparations(settings, packaged(settings)))


def preparations(settings: Settings, package: TitlePackaged) -> list[TitlePrepared]:
    """What makes a title available."""
    return [work.prepared(work.distribute(package, settings)), work.prepared(work.index(package, settings))]


def test_from_upload_to_title(settings: Settings, at: Systems) -> None:
    """A title of 1080 lines has 16 renditions, as many packages, a manifest at each edge, and is found by its words."""
    made = ready(settings)
    assert len(made) == 16
    transcoded = work.assemble(made)
    package = work.package(transcoded, settings)
    done = work.available(preparations(settings, package))
    assert [at.drm.opened(package, part) for part in package.packages] == [one.sha256 for one in made]
    assert [place.edge for place in done.locations] == ["edge-1", "edge-2"]
    assert at.cdn.faults(package) == ()
    assert [found.title_id for found in at.index.search("lighthouse")] == ["t-1"]
    for terms in (made[0], transcoded, package, done):
        assert all(getattr(terms, name) == getattr(made[0], name) for name in TitleTerms.model_fields)
        assert isinstance(terms.name, UntrustedText)


def test_orders_are_whole(settings: Settings) -> None:
    """Each order has its place among all of them, a key of its own, and where the source is."""
    upload = uploaded(settings)
    orders = work.order_renditions(upload)
    assert [(order.position, order.count) for order in orders] == [(place, 16) for place in range(1, 17)]
    assert len({order.key() for order in orders}) == 16
    assert {order.source for order in orders} == {upload.source}


def test_everything_twice(settings: Settings, at: Systems) -> None:
    """Whatever is done twice says the same and has its effect once."""
    first, second = (playable(settings) for _ in range(2))
    assert first == second
    tallies = (at.transcodings.tally(), at.packagings.tally(), at.distributions.tally(), at.index.tally())
    assert [(tally.keys, tally.written, tally.doubled) for tally in tallies] == [
        (16, 16, 0), (1, 1, 0), (2, 2, 0), (1, 1, 0),
    ]  # fmt: skip


def test_everything_at_once(settings: Settings, at: Systems) -> None:
    """Many who do the same work at the same time, in any order, have each effect once, and say the same."""
    orders = [
        order for number in range(3) for order in work.order_renditions(uploaded(settings, f"t-{number}"))
    ] * 3
    random.Random(7).shuffle(orders)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda order: work.transcode(order, settings), orders))
        titles = [
            work.assemble(
                [
                    one
                    for one in {ready.key(): ready for ready in made}.values()
                    if one.title_id == f"t-{number}"
                ]
            )
            for number in range(3)
        ]
        packages = list(threads.map(lambda title: work.package(title, settings), titles * 4))
        done = list(threads.map(lambda title: work.distribute(title, settings), packages))
        list(threads.map(lambda title: work.index(title, settings), packages))
    assert len({str(one.to_data()) for one in packages}) == len({str(one.to_data()) for one in done}) == 3
    tallies = (at.transcodings.tally(), at.packagings.tally(), at.distributions.tally(), at.index.tally())
    assert [(tally.keys, tally.written, tally.doubled, tally.differing) for tally in tallies] == [
        (48, 48, 0, 0), (3, 3, 0, 0), (6, 6, 0, 0), (3, 3, 0, 0),
    ]  # fmt: skip
    assert all(at.cdn.faults(package) == () for package in packages)


def test_effects_without_their_line(settings: Settings, at: Systems) -> None:
    """Who dies between an effect and its line does the work again: it is counted, as found, and not as doubled."""
    order = work.order_renditions(uploaded(settings))[0]
    work.transcode(order, settings)
    at.transcodings.path.unlink()
    again = work.transcode(order, settings)
    assert again.seconds_taken == 0
    tally = at.transcodings.tally()
    assert (tally.keys, tally.written, tally.found, tally.doubled) == (1, 0, 1, 0)


def test_other_programs_make_other_bytes(tmp_path: Path) -> None:
    """Where two machines make a rendition at once and differ in their bytes, the first one's is the rendition for both."""
    settings = media_settings(tmp_path)
    at = systems(settings)
    order = work.order_renditions(uploaded(settings))[0]
    key = rendition_object(order)

    class Slower:
        def transcode(self, _order: RenditionOrdered, _source: Path, target: Path) -> float:
            at.store.put(key, b"of the other machine")
            target.write_bytes(b"of this machine")
            return 1.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Systems, "transcoder", Slower())
        made = work.transcode(order, settings)
    assert made.sha256 == at.store.describe(key).sha256
    assert at.store.get(key) == b"of the other machine"
    assert at.transcodings.tally().differing == 1


def test_sources_that_are_not_what_was_uploaded(settings: Settings, at: Systems) -> None:
    """A source that is missing or another is refused for good, and nothing is made of it."""
    order = work.order_renditions(uploaded(settings))[0]
    path = at.store.path(order.source)
    path.write_bytes(b"x")
    with pytest.raises(ObjectChanged):
        work.transcode(order, settings)
    path.unlink()
    with pytest.raises(ObjectMissing):
        work.transcode(order, settings)
    assert issubclass(ObjectChanged, Permanent)
    assert issubclass(ObjectMissing, Permanent)
    assert (at.transcodings.tally().keys, [*at.store.keys()]) == (0, [])


def test_another_upload_of_a_title(settings: Settings, at: Systems) -> None:
    """Another upload under the same id has renditions and packages of its own, and those of the first stay."""
    first = packaged(settings)
    other = at.store.put("uploads/t-1/again", b"another film")
    upload = title(source=other.key, source_sha256=other.sha256, uploaded_at=datetime(2026, 2, 1, tzinfo=UTC))
    second = work.package(
        work.assemble([work.transcode(order, settings) for order in work.order_renditions(upload)]), settings
    )
    assert not {part.object for part in first.packages} & {part.object for part in second.packages}
    assert first.key_id != second.key_id
    assert at.drm.opened(first, first.packages[0]) != at.drm.opened(second, second.packages[0])


def test_renditions_come_in_any_order(settings: Settings) -> None:
    """A set that is complete is assembled in the order of the ladder, in whichever it came."""
    made = ready(settings)
    shuffled = random.Random(7).sample(made, len(made))
    assert work.assemble(shuffled) == work.assemble(made)
    assert [part.rendition for part in work.assemble(shuffled).renditions] == [one.rendition for one in made]


def changed(made: list[RenditionReady], **changes: object) -> list[RenditionReady]:
    """The same with the last one changed."""
    return [*made[:-1], made[-1].model_copy(update=changes)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _made: [],
        lambda made: made[1:],
        lambda made: made[:-1],
        lambda made: [*made, made[0]],
        lambda made: changed(made, position=1),
        lambda made: changed(made, title_id="t-2"),
        lambda made: changed(made, source_sha256="f" * 64),
        lambda made: changed(made, count=17),
    ],
    ids=[
        "none",
        "first missing",
        "last missing",
        "twice",
        "same place",
        "other title",
        "other upload",
        "other count",
    ],
)
def test_sets_that_are_not_whole(
    settings: Settings, spoil: Callable[[list[RenditionReady]], list[RenditionReady]]
) -> None:
    """A set that lacks a rendition, has one twice, or has one of another upload is refused for good."""
    with pytest.raises(IncompleteTitle):
        work.assemble(spoil(ready(settings)))
    assert issubclass(IncompleteTitle, Permanent)


def test_parts_come_in_any_order(settings: Settings) -> None:
    """A title is available once it is distributed and indexed, in whichever order that was done."""
    distributed, indexed = preparations(settings, packaged(settings))
    assert work.available([indexed, distributed]) == work.available([distributed, indexed])
    assert (distributed.count, indexed.count) == (2, 2)
    assert distributed.key() != indexed.key()


def test_parts_that_make_no_title(settings: Settings) -> None:
    """A title is never made available by one thing alone, by one twice, or by the entry of another."""
    distributed, indexed = preparations(settings, packaged(settings))
    other = [indexed.model_copy(update=wrong) for wrong in ({"title_id": "t-2"}, {"source_sha256": "f" * 64})]
    wrong = [[], [distributed], [indexed], [distributed] * 2, [indexed] * 2, [distributed, indexed, indexed]]
    for parts in (*wrong, *([distributed, one] for one in other)):
        with pytest.raises(IncompleteTitle):
            work.available(parts)


def test_a_title_is_shelved_once(settings: Settings, at: Systems) -> None:
    """A title that is put on the shelf again, after a crash perhaps, is there once, and counts once."""
    title = playable(settings)
    for _ in range(3):
        work.shelve(title, settings)
    tally = at.shelved.tally()
    assert (tally.keys, tally.written, tally.found, tally.doubled) == (1, 1, 2, 0)
    [key] = at.store.keys("shelf")
    assert TitleAvailable.from_data(strictjson.loads(at.store.get(key))) == title


def test_no_message_has_a_key(settings: Settings, at: Systems) -> None:
    """Nothing that travels after the packaging has the content key or the master key in it."""
    package = packaged(settings)
    done = work.distribute(package, settings)
    master = bytes.fromhex((at.folder / "master.key").read_text())
    key = content_key(master, package)
    parts = preparations(settings, package)
    messages = (package, done, work.index(package, settings), *parts, work.available(parts))
    for message in messages:
        for secret in (key.key, key.nonce_key, master):
            assert secret.hex() not in str(message.to_data())


def test_largest_messages_travel(tmp_path: Path) -> None:
    """A title with the longest texts and the most renditions fits into a message of the usual size."""
    settings = media_settings(tmp_path, edges=8)
    texts = {"name": UntrustedText("\U0001f40b" * 200), "description": UntrustedText("\U0001f40b" * 2_000)}
    made = ready(settings, ladder="full", width=3840, height=2160, **texts)
    package = work.package(work.assemble(made), settings)
    done = work.distribute(package, settings)
    for message in (package, done):
        assert len(str(message.to_data()).encode()) < settings.max_message_bytes / 20


def test_systems_are_one_for_a_folder(tmp_path: Path) -> None:
    """The same settings have the same systems, other folders others, and making them opens nothing."""
    one, other = media_settings(tmp_path / "a"), media_settings(tmp_path / "b")
    assert systems(one) is systems(media_settings(tmp_path / "a"))
    assert systems(one) is not systems(other)
    assert list(tmp_path.iterdir()) == []


def test_complete_helper_is_idempotent(settings: Settings) -> None:
    """Making the renditions of a title again gives the same message, but for the time."""
    assert complete(settings) == complete(settings)
