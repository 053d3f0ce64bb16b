"""The figures of a load of titles: what is counted is what was made."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.journal.journal import Journal
from handoffs.tasks.media import work
from handoffs.tasks.media.account import Account, account
from handoffs.tasks.media.counts import JournalCounts
from handoffs.tasks.media.effects import Effects
from handoffs.tasks.media.fleets import AGENTS, FLEETS, fleet
from handoffs.tasks.media.following import Follower
from handoffs.tasks.media.systems import systems
from handoffs.tasks.media.tale import CHAPTERS, tale
from handoffs.tasks.media.uploads import invented
from tests.unit.tasks.media.titles import media_settings, packaged

RENDITIONS = 16


def entry(kind: str, agent: str = "", second: int = 0, **more: Any) -> dict[str, Any]:
    """An entry of a history."""
    return {"kind": kind, "agent": agent, "at": f"2026-01-05T12:00:{second:02}+00:00", **more}


class TestAccount:
    def test_whole(self, tmp_path: Path) -> None:
        """Of a title that is done there are all renditions, a package, a copy at each edge, an entry, and a place on the
        shelf; nothing is lost or doubled."""
        settings = media_settings(tmp_path)
        _shelve(settings, "t-1")
        found = account(systems(settings), 1, RENDITIONS)
        assert (found.renditions, found.packaged, found.copies, found.indexed, found.shelved) == (
            16,
            1,
            2,
            1,
            1,
        )
        assert (found.lost, found.doubled) == (0, 0)

    def test_lost(self, tmp_path: Path) -> None:
        """What should be there and is not is lost: of a title of which nothing was made, all."""
        settings = media_settings(tmp_path)
        _shelve(settings, "t-1")
        assert account(systems(settings), 2, RENDITIONS).lost == 16 + 1 + 2 + 1 + 1

    @pytest.mark.parametrize(
        "effects",
        [
            lambda at: at.transcodings,
            lambda at: at.packagings,
            lambda at: at.distributions,
            lambda at: at.shelved,
        ],
    )
    def test_doubled(self, tmp_path: Path, effects: Callable[[Any], Effects]) -> None:
        """What was written twice is doubled, whatever it is."""
        settings = media_settings(tmp_path)
        _shelve(settings, "t-1")
        own = effects(systems(settings))
        own.path.write_text(own.path.read_text() + own.path.read_text().splitlines()[0] + "\n")
        assert account(systems(settings), 1, RENDITIONS).doubled == 1


class TestJournalCounts:
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Iterator[Journal]:
        journal = Journal(f"sqlite:///{tmp_path / 'journal.sqlite3'}")
        yield journal
        journal.close()

    def test_whole(self, journal: Journal) -> None:
        """A title whose agents all have their outcomes is there, with all that is made of it, and nothing is lost."""
        counts = JournalCounts(journal, "own")
        _record(journal, *_told("own-1"), *_told("own-2"))
        assert sorted(counts.look()) == ["own-1", "own-2"]
        assert (counts.renditions, counts.shelved) == (2 * RENDITIONS, 2)
        assert counts.account(2, RENDITIONS) == Account(
            titles=2, renditions=32, packaged=2, copies=4, indexed=2, shelved=2, lost=0, doubled=0
        )
        assert counts.look() == []

    def test_whose_titles(self, journal: Journal) -> None:
        """Titles of others, what was there before, and what is no outcome do not count."""
        _record(journal, *_told("own-1"))
        counts = JournalCounts(journal, "own")
        other = _settled("media.drm", "own-2")
        _record(
            journal,
            *_told("owner-1"),
            {**other, "kind": "parked"},
            {**other, "agent": "media.ladder"},
            {**other, "input": {"renditions": []}},
            {"kind": "emitted", "run": "r"},
        )
        assert counts.look() == []
        assert counts.account(1, RENDITIONS).lost == RENDITIONS + 1 + 1 + 1 + 1

    def test_lost(self, journal: Journal) -> None:
        """What should be there and is not is lost: a rendition, a package, a copy at one edge."""
        counts = JournalCounts(journal, "own")
        first, *rest = _told("own-1", copies=1)
        assert first["agent"] == "media.transcode"
        gone = [entry for entry in rest if entry["agent"] != "media.drm"]
        _record(journal, *gone, *_told("own-2"))
        assert counts.account(2, RENDITIONS).lost == 1 + 1 + 1

    def test_doubled(self, journal: Journal) -> None:
        """Two outcomes of the same work are one too many, wherever they come from."""
        counts = JournalCounts(journal, "own")
        entries = _told("own-1")
        _record(journal, *entries, entries[0], entries[-1])
        found = counts.account(1, RENDITIONS)
        assert (found.lost, found.doubled, found.renditions) == (0, 2, RENDITIONS)


class TestFollower:
    def test_reads_on(self, tmp_path: Path) -> None:
        """It tells each effect once; what was only found again does not count."""
        effects = Effects(tmp_path / "effects.jsonl")
        follower = Follower(effects.path)
        assert follower.news() == []
        effects.record("written", "a")
        effects.record("found", "a")
        assert follower.news() == ["a"]
        effects.record("written", "b")
        assert follower.news() == ["b"]
        assert (follower.news(), follower.count) == ([], 2)

    def test_half_a_line(self, tmp_path: Path) -> None:
        """A line of which the end is missing is read when it is there."""
        path = tmp_path / "effects.jsonl"
        follower = Follower(path)
        path.write_text('["written", "a"]\n["written", "b')
        assert follower.news() == ["a"]
        path.write_text('["written", "a"]\n["written", "b"]\n')
        assert follower.news() == ["b"]


class TestTale:
    def test_nothing_yet(self) -> None:
        """Before anybody has said how many renditions there will be, their number is not known."""
        chapters = tale([entry("emitted")])
        assert [chapter.agent for chapter in chapters] == [agent for agent, _ in CHAPTERS]
        assert {(chapter.done, chapter.at) for chapter in chapters} == {(0, None)}
        assert chapters[1].wanted == 0

    def test_how_far(self) -> None:
        """An agent's chapter says how often it was done, of how many times, when last, and how long that took in all."""
        chapters = tale(
            [
                entry("emitted"),
                entry("settled", "media.ladder", 1, emitted=[{}, {}, {}], took_ms=5),
                entry("gathered", "media.assemble", 3),
                entry("settled", "media.transcode", 3, took_ms=1500),
                entry("settled", "media.transcode", 2, took_ms=500),
            ]
        )
        ordered, transcoded, assembled, *_ = chapters
        assert (ordered.done, ordered.wanted, ordered.at) == (1, 1, 1)
        assert (transcoded.done, transcoded.wanted, transcoded.at, transcoded.took) == (2, 3, 3, 2)
        assert (assembled.done, assembled.at) == (0, None)


