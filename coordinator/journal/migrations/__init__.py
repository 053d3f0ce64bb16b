"""Migrations of the journal's tables, with Alembic.

A change of ``tables.py`` is a new file in ``versions/``, ``revision_<number>_<what>.py``, and a new number here. It only adds
(tables, indexes, columns that may be empty or have a default on the server), so that processes of the release before go on
with the new tables until they are replaced. What is to be dropped is dropped a release after its last reader.
"""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""The revisions that this release knows, the oldest first."""

HEAD = REVISIONS[-1]
"""The revision of ``tables.py``."""
