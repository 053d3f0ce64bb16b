"""The tables of the journal, as this release has them. Times are ISO 8601 in UTC; JSON is text.

Several installations may share a database. ``namespace`` says whose a row is, and what names a row among those of all begins with
it (:mod:`.namespace`).

A change here needs a migration that makes the same of the tables of the last release: see :mod:`.migrations`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


def _namespace() -> Column[str]:
    """Whose row it is. The server's default is for processes of an older release."""
    return Column("namespace", String(40), nullable=False, server_default="")


def _place() -> tuple[Column[Any], ...]:
    """The place of an entry in its chain (:mod:`.chain`), from 1 on; 0 of what an older release has written."""
    return (
        Column("sequence", Integer, nullable=False, server_default="0"),
        Column("previous", String(64), nullable=False, server_default=""),
        Column("digest", String(64), nullable=False, server_default=""),
    )


history = Table(
    "handoff_history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", String(120), nullable=False, unique=True),
    Column("run", String(200), nullable=False),
    Column("flow", String(120), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("at", String(40), nullable=False),
    Column("entry", Text, nullable=False),
    _namespace(),
    *_place(),
    Index("handoff_history_run", "run", "id"),
    Index("handoff_history_kind", "kind", "id"),
    Index("handoff_history_own", "namespace", "id"),
    Index("handoff_history_own_kind", "namespace", "kind", "id"),
)

