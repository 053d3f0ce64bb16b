"""The index: finds titles by the words in their names and descriptions. SQLite full-text search, in one file.

It belongs to the indexing agent alone; others search. An entry is written once for each content: the same title again
changes nothing, and an older upload never replaces a newer one.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final, Literal

from handoffs.contracts import UntrustedText, strictjson
from handoffs.contracts.reference.media import TitleTerms
from handoffs.coordinator import Permanent, Transient
from handoffs.tasks.media.effects import Tally

Outcome = Literal["written", "found", "older"]

MOST_WORDS: Final = 32
"""Of a search; further ones are not looked at."""
BUSY_TIMEOUT: Final = timedelta(seconds=5)
"""How long a call waits for another writer."""
_NAME_WEIGHT, _DESCRIPTION_WEIGHT = 10.0, 1.0
_ENTRIES: Final = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    title_id TEXT NOT NULL UNIQUE,
    entry TEXT NOT NULL,
    uploaded_at TEXT NOT NULL,
    written INTEGER NOT NULL,
    contents INTEGER NOT NULL,
    found INTEGER NOT NULL DEFAULT 0
)
"""
_WORDS: Final = """
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    title_id UNINDEXED, name, description, language UNINDEXED, tokenize = 'unicode61 remove_diacritics 2'
)
"""


class IndexUnavailable(Transient):
    """The index is locked, or its file cannot be used just now."""


class IndexUnusable(Permanent):
    """The file of the index is no index, or this SQLite has no full-text search."""


@dataclass(frozen=True, slots=True)
class Found:
    """A title that a search found."""

    title_id: str
    name: UntrustedText
    language: str


class MetadataIndex:
    """The index in a SQLite file. Nothing is opened at construction; a connection lives for one call, so that threads and
    processes may share it.

    Its methods raise :class:`IndexUnavailable` and :class:`IndexUnusable`.
    """

    def __init__(self, path: Path, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
        self._path = path
        self._seconds = busy_timeout.total_seconds()

    def upsert(self, title: TitleTerms) -> tuple[str, Outcome]:
        """Enter a title, or what is new about it. The digest of the entry, and what was done.

        ``older``: an upload that came later is there, and stays.
        """
        entry, moment = _digest(title), _moment(title)
        with self._writing() as connection:
            row = connection.execute(
                "SELECT id, entry, uploaded_at FROM entries WHERE title_id = ?", (title.title_id,)
            ).fetchone()
            if row is not None and (row[1] == entry or row[2] > moment):
                connection.execute("UPDATE entries SET found = found + 1 WHERE id = ?", (row[0],))
                return entry, "found" if row[1] == entry else "older"
            self._enter(connection, title, entry, moment)
        return entry, "written"

    def search(self, text: str, *, limit: int = 20) -> tuple[Found, ...]:
        """The titles that have all words of ``text``, or words that begin so, best first; at most ``limit``.

        Whatever ``text`` is, it is words to look for, and no syntax. Without any word nothing is found.
        """
        words = _quoted(text)
        if not words:
            return ()
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT title_id, name, language FROM words WHERE words MATCH ?"
                " ORDER BY bm25(words, 0.0, ?, ?), title_id LIMIT ?",
                (words, _NAME_WEIGHT, _DESCRIPTION_WEIGHT, max(0, limit)),
            ).fetchall()
        return tuple(Found(row[0], UntrustedText(row[1], "strip"), row[2]) for row in rows)

    def tally(self) -> Tally:
        """What was entered. ``doubled``: entries of a title besides its first, and contents that were written again."""
        with self._reading() as connection:
            keys, written, contents, found = connection.execute(
                "SELECT count(*), coalesce(sum(written), 0), coalesce(sum(contents), 0), coalesce(sum(found), 0)"
                " FROM entries"
            ).fetchone()
            (twice,) = connection.execute("SELECT count(*) - count(DISTINCT title_id) FROM words").fetchone()
        return Tally(keys=keys, written=written, doubled=twice + written - contents, found=found)

    def _enter(self, connection: sqlite3.Connection, title: TitleTerms, entry: str, moment: str) -> None:
        (number,) = connection.execute(
            "INSERT INTO entries (title_id, entry, uploaded_at, written, contents) VALUES (?, ?, ?, 1, 1)"
            " ON CONFLICT (title_id) DO UPDATE SET written = written + 1,"
            " contents = contents + (entry <> excluded.entry), entry = excluded.entry,"
            " uploaded_at = excluded.uploaded_at RETURNING id",
            (title.title_id, entry, moment),
        ).fetchone()
        connection.execute("DELETE FROM words WHERE rowid = ?", (number,))
        connection.execute(
            "INSERT INTO words (rowid, title_id, name, description, language) VALUES (?, ?, ?, ?, ?)",
            (number, title.title_id, str.__str__(title.name), str.__str__(title.description), title.language),
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(
                sqlite3.connect(self._path, timeout=self._seconds, isolation_level=None)
            ) as connection:
                self._prepare(connection)
                yield connection
        except sqlite3.OperationalError as error:
            if "no such module" in str(error):
                raise _unusable("this SQLite has no full-text search (FTS5)") from error
            raise _unavailable(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise _unusable("the file of the index is not one") from error
        except OSError as error:
            raise _unavailable(error.strerror or type(error).__name__) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA user_version").fetchone() == (1,):
            return
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in (_ENTRIES, _WORDS):
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        connection.execute("COMMIT")


def _digest(title: TitleTerms) -> str:
    content = [title.title_id, title.name, title.description, title.language, _moment(title)]
    return hashlib.sha256(strictjson.canonical(content).encode()).hexdigest()


def _moment(title: TitleTerms) -> str:
    """Texts that sort as the moments do."""
    return title.uploaded_at.astimezone(UTC).isoformat(timespec="microseconds")


def _quoted(text: str) -> str:
    """The words as full-text search takes them: each in quotation marks, so that none of them is an operator."""
    clean = "".join(sign for sign in str.__str__(text) if sign.isprintable() or sign.isspace())
    words = [word.replace('"', '""') for word in clean.split() if any(sign.isalnum() for sign in word)]
    return " ".join(f'"{word}"*' for word in words[:MOST_WORDS])


def _unavailable(reason: str) -> IndexUnavailable:
    return IndexUnavailable(
        f"the index cannot be used: {reason}",
        "nothing was entered or found",
        "see that its folder is there and writable",
    )


def _unusable(reason: str) -> IndexUnusable:
    return IndexUnusable(
        reason, "nothing was entered or found", "give it a file of its own, and a usual SQLite"
    )
