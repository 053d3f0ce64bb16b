"""The network of edges: whole titles or none, checked copies, and purges that can be repeated."""

from pathlib import Path

import pytest

from handoffs.config.settings import Settings
from handoffs.tasks.media import work
from handoffs.tasks.media.errors import DifferentContent, ObjectChanged
from handoffs.tasks.media.systems import Systems, systems
from tests.unit.tasks.media.titles import media_settings, packaged


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Three edges."""
    return media_settings(tmp_path, edges=3)


@pytest.fixture
def at(settings: Settings) -> Systems:
    """What is in that folder."""
    return systems(settings)


def test_every_edge_has_all(settings: Settings, at: Systems) -> None:
    """After the distribution each edge has each package and the manifest, as they were made, and nothing else."""
    title = packaged(settings)
    done = work.distribute(title, settings)
    keys = {*(package.object for package in title.packages), title.manifest}
    for edge, location in zip(at.cdn.edges, done.locations, strict=True):
        assert {*edge.store.keys()} == keys
        assert all(edge.store.get(key) == at.store.get(key) for key in keys)
        assert location.edge == edge.name
        assert location.url == f"https://{edge.name}.cdn.example/{title.manifest}"
        assert (location.objects, location.octets) == (17, sum(len(edge.store.get(key)) for key in keys))
    assert at.cdn.faults(title) == ()


def test_again_copies_nothing(settings: Settings, at: Systems) -> None:
    """Doing it again says the same and writes nothing, at any edge."""
    title = packaged(settings)
    assert work.distribute(title, settings) == work.distribute(title, settings)
    tally = at.distributions.tally()
    assert (tally.keys, tally.written, tally.found, tally.doubled) == (3, 3, 3, 0)


def test_what_was_begun_is_finished(settings: Settings, at: Systems) -> None:
    """A distribution that broke off in the middle goes on, and the title counts as written once at each edge."""
    title = packaged(settings)
    first, second = at.cdn.edges[:2]
    at.cdn.copy(title, first)
    second.store.put(title.packages[0].object, at.store.read(title.packages[0].object))
    work.distribute(title, settings)
    assert at.cdn.faults(title) == ()
    tally = at.distributions.tally()
    assert (tally.keys, tally.written, tally.found, tally.doubled) == (3, 2, 1, 0)


def test_changed_packages_are_not_spread(settings: Settings, at: Systems) -> None:
    """A package that changed since it was made gets to no edge, and the title is announced at none."""
    title = packaged(settings)
    at.store.path(title.packages[5].object).write_bytes(b"x")
    with pytest.raises(ObjectChanged):
        work.distribute(title, settings)
    assert not any(edge.store.exists(title.manifest) for edge in at.cdn.edges)
    assert not any(edge.store.exists(title.packages[5].object) for edge in at.cdn.edges)
    assert at.distributions.tally().keys == 0


def test_changed_copies_are_found(settings: Settings, at: Systems) -> None:
    """A copy that is missing or another is named; one that is another is not overwritten until it is purged."""
    title = packaged(settings)
    work.distribute(title, settings)
    first, second, _ = at.cdn.edges
    first.store.path(title.manifest).unlink()
    second.store.path(title.packages[0].object).write_bytes(b"x")
    assert at.cdn.faults(title) == (
        f"edge-1: {title.manifest} is missing",
        f"edge-2: {title.packages[0].object} is another",
    )
    with pytest.raises(DifferentContent):
        work.distribute(title, settings)
    assert at.distributions.tally().differing == 1
    at.cdn.purge("t-1")
    work.distribute(title, settings)
    assert at.cdn.faults(title) == ()


def test_purge(settings: Settings, at: Systems) -> None:
    """A purge removes one title from all edges, says how much there was, and can be repeated."""
    title, other = packaged(settings), packaged(settings, "t-11")
    work.distribute(title, settings)
    work.distribute(other, settings)
    assert work.purge("t-1", settings) == {"edge-1": 17, "edge-2": 17, "edge-3": 17}
    assert work.purge("t-1", settings) == {"edge-1": 0, "edge-2": 0, "edge-3": 0}
    assert at.cdn.faults(other) == ()
    assert len(at.cdn.faults(title)) == 51
    assert at.store.exists(title.manifest)


def test_purged_titles_come_back(settings: Settings, at: Systems) -> None:
    """A title that was purged is distributed again, and that is no doubled effect."""
    title = packaged(settings)
    done = work.distribute(title, settings)
    work.purge("t-1", settings)
    assert work.distribute(title, settings) == done
    tally = at.distributions.tally()
    assert (tally.written, tally.purged, tally.doubled) == (6, 3, 0)