dead_letters = Table(
    "handoff_dead_letters",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("run", String(200), nullable=False),
    Column("flow", String(120), nullable=False),
    Column("step", String(1000), nullable=False),
    Column("agent", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("error", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("contract", String(200), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(300), nullable=False),
    Column("payload", Text, nullable=False),
    Column("first_failed_at", String(40), nullable=False),
    Column("last_failed_at", String(40), nullable=False),
    Column("times", Integer, nullable=False),
    Column("replays", Integer, nullable=False),
    Column("message", Text, nullable=False),
    _namespace(),
    Column("trace", Text, nullable=False, server_default=""),
    Column("fingerprint", String(40), nullable=False, server_default=""),
    Index("handoff_dead_letters_state", "state", "flow"),
    Index("handoff_dead_letters_run", "run"),
    Index("handoff_dead_letters_oldest", "state", "first_failed_at", "id"),
    Index("handoff_dead_letters_own", "namespace", "first_failed_at", "id"),
    Index("handoff_dead_letters_own_state", "namespace", "state", "first_failed_at", "id"),
    Index("handoff_dead_letters_own_flow", "namespace", "state", "flow", "first_failed_at", "id"),
    Index("handoff_dead_letters_own_agent", "namespace", "state", "agent", "first_failed_at", "id"),
    Index(
        "handoff_dead_letters_own_wrote", "namespace", "state", "contract",
        postgresql_ops={"contract": "varchar_pattern_ops"},
    ),
    Index("handoff_dead_letters_own_run", "namespace", "run", "state"),
    Index("handoff_dead_letters_own_kind", "namespace", "state", "kind", "first_failed_at", "id"),
    Index("handoff_dead_letters_own_error", "namespace", "state", "error", "first_failed_at", "id"),
    Index("handoff_dead_letters_own_id", "namespace", "id", postgresql_ops={"id": "varchar_pattern_ops"}),
    Index(
        "handoff_dead_letters_own_cause", "namespace", "state", "fingerprint", "last_failed_at",
        postgresql_include=["first_failed_at", "worker"],
    ),
)  # fmt: skip

actions = Table(
    "handoff_operator_actions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", String(40), nullable=False),
    Column("who", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("run", String(200), nullable=False),
    Column("letter", String(200), nullable=False),
    Column("note", Text, nullable=False),
    _namespace(),
    *_place(),
    Index("handoff_operator_actions_run", "run", "id"),
    Index("handoff_operator_actions_who", "who", "id"),
    Index("handoff_operator_actions_own", "namespace", "id"),
)

edits = Table(
    "handoff_edits",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("letter", String(200), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", String(40), nullable=False),
    Column("who", String(200), nullable=False),
    Column("why", Text, nullable=False),
    Column("message", Text, nullable=False),
    _namespace(),
    UniqueConstraint("letter", "number"),
)

deployments = Table(
    "handoff_deployments",
    metadata,
    Column("agent", String(200), primary_key=True),
    Column("build", String(80), primary_key=True),
    Column("manifest", Text, nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("recorded_by", String(200), nullable=False),
    Column("withdrawn_at", String(40), nullable=False),
    Column("withdrawn_by", String(200), nullable=False),
    _namespace(),
)

runs = Table(
    "handoff_runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", String(200), nullable=False),
    Column("flow", String(120), nullable=False),
    Column("state", String(20), nullable=False),
    Column("at", String(40), nullable=False),
    _namespace(),
    Column("started", String(40), nullable=False, server_default=""),
    Column("key", String(200), nullable=False, server_default=""),
    UniqueConstraint("namespace", "run"),
    Index("handoff_runs_own_state", "namespace", "state", "id"),
    Index("handoff_runs_own_at", "namespace", "at", "id"),
    Index("handoff_runs_own_started", "namespace", "started", "id"),
    Index("handoff_runs_own_flow", "namespace", "flow", "started", "id"),
    Index("handoff_runs_own_stood", "namespace", "state", "started", "id"),
    Index(
        "handoff_runs_own_keyed", "namespace", "key", "started", "id",
        postgresql_ops={"key": "varchar_pattern_ops"},
    ),
    Index("handoff_runs_own_run", "namespace", "run", postgresql_ops={"run": "varchar_pattern_ops"}),
)  # fmt: skip

group_notes = Table(
    "handoff_group_notes",
    metadata,
    Column("namespace", String(40), primary_key=True),
    Column("fingerprint", String(40), primary_key=True),
    Column("note", Text, nullable=False),
    Column("owner", String(200), nullable=False),
    Column("at", String(40), nullable=False),
    Column("who", String(200), nullable=False),
)

operations = Table(
    "handoff_operations",
    metadata,
    Column("id", String(40), primary_key=True),
    _namespace(),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("at", String(40), nullable=False),
    Column("who", String(200), nullable=False),
    Column("why", Text, nullable=False),
    Column("selection", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("changed_at", String(40), nullable=False),
    Column("told", Text, nullable=False),
    Index("handoff_operations_own", "namespace", "at", "id"),
)

operation_letters = Table(
    "handoff_operation_letters",
    metadata,
    Column("operation", String(40), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("letter", String(200), nullable=False),
    Column("was", String(20), nullable=False),
    Column("fingerprint", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("replays", Integer, nullable=False),
    Column("failed_at", String(40), nullable=False),
    Column("claimed_at", String(40), nullable=False),
    Column("came", String(20), nullable=False),
    Column("told", Text, nullable=False),
    Index("handoff_operation_letters_state", "operation", "state", "position"),
    Index("handoff_operation_letters_letter", "operation", "letter"),
)

chains = Table(
    "handoff_chains",
    metadata,
    _namespace(),
    Column("kind", String(20), nullable=False),
    Column("name", String(200), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    PrimaryKeyConstraint("namespace", "kind", "name"),
)
"""Where each chain ends."""

search = Table(
    "handoff_search",
    metadata,
    _namespace(),
    Column("run", String(200), nullable=False),
    Column("name", String(120), nullable=False),
    Column("value", String(200), nullable=False),
    Column("at", String(40), nullable=False),
    PrimaryKeyConstraint("namespace", "run", "name", "value"),
    Index(
        "handoff_search_value", "namespace", "value", "name", "at", "run",
        postgresql_ops={"value": "varchar_pattern_ops"},
    ),
)  # fmt: skip
"""By what runs are found: the values of the searchable fields of what they were given and have made, each once."""

revision = Table(
    "handoff_journal_revision",
    MetaData(),  # of its own: it is Alembic's, and what it looks like is not ours to change
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="handoff_journal_revision_pkc"),
)
"""Of which revision the tables are (one row)."""