class TestFleets:
    def test_every_agent_has_one(self) -> None:
        """Each agent of media is in one fleet."""
        from handoffs.tasks import media  # noqa: PLC0415 - its agents are attributes of the package

        assert sorted(AGENTS) == sorted(getattr(media, name).name for name in media.__all__)

    def test_sizes(self) -> None:
        """The fleet that encrypts is an order of magnitude smaller than the one that transcodes."""
        transcode, drm = fleet("transcode"), fleet("drm")
        assert transcode.processes * transcode.threads == 10 * drm.processes * drm.threads
        members = [name for one in FLEETS for name in one.members()]
        assert len(set(members)) == len(members) == sum(one.processes for one in FLEETS)


def test_titles_of_two_shows_are_different(tmp_path: Path) -> None:
    """Each show has titles of its own, all of one clip, with all renditions of the ladder."""
    at = systems(media_settings(tmp_path))
    one, other = invented(at, 1.0), invented(at, 1.0)
    titles = [one.title(1), one.title(2), other.title(1), other.title(2)]
    assert len({title.title_id for title in titles}) == 4
    assert {title.source for title in titles} == {one.clip.source}
    assert len(work.order_renditions(titles[0])) == RENDITIONS


def _record(journal: Journal, *entries: dict[str, Any]) -> None:
    journal.history.record((str(uuid.uuid4()), {"at": "", **one}) for one in entries)


def _settled(agent: str, title_id: str, **more: Any) -> dict[str, Any]:
    return entry("settled", agent, run=f"story of {title_id}", input={"title_id": title_id, **more})


def _told(title_id: str, *, copies: int = 2) -> list[dict[str, Any]]:
    """What the journal says of a title that has come to its end."""
    renditions = [
        _settled("media.transcode", title_id, rendition=f"r-{number}") for number in range(RENDITIONS)
    ]
    others = [_settled(agent, title_id) for agent in ("media.drm", "media.cdn", "media.index")]
    return [*renditions, *others, _settled("media.shelf", title_id, locations=[{}] * copies)]


def _shelve(settings: Any, title_id: str) -> None:
    """Bring a title to the shelf."""
    title = packaged(settings, title_id)
    done = [work.prepared(work.distribute(title, settings)), work.prepared(work.index(title, settings))]
    work.shelve(work.available(done), settings)
