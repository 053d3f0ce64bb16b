"""The index: one entry for a title, found by its words, and no text that is searched for is syntax."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.text import UntrustedText
from handoffs.tasks.media.index import IndexUnavailable, IndexUnusable, MetadataIndex
from tests.unit.tasks.media.titles import title

WORDS = ["the", "light", "LIGHTHOUSE", "keep sea", "sea keep", '"sea"', "sea*", "lighthouse!", "sea ! -"]


@pytest.fixture
def index(tmp_path: Path) -> MetadataIndex:
    """An empty index, of the impatient kind."""
    return MetadataIndex(tmp_path / "new" / "index.sqlite3", busy_timeout=timedelta(milliseconds=20))


def found(index: MetadataIndex, text: str) -> list[str]:
    """The ids of the titles that a search finds."""
    return [one.title_id for one in index.search(text)]


def test_nothing_is_there(index: MetadataIndex) -> None:
    """In an empty index nothing is found."""
    assert index.search("sea") == ()
    assert index.tally().keys == 0


@pytest.mark.parametrize("text", WORDS)
def test_titles_are_found(index: MetadataIndex, text: str) -> None:
    """A title is found by words of its name and description, by their beginnings, in any order and case."""
    index.upsert(title())
    assert found(index, text) == ["t-1"]


@pytest.mark.parametrize(
    "text", ["", "  ", "whale", "sea whale", "house", "!", '""', "*", "t-1", "en", "a" * 5_000]
)
def test_other_words_find_nothing(index: MetadataIndex, text: str) -> None:
    """Every word must be there; ids and languages are none."""
    index.upsert(title())
    assert found(index, text) == []


def test_marks_on_letters(index: MetadataIndex) -> None:
    """Marks on letters make no difference, and other scripts are found too."""
    index.upsert(title("t-1", name=UntrustedText("Ünter den Linden")))
    index.upsert(title("t-2", name=UntrustedText("Война и мир")))
    assert found(index, "unter linden") == ["t-1"]
    assert found(index, "ВОЙНА") == ["t-2"]


def test_names_go_first(index: MetadataIndex) -> None:
    """A title that has the word in its name comes before one that has it in its description; only so many are given."""
    plain = UntrustedText("Nothing")
    index.upsert(title("t-1", name=plain, description=UntrustedText("storm")))
    index.upsert(title("t-2", name=UntrustedText("Storm"), description=plain))
    index.upsert(title("t-3", name=plain, description=UntrustedText("storm")))
    assert found(index, "storm") == ["t-2", "t-1", "t-3"]
    assert [one.title_id for one in index.search("storm", limit=1)] == ["t-2"]
    assert index.search("storm", limit=-1) == ()


@given(st.text(max_size=40))
def test_whatever_is_searched_for(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """No text is syntax: a search never fails, whatever it is for."""
    index = MetadataIndex(tmp_path_factory.getbasetemp() / "searched.sqlite3")
    index.upsert(title())
    index.search(text)


@pytest.mark.parametrize(
    "text", ["sea OR whale", "sea NOT lighthouse", "name:lighthouse", "sea NEAR keeper", "^the", '"', 'sea"', "(sea", "sea)",
             "{name}: sea", "+sea -keeper", "sea;DROP TABLE words", "\ud800", "\0sea"],
)  # fmt: skip
def test_no_operators(index: MetadataIndex, text: str) -> None:
    """What full-text search takes for an operator is a word like any other."""
    index.upsert(title())
    index.search(text)
    assert found(index, "sea OR whale") == []
    assert found(index, "lighthouse") == ["t-1"]


def test_names_stay_marked(index: MetadataIndex) -> None:
    """A name that a search gives is still text of people."""
    index.upsert(title())
    (one,) = index.search("sea")
    assert isinstance(one.name, UntrustedText)
    assert (one.name, one.language) == ("The Lighthouse", "en")


def test_the_same_again(index: MetadataIndex) -> None:
    """The same title again changes nothing, and is counted as found."""
    first, second = index.upsert(title()), index.upsert(title())
    assert (first[1], second[1]) == ("written", "found")
    assert first[0] == second[0]
    tally = index.tally()
    assert (tally.keys, tally.written, tally.found, tally.doubled) == (1, 1, 1, 0)
    assert len(index.search("sea")) == 1


def test_newer_uploads_replace(index: MetadataIndex) -> None:
    """A newer upload replaces the entry, and an older one that comes late does not."""
    later = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=1)
    newer = title(name=UntrustedText("The Whale"), uploaded_at=later)
    assert [index.upsert(one)[1] for one in (title(), newer, title(), newer)] == [
        "written",
        "written",
        "older",
        "found",
    ]
    assert found(index, "whale") == ["t-1"]
    assert found(index, "lighthouse") == []
    tally = index.tally()
    assert (tally.keys, tally.written, tally.doubled) == (1, 2, 0)


def test_doubled_entries_are_counted(index: MetadataIndex, tmp_path: Path) -> None:
    """The count of doubled entries is of the words themselves: one that gets in some other way is seen."""
    index.upsert(title())
    with closing(sqlite3.connect(tmp_path / "new" / "index.sqlite3")) as connection, connection:
        connection.execute("INSERT INTO words SELECT * FROM words")
    assert index.tally().doubled == 1


def test_concurrent_writers(tmp_path: Path) -> None:
    """Of many who enter the same titles at once into a new index, one writes each."""
    index = MetadataIndex(tmp_path / "index.sqlite3")
    titles = [title(f"t-{number % 10}") for number in range(60)]
    with ThreadPoolExecutor(6) as threads:
        outcomes = [outcome for _, outcome in threads.map(index.upsert, titles)]
    assert sorted({*outcomes}) == ["found", "written"]
    assert outcomes.count("written") == 10
    tally = index.tally()
    assert (tally.keys, tally.written, tally.found, tally.doubled) == (10, 10, 50, 0)


def test_readers_and_writers_do_not_wait(index: MetadataIndex, tmp_path: Path) -> None:
    """While one writes, others search; while one reads, another writes to the end."""
    index.upsert(title())
    with closing(sqlite3.connect(tmp_path / "new" / "index.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert found(index, "sea") == ["t-1"]
        other.execute("ROLLBACK")
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM words").fetchone() == (1,)
        assert index.upsert(title("t-2"))[1] == "written"
        other.execute("ROLLBACK")


def test_locked(index: MetadataIndex, tmp_path: Path) -> None:
    """An index that another writer keeps locked is an error that may pass, and nothing is half written."""
    index.upsert(title("t-2"))
    with closing(sqlite3.connect(tmp_path / "new" / "index.sqlite3", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnavailable, match="locked"):
            index.upsert(title())
        writer.execute("ROLLBACK")
    assert index.upsert(title())[1] == "written"


def test_files_that_are_no_index(tmp_path: Path) -> None:
    """A file that is something else is no index and stays as it is; a folder cannot be used."""
    path = tmp_path / "index.sqlite3"
    path.write_bytes(b"something else, longer than a header of SQLite " * 10)
    before = path.read_bytes()
    with pytest.raises(IndexUnusable):
        MetadataIndex(path).upsert(title())
    assert path.read_bytes() == before
    for place in (tmp_path, path / "index.sqlite3"):
        with pytest.raises(IndexUnavailable):
            MetadataIndex(place).search("sea")


def test_construction_opens_nothing(tmp_path: Path) -> None:
    """A new index touches no file before its first use."""
    MetadataIndex(tmp_path / "index.sqlite3")
    assert list(tmp_path.iterdir()) == []
