"""The journal's tables as the release before migrations made them (``metadata.create_all``): kept for the tests of what becomes of them."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

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
    Index("handoff_history_run", "run", "id"),
    Index("handoff_history_kind", "kind", "id"),
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
    Index("handoff_dead_letters_state", "state", "flow"),
    Index("handoff_dead_letters_run", "run"),
)

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
)
